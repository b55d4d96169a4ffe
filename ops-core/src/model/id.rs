use super::{Timestamp, string_id};

string_id! {
    /// One run of a procedure. Sorts by the time it began.
    RunId, "run id", 64
}

string_id! {
    /// The same value for every attempt of one step, so that a provider can tell a repetition from a new request.
    IdempotencyKey, "idempotency key", 160
}

impl RunId {
    /// A fresh id for a run that begins `at`: `run_` and a UUID of version 7.
    pub fn generate(at: Timestamp) -> Self {
        let micros = at.as_unix_micros().max(0).unsigned_abs();
        let nanos = u32::try_from(micros % 1_000_000).unwrap_or(0) * 1_000;
        let stamp = uuid::Timestamp::from_unix(uuid::NoContext, micros / 1_000_000, nanos);
        Self(format!("run_{}", uuid::Uuid::new_v7(stamp).simple()))
    }
}

impl IdempotencyKey {
    /// The key of one step of one run.
    pub fn for_step(run: &RunId, step: u32) -> Self {
        Self(format!("{run}/{step}"))
    }

    /// The run that this key belongs to.
    pub fn run(&self) -> &str {
        self.0.split('/').next().unwrap_or(&self.0)
    }
}
