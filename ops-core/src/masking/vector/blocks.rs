//! Kinds of ASCII as blocks of its table of eight rows and sixteen columns.

/// The bytes in some rows and some columns.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Block {
    rows: &'static [u8],
    columns: &'static [u8],
}

pub(in super::super) const fn block(rows: &'static [u8], columns: &'static [u8]) -> Block {
    Block { rows, columns }
}

/// Eight blocks: for each row and each column, a bit for those that it belongs to. A byte is in the blocks that both have.
#[derive(Debug)]
pub(in super::super) struct Blocks {
    pub(super) rows: (i64, i64),
    pub(super) columns: (i64, i64),
}

impl Blocks {
    pub(in super::super) const fn of(blocks: [Block; 8]) -> Self {
        let (mut rows, mut columns) = ([0; 16], [0; 16]);
        let mut bit = 0;
        while bit < blocks.len() {
            rows = with(rows, blocks[bit].rows, bit);
            columns = with(columns, blocks[bit].columns, bit);
            bit += 1;
        }
        Self {
            rows: halves(rows),
            columns: halves(columns),
        }
    }
}

const fn with(mut table: [u8; 16], places: &[u8], bit: usize) -> [u8; 16] {
    let mut index = 0;
    while index < places.len() {
        table[places[index] as usize] |= 1 << bit;
        index += 1;
    }
    table
}

const fn halves(table: [u8; 16]) -> (i64, i64) {
    let (mut low, mut high) = (0, 0);
    let mut index = 0;
    while index < 8 {
        low |= (table[index] as i64) << (8 * index);
        high |= (table[index + 8] as i64) << (8 * index);
        index += 1;
    }
    (low, high)
}
