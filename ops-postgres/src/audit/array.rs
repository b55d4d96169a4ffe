use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo};
use sqlx::{Postgres, Type};

/// An array as it goes to the server: values are written once, when they are pushed. Without any value but null it is null itself. No `Debug`: it holds
/// personal values and salts.
pub(super) struct Array {
    of: Of,
    len: usize,
    values: usize,
    bytes: Vec<u8>,
}

/// What an array is of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    /// `bigint`: eight bytes, big-endian.
    Number,
    /// `uuid`
    Id,
    Text,
    /// `bytea`
    Bytes,
}

impl Array {
    pub(super) fn of(of: Of) -> Self {
        Self {
            of,
            len: 0,
            values: 0,
            bytes: Vec::new(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, value: &[u8]) {
        self.len += 1;
        self.values += 1;
        self.bytes.extend_from_slice(&length(value.len()));
        self.bytes.extend_from_slice(value);
    }

    pub(super) fn push_some(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => self.push(value),
            None => {
                self.len += 1;
                self.bytes.extend_from_slice(&NULL);
            }
        }
    }
}

impl Encode<'_, Postgres> for Array {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        if self.values == 0 {
            return Ok(IsNull::Yes);
        }
        let nulls = u32::from(self.values < self.len);
        // One dimension, whether any is null, of what, how many, counted from 1.
        for number in [1, nulls, self.of.element().0] {
            buffer.extend_from_slice(&number.to_be_bytes());
        }
        buffer.extend_from_slice(&length(self.len));
        buffer.extend_from_slice(&1_u32.to_be_bytes());
        buffer.extend_from_slice(&self.bytes);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(self.of.array()))
    }

    fn size_hint(&self) -> usize {
        self.bytes.len() + HEAD
    }
}

impl Type<Postgres> for Array {
    /// Of an array of numbers; each array says itself of what it is.
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Of::Number.array())
    }
}

/// The numbers of the types are the same in every database.
impl Of {
    fn element(self) -> Oid {
        Oid(match self {
            Self::Number => 20,
            Self::Id => 2950,
            Self::Text => 25,
            Self::Bytes => 17,
        })
    }

    fn array(self) -> Oid {
        Oid(match self {
            Self::Number => 1016,
            Self::Id => 2951,
            Self::Text => 1009,
            Self::Bytes => 1001,
        })
    }
}

/// What is longer is refused by the client itself: no message has so many bytes.
fn length(bytes: usize) -> [u8; 4] {
    i32::try_from(bytes).unwrap_or(i32::MAX).to_be_bytes()
}

const NULL: [u8; 4] = (-1_i32).to_be_bytes();
const HEAD: usize = 20;
