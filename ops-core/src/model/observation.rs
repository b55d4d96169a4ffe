use serde::{Deserialize, Serialize};

use super::{RunId, Snapshot, Text};

/// What a read-back shows. "Cannot tell" is never success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "three values on purpose: a caller must decide on each"
)]
pub enum Verdict {
    /// Evidence was read and shows the wanted state.
    Holds,
    /// Evidence was read and does not show the wanted state yet.
    NotYet {
        /// What was seen instead.
        reason: String,
    },
    /// No evidence could be read.
    Unknown {
        /// Why not.
        reason: String,
    },
}

impl Verdict {
    /// The wanted state was seen.
    pub fn holds(&self) -> bool {
        matches!(self, Self::Holds)
    }

    /// [`Verdict::NotYet`] with what was seen instead.
    pub fn not_yet(reason: impl Into<String>) -> Self {
        Self::NotYet {
            reason: reason.into(),
        }
    }

    /// [`Verdict::Unknown`] with why nothing could be read.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown {
            reason: reason.into(),
        }
    }

    /// `holds`, `not_yet` or `unknown`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::NotYet { .. } => "not_yet",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// What was seen instead, or why nothing could be read.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Holds => None,
            Self::NotYet { reason } | Self::Unknown { reason } => Some(reason),
        }
    }
}

/// Whether a target lets work through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a caller must decide on each")]
pub enum TargetState {
    /// Nothing that our stop does is in force.
    Serving,
    /// Part of what our stop does is in force.
    PartlyStopped,
    /// All that our stop does is in force.
    Stopped,
}

/// What a provider read of one target, fresh from the vendor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    snapshot: Snapshot,
    state: TargetState,
    settled: Verdict,
    caveats: Vec<Text>,
    marker: Option<RunId>,
}

impl Observation {
    /// A settled observation without caveats.
    pub fn new(snapshot: Snapshot, state: TargetState) -> Self {
        Self {
            snapshot,
            state,
            settled: Verdict::Holds,
            caveats: Vec::new(),
            marker: None,
        }
    }

    /// Says whether the vendor has finished making the state effective.
    #[must_use]
    pub fn with_settled(mut self, settled: Verdict) -> Self {
        self.settled = settled;
        self
    }

    /// Adds a limitation that the operator must be told (for example: a tag URL that stays reachable).
    #[must_use]
    pub fn with_caveat(mut self, caveat: Text) -> Self {
        self.caveats.push(caveat);
        self
    }

    /// Adds the run whose marker was found on the target.
    #[must_use]
    pub fn with_marker(mut self, marker: Option<RunId>) -> Self {
        self.marker = marker;
        self
    }

    /// The restorable state.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Whether the target lets work through.
    pub fn state(&self) -> TargetState {
        self.state
    }

    /// Whether the vendor has finished making the state effective.
    pub fn settled(&self) -> &Verdict {
        &self.settled
    }

    /// Limitations that the operator must be told.
    pub fn caveats(&self) -> &[Text] {
        &self.caveats
    }

    /// The run that left its marker on the target, where the vendor allows a marker.
    pub fn marker(&self) -> Option<&RunId> {
        self.marker.as_ref()
    }

    /// Whether the target is stopped, and effectively so.
    pub fn stopped(&self) -> Verdict {
        match (self.state, &self.settled) {
            (TargetState::Stopped, settled) => settled.clone(),
            (TargetState::PartlyStopped, _) => Verdict::not_yet("only partly stopped"),
            (TargetState::Serving, _) => Verdict::not_yet("still serving"),
        }
    }
}

/// A change that the vendor has accepted. It may not be effective yet: `observe` tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    receipt: Option<String>,
}

impl Accepted {
    /// Accepted without a receipt.
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepted; `receipt` is the vendor's name of the change (an operation, a version), no secret.
    pub fn with_receipt(receipt: impl Into<String>) -> Self {
        Self {
            receipt: Some(receipt.into()),
        }
    }

    /// The vendor's name of the change.
    pub fn receipt(&self) -> Option<&str> {
        self.receipt.as_deref()
    }
}
