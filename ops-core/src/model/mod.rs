//! The values that travel from stage to stage. No I/O, no clock of their own.

mod actor;
mod approval;
mod audit;
mod drill;
mod id;
mod masking;
mod money;
mod notice;
mod observation;
mod opening;
mod outcome;
mod pii;
mod plan;
mod queue;
mod readiness;
mod salt;
mod severity;
mod share;
mod signal;
mod snapshot;
mod target;
mod tenant;
mod text;
mod timestamp;
mod window;

pub use self::actor::{Actor, ActorKind};
pub use self::approval::{Approval, ApprovalRequest, BrokenGlass};
pub use self::audit::{AuditOutcome, AuditRecord, Withheld};
pub use self::drill::{DrillReport, DrillVerdict, DrilledStep, DrilledTarget, LastDrill};
pub use self::id::{IdempotencyKey, RunId};
pub use self::masking::{Destination, MaskingPolicy, Treatment};
pub use self::money::{Currency, Money};
pub use self::notice::Notice;
pub use self::observation::{Accepted, Observation, TargetState, Verdict};
pub use self::opening::{AbortCause, Aborted, ClosedAgain, GateReport, GateResult, Opening, PlannedGate};
pub use self::outcome::{Outcome, OutcomeStatus, StepReport, StepResult};
pub use self::pii::{PiiCategory, PiiSpan, PiiType};
pub use self::plan::{Digest, Effect, PlanKind, PlannedStep, Prior};
pub use self::queue::{Burst, FeedingQueue, GivenUp, QueueKind, QueueMatch};
pub use self::readiness::{Check, CheckState, Need};
pub use self::salt::Salt;
pub use self::severity::Severity;
pub use self::share::Share;
pub use self::signal::Signal;
pub use self::snapshot::{Difference, Snapshot};
pub use self::target::TargetId;
pub use self::tenant::TenantId;
pub use self::text::{Lang, Text};
pub use self::timestamp::Timestamp;
pub use self::window::{TimeOfDay, Weekday, Window};

/// A string newtype that accepts 1 to `$max` visible ASCII characters.
macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident, $field:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            #[doc = concat!("Accepts 1 to ", $max, " visible ASCII characters (no space, no control character).")]
            ///
            /// # Errors
            /// [`ErrorKind::InvalidInput`](crate::error::ErrorKind::InvalidInput) otherwise; the text itself is not repeated.
            pub fn new(text: impl Into<String>) -> crate::error::Result<Self> {
                let text = text.into();
                if text.is_empty() || text.len() > $max || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(crate::error::Error::new(crate::error::ErrorKind::InvalidInput, concat!("read ", $field))
                        .context($field, concat!("must be 1 to ", $max, " visible ASCII characters")));
                }
                Ok(Self(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = crate::error::Error;
            fn try_from(text: String) -> crate::error::Result<Self> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::error::Error;
            fn from_str(text: &str) -> crate::error::Result<Self> {
                Self::new(text)
            }
        }
    };
}
pub(crate) use string_id;
