use std::collections::BTreeSet;

use super::check::Catalog;

/// The oids of `tables` (roots), those first that others do not point at any more. The second part stands in a circle.
pub(crate) fn children_first(catalog: &Catalog, tables: &[i64]) -> (Vec<i64>, Vec<i64>) {
    let mut left: BTreeSet<i64> = tables.iter().copied().collect();
    let mut order = Vec::new();
    loop {
        let pointed_at = |table: i64, left: &BTreeSet<i64>| {
            catalog
                .references
                .iter()
                .any(|reference| reference.to == table && left.contains(&reference.from))
        };
        let free: Vec<i64> = left
            .iter()
            .copied()
            .filter(|table| !pointed_at(*table, &left))
            .collect();
        if free.is_empty() {
            return (order, left.into_iter().collect());
        }
        for table in free {
            left.remove(&table);
            order.push(table);
        }
    }
}
