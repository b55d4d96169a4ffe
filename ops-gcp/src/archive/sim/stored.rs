use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ops_core::model::Timestamp;
use serde_json::{Map, Value, json};

use super::refusal::Refusal;

/// An object.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) bytes: Vec<u8>,
    pub(super) generation: u64,
    pub(super) metageneration: u64,
    pub(super) temporary_hold: bool,
    pub(super) event_based_hold: bool,
    /// Mode and time.
    pub(super) retention: Option<(String, Timestamp)>,
    pub(super) created: Timestamp,
    metadata: Value,
    content_type: Value,
}

/// What the bucket adds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BucketRules {
    /// Objects may have a retention of their own.
    pub(super) object_retention: bool,
    /// Each object is kept at least so long.
    pub(super) keep_seconds: Option<u32>,
}

impl Stored {
    /// A new object from the metadata of its upload.
    pub(super) fn new(
        seed: &Map<String, Value>,
        bytes: Vec<u8>,
        generation: u64,
        now: Timestamp,
        rules: BucketRules,
    ) -> Result<Self, Refusal> {
        let mut stored = Self {
            bytes,
            generation,
            metageneration: 1,
            temporary_hold: false,
            event_based_hold: false,
            retention: None,
            created: now,
            metadata: Value::Null,
            content_type: Value::Null,
        };
        stored.change(seed, true, now, rules)?;
        stored.metageneration = 1;
        Ok(stored)
    }

    /// Sets what a body names, all or nothing.
    pub(super) fn change(
        &mut self,
        body: &Map<String, Value>,
        override_unlocked: bool,
        now: Timestamp,
        rules: BucketRules,
    ) -> Result<(), Refusal> {
        let mut changed = self.clone();
        for (field, value) in body {
            let flag = || {
                value
                    .as_bool()
                    .ok_or_else(|| Refusal::invalid(format!("{field} must be a boolean")))
            };
            match field.as_str() {
                "temporaryHold" => changed.temporary_hold = flag()?,
                "eventBasedHold" => changed.event_based_hold = flag()?,
                "metadata" if value.is_object() => changed.metadata = value.clone(),
                "contentType" if value.is_string() => changed.content_type = value.clone(),
                "retention" => changed.retention = self.retained(value, override_unlocked, now, rules)?,
                // Of an upload; looked at when it ends.
                "name" | "crc32c" => {}
                _ => return Err(Refusal::invalid(format!("unknown or wrong field \"{field}\""))),
            }
        }
        if changed.event_based_hold && changed.retention.is_some() {
            return Err(Refusal::invalid(
                "an event-based hold and a retention exclude each other",
            ));
        }
        changed.metageneration += 1;
        *self = changed;
        Ok(())
    }

    fn retained(
        &self,
        asked: &Value,
        override_unlocked: bool,
        now: Timestamp,
        rules: BucketRules,
    ) -> Result<Option<(String, Timestamp)>, Refusal> {
        if !rules.object_retention {
            return Err(Refusal::invalid("object retention is not enabled on the bucket"));
        }
        let asked = match asked {
            Value::Null => None,
            asked => {
                let mode = asked["mode"]
                    .as_str()
                    .filter(|mode| ["Locked", "Unlocked"].contains(mode));
                let until = asked["retainUntilTime"]
                    .as_str()
                    .and_then(|time| time.parse::<Timestamp>().ok());
                let (Some(mode), Some(until)) = (mode, until) else {
                    return Err(Refusal::invalid("retention needs mode and retainUntilTime"));
                };
                if until <= now {
                    return Err(Refusal::invalid("retainUntilTime must be in the future"));
                }
                Some((mode.to_owned(), until))
            }
        };
        let Some((mode, until)) = &self.retention else {
            return Ok(asked);
        };
        let weaker = asked.as_ref().is_none_or(|(_, new)| new < until);
        let other_mode = asked.as_ref().is_some_and(|(new, _)| new != mode);
        let allowed = match mode.as_str() {
            "Locked" => !weaker && !other_mode,
            _ => override_unlocked || (!weaker && !other_mode),
        };
        match allowed {
            true => Ok(asked),
            false => Err(Refusal::new(
                403,
                "forbidden",
                "the retention cannot be reduced, removed or locked like this",
            )),
        }
    }

    /// Until when it is kept: the later of its own time and that of its bucket.
    fn kept_until(&self, rules: BucketRules) -> Option<Timestamp> {
        let by_bucket = rules
            .keep_seconds
            .map(|seconds| self.created + std::time::Duration::from_secs(seconds.into()));
        self.retention.as_ref().map(|(_, until)| *until).max(by_bucket)
    }

    /// Why it cannot be deleted.
    pub(super) fn keeps(&self, now: Timestamp, rules: BucketRules) -> Result<(), Refusal> {
        if self.temporary_hold || self.event_based_hold {
            return Err(Refusal::new(
                403,
                "objectUnderActiveHold",
                "Object is under active hold.",
            ));
        }
        match self.kept_until(rules) {
            Some(until) if until > now => Err(Refusal::new(
                403,
                "retentionPolicyNotMet",
                "Object is subject to a retention policy.",
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn crc32c(&self) -> String {
        STANDARD.encode(crc32c::crc32c(&self.bytes).to_be_bytes())
    }

    pub(super) fn json(&self, bucket: &str, name: &str, rules: BucketRules) -> Value {
        let mut object = json!({
            "kind": "storage#object",
            "id": format!("{bucket}/{name}/{}", self.generation),
            "bucket": bucket,
            "name": name,
            "size": self.bytes.len().to_string(),
            "generation": self.generation.to_string(),
            "metageneration": self.metageneration.to_string(),
            "crc32c": self.crc32c(),
            "timeCreated": self.created.to_string(),
            "storageClass": "STANDARD",
        });
        // Absent, not false.
        if self.temporary_hold {
            object["temporaryHold"] = true.into();
        }
        if self.event_based_hold {
            object["eventBasedHold"] = true.into();
        }
        if let Some((mode, until)) = &self.retention {
            object["retention"] = json!({"mode": mode, "retainUntilTime": until.to_string()});
        }
        if let Some(until) = self.kept_until(rules).filter(|_| !self.event_based_hold) {
            object["retentionExpirationTime"] = until.to_string().into();
        }
        for (field, value) in [("metadata", &self.metadata), ("contentType", &self.content_type)] {
            if !value.is_null() {
                object[field] = value.clone();
            }
        }
        object
    }
}
