use std::collections::BTreeMap;

use uuid::Uuid;

use super::run::LeftOut;
use crate::model::{Actor, ActorKind, AuditOutcome, AuditRecord, Digest, RunId, Salt, TenantId, Timestamp};
use crate::ports::AuditReceipt;

/// What a part holds, in the order of the trail.
///
/// A part is a zstd frame of [`MAGIC`] and entries. An entry is its length (4 bytes, little-endian) and a body: a tag and its fields.
/// Numbers are 8 bytes, little-endian; a text is its length as a number of 4 bytes and UTF-8.
///
/// | tag | fields |
/// |---|---|
/// | 1, a record | position, hash of the chain (32 bytes), id (16), microseconds since 1970, tenant, kind of actor (1 byte), actor, action, type and id of the resource, outcome (1 byte), run (empty: none), number of details (4 bytes), names and values; number of salts (4), names and salts (32 bytes each); the same for values that were removed, with what stands for each in the hash |
/// | 2, left out | first position, count, hash of the chain at the last (32 bytes), roots of subtrees (32 bytes each, to the end) |
/// | 3, unreadable | position, what is wrong |
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time is handed on; nearly all are records"
)]
pub(super) enum PartEntry {
    Record {
        receipt: AuditReceipt,
        record: AuditRecord,
    },
    LeftOut(LeftOut),
    Unreadable {
        sequence: u64,
        what: String,
    },
}

/// Begins a part. A change of the entries needs a new one.
pub(super) const MAGIC: &[u8; 16] = b"ops-evidence/1\r\n";
/// No entry is longer.
pub(super) const LONGEST: usize = 16 * 1024 * 1024;

const RECORD: u8 = 1;
const LEFT_OUT: u8 = 2;
const UNREADABLE: u8 = 3;

/// Appends the entry of a record.
pub(super) fn write_record(out: &mut Vec<u8>, receipt: &AuditReceipt, record: &AuditRecord) {
    framed(out, |out| {
        let AuditRecord {
            id,
            at,
            tenant,
            actor,
            action,
            resource_type,
            resource_id,
            outcome,
            run,
            details,
            salts,
            withheld,
        } = record;
        out.push(RECORD);
        number(out, receipt.sequence);
        out.extend_from_slice(receipt.hash.as_bytes());
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(&at.as_unix_micros().to_le_bytes());
        text(out, tenant.as_str());
        out.push(match actor.kind() {
            ActorKind::Person => 0,
            ActorKind::Automation => 1,
            ActorKind::Service => 2,
        });
        text(out, actor.id());
        text(out, action);
        text(out, resource_type);
        text(out, resource_id);
        out.push(match outcome {
            AuditOutcome::Succeeded => 0,
            AuditOutcome::Failed => 1,
            AuditOutcome::Denied => 2,
            AuditOutcome::Unknown => 3,
        });
        text(out, run.as_ref().map_or("", RunId::as_str));
        length(out, details.len());
        for (name, value) in details {
            text(out, name);
            text(out, value);
        }
        length(out, salts.len());
        for (field, salt) in salts {
            text(out, field);
            out.extend_from_slice(Digest::from(*salt).as_bytes());
        }
        length(out, withheld.len());
        for (field, commitment) in withheld {
            text(out, field);
            out.extend_from_slice(commitment.as_bytes());
        }
    });
}

/// Appends the entry of records that are left out.
pub(super) fn write_left_out(out: &mut Vec<u8>, run: &LeftOut) {
    framed(out, |out| {
        out.push(LEFT_OUT);
        number(out, run.first);
        number(out, run.count);
        out.extend_from_slice(run.last_hash.as_bytes());
        for root in &run.roots {
            out.extend_from_slice(root.as_bytes());
        }
    });
}

/// Appends the entry of a row that is no record.
pub(super) fn write_unreadable(out: &mut Vec<u8>, sequence: u64, what: &str) {
    framed(out, |out| {
        out.push(UNREADABLE);
        number(out, sequence);
        text(out, what);
    });
}

/// Reads the body of an entry; `None` when it is none, to the last byte.
pub(super) fn read(body: &[u8]) -> Option<PartEntry> {
    let mut fields = Fields(body);
    let entry = match fields.byte()? {
        RECORD => fields.record()?,
        LEFT_OUT => {
            let (first, count) = (fields.number()?, fields.number()?);
            let last_hash = fields.digest()?;
            let mut roots = Vec::with_capacity(fields.0.len() / 32);
            while !fields.0.is_empty() {
                roots.push(fields.digest()?);
            }
            PartEntry::LeftOut(LeftOut {
                first,
                count,
                last_hash,
                roots,
            })
        }
        UNREADABLE => PartEntry::Unreadable {
            sequence: fields.number()?,
            what: fields.text()?.to_owned(),
        },
        _ => return None,
    };
    fields.0.is_empty().then_some(entry)
}

fn framed(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

fn number(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn length(out: &mut Vec<u8>, value: usize) {
    out.extend_from_slice(&u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes());
}

fn text(out: &mut Vec<u8>, value: &str) {
    length(out, value.len());
    out.extend_from_slice(value.as_bytes());
}

/// What is left of a body.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn record(&mut self) -> Option<PartEntry> {
        let receipt = AuditReceipt::new(self.number()?, self.digest()?);
        let id = Uuid::from_bytes(self.array()?);
        let micros = i64::from_le_bytes(self.array()?);
        let at = Timestamp::from_unix_micros(micros);
        // A time that no record can have would come back as another one.
        if at.as_unix_micros() != micros {
            return None;
        }
        let tenant = TenantId::new(self.text()?).ok()?;
        let kind = self.byte()?;
        let actor = self.text()?;
        let actor = match kind {
            0 => Actor::person(actor),
            1 => Actor::automation(actor),
            2 => Actor::service(actor),
            _ => return None,
        };
        let actor = actor.ok()?;
        let (action, resource_type, resource_id) = (self.owned()?, self.owned()?, self.owned()?);
        let outcome = match self.byte()? {
            0 => AuditOutcome::Succeeded,
            1 => AuditOutcome::Failed,
            2 => AuditOutcome::Denied,
            3 => AuditOutcome::Unknown,
            _ => return None,
        };
        let run = match self.text()? {
            "" => None,
            run => Some(RunId::new(run).ok()?),
        };
        let details = self.map(Self::owned)?;
        let salts = self.map(|fields| fields.array().map(Salt::from_bytes))?;
        let withheld = self.map(Self::digest)?;
        let record = AuditRecord {
            id,
            at,
            tenant,
            actor,
            action,
            resource_type,
            resource_id,
            outcome,
            run,
            details,
            salts,
            withheld,
        };
        Some(PartEntry::Record { receipt, record })
    }

    /// Names with a value each, in the order of the names, each once.
    fn map<T>(&mut self, value: impl Fn(&mut Self) -> Option<T>) -> Option<BTreeMap<String, T>> {
        let mut map = BTreeMap::new();
        for _ in 0..self.length()? {
            let (name, value) = (self.owned()?, value(self)?);
            if map.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return None;
            }
            map.insert(name, value);
        }
        Some(map)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).ok()
    }

    fn digest(&mut self) -> Option<Digest> {
        self.array().map(Digest::from_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn owned(&mut self) -> Option<String> {
        self.text().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> AuditRecord {
        let tenant = TenantId::new("org_a").unwrap();
        let actor = Actor::automation("cost-guard").unwrap();
        let mut record = AuditRecord::new(
            Timestamp::from_unix_micros(-7),
            tenant,
            actor,
            "export",
            "log",
            "月次",
        )
        .with_outcome(AuditOutcome::Denied)
        .with_detail("b", "")
        .with_detail("a", "1");
        record.run = Some(RunId::new("run_1").unwrap());
        record = record
            .with_salt("actor", Salt::from_bytes([7; 32]))
            .with_salt("details.b", Salt::from_bytes([8; 32]));
        assert!(record.withhold("details.b"));
        record
    }

    fn bodies(mut bytes: &[u8]) -> Vec<&[u8]> {
        let mut bodies = Vec::new();
        while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
            let (body, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
            bodies.push(body);
            bytes = rest;
        }
        bodies
    }

    #[test]
    fn what_is_written_is_read_and_nothing_shorter_or_longer() {
        let receipt = AuditReceipt::new(9, Digest::of(b"link"));
        let run = LeftOut {
            first: 10,
            count: 3,
            last_hash: Digest::of(b"last"),
            roots: vec![Digest::of(b"1"), Digest::of(b"2")],
        };
        let mut bytes = Vec::new();
        write_record(&mut bytes, &receipt, &record());
        write_left_out(&mut bytes, &run);
        write_unreadable(&mut bytes, 13, "column details");
        let bodies = bodies(&bytes);
        let [first, second, third] = bodies.as_slice() else {
            panic!("three entries")
        };
        let record = record();
        assert_eq!(
            read(first).map(|entry| match entry {
                PartEntry::Record { receipt, mut record } => {
                    record.id = Uuid::nil();
                    (receipt, record)
                }
                other => panic!("{other:?}"),
            }),
            Some((receipt, {
                let mut record = record;
                record.id = Uuid::nil();
                record
            }))
        );
        assert_eq!(read(second), Some(PartEntry::LeftOut(run)));
        assert_eq!(
            read(third),
            Some(PartEntry::Unreadable {
                sequence: 13,
                what: "column details".to_owned()
            })
        );
        for body in bodies {
            let mut longer = body.to_vec();
            longer.push(0);
            assert_eq!(read(&longer), None);
            for length in 0..body.len() {
                // A run with a root less is still a run; its count does not fit then.
                if body[0] != LEFT_OUT || (length < 49 || (length - 49) % 32 != 0) {
                    assert_eq!(read(&body[..length]), None, "{length} of {body:?}");
                }
            }
        }
    }
}
