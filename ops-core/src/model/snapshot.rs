use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::TargetId;

/// The state of a target, as far as a stop can change it.
///
/// `fields` is what a restore writes back and what "exactly" is judged on. `witness` is what tells that somebody else was
/// here (a newer deployment, another template); it is compared before a restore and never written.
/// Volatile values (etag, generation, times) belong in neither. Secrets never enter: only a vendor's reference to one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    target: TargetId,
    format: String,
    fields: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    witness: BTreeMap<String, Value>,
}

impl Snapshot {
    /// An empty snapshot of `target`; `format` names the provider's field set and its version, as in `cloud-run/1`.
    pub fn new(target: TargetId, format: impl Into<String>) -> Self {
        Self {
            target,
            format: format.into(),
            fields: BTreeMap::new(),
            witness: BTreeMap::new(),
        }
    }

    /// Adds a field that a restore writes back.
    #[must_use]
    pub fn with_field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }

    /// Adds a value that shows whether somebody else changed the target.
    #[must_use]
    pub fn with_witness(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.witness.insert(name.into(), value.into());
        self
    }

    /// The target.
    pub fn target(&self) -> &TargetId {
        &self.target
    }

    /// The provider's field set and its version.
    pub fn format(&self) -> &str {
        &self.format
    }

    /// What a restore writes back.
    pub fn fields(&self) -> &BTreeMap<String, Value> {
        &self.fields
    }

    /// One field.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// What shows that somebody else was here.
    pub fn witness(&self) -> &BTreeMap<String, Value> {
        &self.witness
    }

    /// The bytes that two snapshots are compared by: target, format and fields as JSON with sorted keys.
    pub fn restorable_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&(&self.target, &self.format, &self.fields)).unwrap_or_default()
    }

    /// Where `found` differs from this: fields, then witnesses, by path.
    pub fn differences(&self, found: &Self) -> Vec<Difference> {
        let mut differences = Vec::new();
        if self.format != found.format {
            differences.push(Difference::new(
                "format",
                Some(self.format.as_str().into()),
                Some(found.format.as_str().into()),
            ));
        }
        compare(&self.fields, &found.fields, &mut differences);
        compare(&self.witness, &found.witness, &mut differences);
        differences
    }
}

fn compare(wanted: &BTreeMap<String, Value>, found: &BTreeMap<String, Value>, into: &mut Vec<Difference>) {
    let names = wanted
        .keys()
        .chain(found.keys().filter(|name| !wanted.contains_key(*name)));
    for name in names {
        compare_value(name, wanted.get(name), found.get(name), into);
    }
}

fn compare_value(path: &str, wanted: Option<&Value>, found: Option<&Value>, into: &mut Vec<Difference>) {
    if wanted == found {
        return;
    }
    if let (Some(Value::Object(wanted)), Some(Value::Object(found))) = (wanted, found) {
        let names = wanted
            .keys()
            .chain(found.keys().filter(|name| !wanted.contains_key(*name)));
        for name in names {
            compare_value(&format!("{path}.{name}"), wanted.get(name), found.get(name), into);
        }
        return;
    }
    into.push(Difference::new(path, wanted.cloned(), found.cloned()));
}

/// One field in which a target is not as expected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Difference {
    /// Dotted path of the field.
    pub path: String,
    /// What was expected; `None`: absent.
    pub expected: Option<Value>,
    /// What is there; `None`: absent.
    pub found: Option<Value>,
}

impl Difference {
    fn new(path: &str, expected: Option<Value>, found: Option<Value>) -> Self {
        Self {
            path: path.to_owned(),
            expected,
            found,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn snapshot(scaling: Value) -> Snapshot {
        Snapshot::new(TargetId::new("cloud-run:a").unwrap(), "cloud-run/1").with_field("scaling", scaling)
    }

    #[test]
    fn names_the_path_that_differs() {
        let prior = snapshot(json!({"mode": "AUTOMATIC", "min": 2})).with_witness("revision", "a-1");
        let found = snapshot(json!({"mode": "MANUAL", "min": 2})).with_witness("revision", "a-2");
        let paths: Vec<_> = prior
            .differences(&found)
            .into_iter()
            .map(|difference| difference.path)
            .collect();
        assert_eq!(paths, ["scaling.mode", "revision"]);
        assert_ne!(prior.restorable_bytes(), found.restorable_bytes());
    }

    #[test]
    fn witnesses_do_not_count_as_restorable() {
        let first = snapshot(json!({"mode": "AUTOMATIC"})).with_witness("revision", "a-1");
        let second = snapshot(json!({"mode": "AUTOMATIC"})).with_witness("revision", "a-2");
        assert_eq!(first.restorable_bytes(), second.restorable_bytes());
    }
}
