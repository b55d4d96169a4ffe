use serde::{Deserialize, Serialize};

use crate::model::Outcome;

/// What became of one notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Delivery {
    /// The channel or person.
    pub audience: String,
    /// What the channel said; an outbox says that nobody has been told yet.
    pub receipt: Option<String>,
    /// Why it was not accepted; `None`: the channel accepted it.
    pub error: Option<String>,
}

/// What a run did, what was recorded of it, and who was told.
#[must_use = "a report says what failed"]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// What the run did; its `audited` is final here.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Who was told.
    pub notices: Vec<Delivery>,
    /// What could not be recorded, a line each.
    pub unrecorded: Vec<String>,
}
