use std::collections::HashMap;

use ops_core::audit::{Linker, content};
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::AuditRecord;
use ops_core::ports::{Appended, AuditEntry, AuditReceipt};
use uuid::Uuid;

use super::append::{Answers, Batch, Known, Removed};
use super::columns::{APPEND, Columns, Words};
use crate::error::error;

/// Links the records of a batch that are not known, in their order and some at a time, and says what each is answered once its row is stored.
pub(super) struct Draft<'a> {
    batch: Batch<'a>,
    /// How many of the batch were looked at.
    taken: usize,
    linker: Linker,
    known: Known,
    removed: Removed,
    fresh: HashMap<Uuid, (AuditReceipt, &'a AuditRecord)>,
    answers: Answers,
}

impl<'a> Draft<'a> {
    pub(super) fn new(batch: Batch<'a>, linker: Linker, known: Known, removed: Removed) -> Self {
        let most = batch.places.len();
        Self {
            batch,
            taken: 0,
            linker,
            known,
            removed,
            fresh: HashMap::with_capacity(most),
            answers: Answers::with_capacity(most),
        }
    }

    /// The next rows, at most so many, and not many more bytes than a message to the server should have; none when all records were looked at.
    pub(super) async fn rows(&mut self, most: usize) -> Result<Columns> {
        let mut columns = Columns::new();
        for (place, entry) in self.batch.entries().skip(self.taken) {
            if columns.len() == most || columns.bytes() >= MOST_BYTES {
                break;
            }
            let answer = self.take(entry, &mut columns)?;
            self.answers.push((place, answer));
            self.taken += 1;
            if self.taken.is_multiple_of(TURN) {
                // What is on its way to the server goes on.
                tokio::task::yield_now().await;
            }
        }
        Ok(columns)
    }

    /// The end of the chain, and the answers.
    pub(super) fn finish(self) -> (Linker, Answers) {
        (self.linker, self.answers)
    }

    fn take(&mut self, entry: &'a AuditEntry, columns: &mut Columns) -> Result<Appended> {
        let record = &entry.record;
        let before = self
            .known
            .get(&record.id)
            .map(|(receipt, stored)| (receipt, stored))
            .or_else(|| {
                let fresh = self.fresh.get(&record.id);
                fresh.map(|(receipt, first)| (receipt, *first))
            });
        Ok(match before {
            // Without the salts of then nobody can compare: the id decides.
            None if let Some((receipt, said)) = self.removed.get(&record.id) => {
                match *said == content(record) || !record.salts.is_empty() {
                    true => Appended::Known(receipt.clone()),
                    false => Appended::Refused(other_content(record)),
                }
            }
            Some((receipt, stored)) if stored.says_the_same(record) => Appended::Known(receipt.clone()),
            Some(_) => Appended::Refused(other_content(record)),
            None => match Words::of(record) {
                Ok(words) => {
                    let receipt = self.linker.push(record);
                    columns.push(&receipt, record, entry.origin, &words)?;
                    self.fresh.insert(record.id, (receipt.clone(), record));
                    Appended::Stored(receipt)
                }
                // It will never be one that a row can hold.
                Err(cause) if cause.kind() == ErrorKind::InvalidInput => Appended::Refused(cause),
                Err(cause) => return Err(cause),
            },
        })
    }
}

fn other_content(record: &AuditRecord) -> Error {
    error(ErrorKind::Conflict, APPEND)
        .context("id", record.id.to_string())
        .context("reason", "the id is stored with another content")
}

/// So many records are linked in one go.
const TURN: usize = 64;
/// A message of more than a gigabyte ends the connection, and a record has up to 16 MiB.
const MOST_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use ops_core::model::{Actor, TenantId, Timestamp};

    use super::*;

    #[tokio::test]
    async fn long_records_go_in_messages_that_a_server_takes() {
        let tenant = TenantId::new("org_a").unwrap();
        let entry = |_| {
            let actor = Actor::person("kazu").unwrap();
            let record = AuditRecord::new(Timestamp::UNIX_EPOCH, tenant.clone(), actor, "read", "user", "1");
            AuditEntry::from(record.with_detail("text", "x".repeat(10 << 20)))
        };
        let entries: Vec<_> = (0..3).map(entry).collect();
        let batch = Batch {
            tenant: &tenant,
            entries: &entries,
            places: &[0, 1, 2],
        };
        let mut draft = Draft::new(batch, Linker::default(), Known::default(), Removed::default());
        for rows in [2, 1, 0] {
            assert_eq!(draft.rows(1024).await.unwrap().len(), rows);
        }
        assert_eq!(draft.finish().1.len(), 3);
    }
}
