use std::fmt;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::IncidentChange;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Actor, IncidentEntryId, IncidentId, Timestamp};

/// One line of an incident's log. Its texts are masked before it is made; it is written once.
///
/// What a newer version wrote into it is kept, wherever in it, and written again with it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct IncidentEntry {
    /// By what it is known, wherever it is kept: the number may become another one.
    pub id: IncidentEntryId,
    /// The incident.
    pub incident: IncidentId,
    /// 1, 2, 3 … without a gap, in the order of arrival. Two who write at once write the same number, and one of them is told.
    pub number: u32,
    /// When it was written, by the clock of who wrote it.
    pub at: Timestamp,
    /// What decides which entry comes after which: `at`, or the moment after the newest entry that its writer had seen, if their clock was behind that.
    pub order: Timestamp,
    /// By whom.
    pub by: Actor,
    /// What it says.
    pub change: IncidentChange,
    newer: Newer,
}

impl IncidentEntry {
    /// An entry with a fresh id. The caller has masked the texts.
    pub fn new(incident: IncidentId, number: u32, at: Timestamp, by: Actor, change: IncidentChange) -> Self {
        Self {
            id: IncidentEntryId::generate(at),
            incident,
            number,
            at,
            order: at,
            by,
            change,
            newer: Newer::default(),
        }
    }

    /// The same entry under another number.
    #[must_use]
    pub fn renumbered(&self, number: u32) -> Self {
        Self {
            number,
            ..self.clone()
        }
    }

    /// Whether both are the same entry, whatever their numbers.
    pub fn is_the_same_as(&self, other: &Self) -> bool {
        self.id == other.id && self.incident == other.incident
    }

    /// The entries of one incident in the order in which they take effect: the first, which opens it, and the others by [`order`](Self::order), where that is equal by id.
    /// It is the same order, however the entries arrived.
    pub fn in_order(entries: &[Self]) -> Vec<&Self> {
        let mut ordered: Vec<_> = entries.iter().collect();
        if let Some((_, rest)) = ordered.split_first_mut() {
            rest.sort_by(|one, other| (one.order, &one.id).cmp(&(other.order, &other.id)));
        }
        ordered
    }

    /// Whether a store may take it: the first entry opens, and no other does.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] otherwise.
    pub fn check(&self) -> Result<()> {
        let opens = matches!(self.change, IncidentChange::Opened { .. });
        if opens == (self.number == 1) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidInput, "keep incident entry")
            .context("number", "the first entry, and no other, opens an incident"))
    }
}

impl Serialize for IncidentEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let known = Wire {
            id: Some(self.id.clone()),
            incident: self.incident.clone(),
            number: self.number,
            at: self.at,
            order: Some(self.order).filter(|order| *order != self.at),
            by: self.by.clone(),
            change: self.change.clone(),
        };
        let Some(newer) = &self.newer.0 else {
            return known.serialize(serializer);
        };
        let mut whole = serde_json::to_value(known).map_err(S::Error::custom)?;
        add(&mut whole, newer);
        whole.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for IncidentEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let read = Map::deserialize(deserializer)?;
        // The fault may repeat what was written.
        let wrong = || D::Error::custom("is no entry of an incident");
        let read = Value::Object(read);
        let known = Wire::deserialize(&read).map_err(|_| wrong())?;
        let again = serde_json::to_value(&known).map_err(|_| wrong())?;
        let newer = beyond(&read, &again).map(Box::new);
        let id = match known.id {
            Some(id) => id,
            None => IncidentEntryId::of_content(&content(&known).ok_or_else(wrong)?),
        };
        Ok(Self {
            id,
            incident: known.incident,
            number: known.number,
            at: known.at,
            order: known.order.unwrap_or(known.at),
            by: known.by,
            change: known.change,
            newer: Newer(newer),
        })
    }
}

/// What this version writes.
#[derive(Serialize, Deserialize)]
struct Wire {
    /// An entry that was written before entries had ids is known by its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<IncidentEntryId>,
    incident: IncidentId,
    number: u32,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<Timestamp>,
    by: Actor,
    change: IncidentChange,
}

/// What was read and this version does not write: fields of a newer one. `Debug` shows nothing of it.
#[derive(Clone, Default, PartialEq)]
struct Newer(Option<Box<Value>>);

impl fmt::Debug for Newer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "fields" } else { "nothing" })
    }
}

/// Moment, author and content, without what may change.
fn content(known: &Wire) -> Option<String> {
    let content = serde_json::to_string(&(&known.incident, known.at, &known.by, &known.change)).ok()?;
    let digest = Sha256::digest(content.as_bytes());
    Some(digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

/// What `read` has and `known` has not.
fn beyond(read: &Value, known: &Value) -> Option<Value> {
    let (Value::Object(read), Value::Object(known)) = (read, known) else {
        return None;
    };
    let mut more = Map::new();
    for (name, value) in read {
        let value = match known.get(name) {
            Some(known) => beyond(value, known),
            None => Some(value.clone()),
        };
        more.extend(value.map(|value| (name.clone(), value)));
    }
    (!more.is_empty()).then_some(Value::Object(more))
}

/// Adds what [`beyond`] took; what is there already stays.
fn add(whole: &mut Value, more: &Value) {
    let (Value::Object(whole), Value::Object(more)) = (whole, more) else {
        return;
    };
    for (name, value) in more {
        match whole.get_mut(name) {
            Some(known) => add(known, value),
            None => {
                whole.insert(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn newer() -> Value {
        json!({
            "id": "ine_1", "incident": "inc_1", "number": 3, "at": "2026-01-30T00:00:00Z", "region": {"name": "tokyo"},
            "by": {"kind": "person", "id": "alice", "team": ["a", 1]},
            "change": {"kind": "resolved", "text": "restarted", "confidence": 0.5, "by_whom": null},
        })
    }

    #[test]
    fn fields_of_a_newer_version_in_a_change_that_is_known_stay() {
        let entry: IncidentEntry = serde_json::from_value(newer()).unwrap();
        assert!(matches!(entry.change, IncidentChange::Resolved { .. }));
        assert_eq!(serde_json::to_value(&entry).unwrap(), newer());
        let mut moved = newer();
        moved["number"] = json!(7);
        let entry = entry.renumbered(7);
        assert_eq!(serde_json::to_value(&entry).unwrap(), moved);
        assert!(!format!("{entry:?}").contains("tokyo"), "{entry:?}");
    }

    #[test]
    fn an_entry_that_was_written_without_an_id_has_one_that_does_not_depend_on_its_number() {
        let read = |number: u32, text: &str| {
            let mut old = newer();
            old.as_object_mut().unwrap().remove("id");
            old["number"] = json!(number);
            old["change"]["text"] = json!(text);
            serde_json::from_value::<IncidentEntry>(old).unwrap()
        };
        assert!(read(3, "a").is_the_same_as(&read(7, "a")));
        assert!(!read(3, "a").is_the_same_as(&read(3, "b")));
        assert_eq!(read(3, "a").id.as_str().len(), 36);
    }

    #[test]
    fn what_is_no_entry_is_told_without_what_it_says() {
        let mut damaged = newer();
        damaged["at"] = json!("tanaka@example.com");
        let error = serde_json::from_value::<IncidentEntry>(damaged).unwrap_err();
        assert!(!error.to_string().contains("tanaka"), "{error}");
    }
}
