use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::emergency::{Procedure, Step};
use crate::error::Result;
use crate::model::{Severity, Timestamp};
use crate::ports::Action;

/// What sort of permission incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the runbook has exactly these")]
pub enum PermissionIncident {
    /// Somebody could do more than they may.
    Escalation,
    /// Data of one organisation was seen by another.
    LeakBetweenOrganisations,
    /// Somebody cannot do what they may.
    MissingPermission,
}

impl PermissionIncident {
    /// How bad it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::Escalation | Self::LeakBetweenOrganisations => Severity::P1,
            Self::MissingPermission => Severity::P3,
        }
    }

    /// When those affected and the Personal Information Protection Commission are to be told, counted from when it became known; `None` where no data
    /// was seen by somebody who may not.
    ///
    /// The rules say "promptly, about three to five days" for the first report: the third day is taken. The whole report is due within 30 days, within
    /// 60 where somebody did it on purpose.
    pub fn reports_due(self, known_at: Timestamp, on_purpose: bool) -> Option<ReportsDue> {
        let days = |days: u64| known_at + Duration::from_secs(days * 86_400);
        match self {
            Self::MissingPermission => None,
            Self::Escalation | Self::LeakBetweenOrganisations => Some(ReportsDue {
                first: days(3),
                whole: days(if on_purpose { 60 } else { 30 }),
            }),
        }
    }
}

/// When reports are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReportsDue {
    /// The first report, with what is known by then.
    pub first: Timestamp,
    /// The whole report.
    pub whole: Timestamp,
}

/// Answers a permission incident: the user's sessions end, the endpoint and the account are suspended and evidence is preserved, all at the same time.
///
/// `suspend`: what is kept shut, endpoints and the account of the user ([`SuspendAccount`](crate::actions::SuspendAccount)). Without the account, a user whose sessions were
/// ended signs in again. A session that begins between the end of the others and the suspension cannot be renewed while the account is suspended,
/// and goes on when it is resumed: revoke once more before that. The way back of the run resumes the account together with the endpoints; one
/// that is to stay shut for longer belongs in a procedure of its own.
///
/// Neither waits for another: the leak ends however long the export takes, and nothing of it touches the trail. The export may take 2 minutes
/// (`settings` may set it).
///
/// # Errors
/// As [`Procedure::new`].
pub fn permission_incident(
    name: &str,
    preserve: Arc<dyn Action>,
    revoke: Option<Arc<dyn Action>>,
    suspend: Vec<Arc<dyn Action>>,
    settings: impl Fn(Step) -> Step,
) -> Result<Procedure> {
    let mut steps = vec![settings(Step::new(preserve).with_timeout(PRESERVE))];
    let leak = revoke.into_iter().chain(suspend);
    steps.extend(leak.map(|action| settings(Step::new(action))));
    Procedure::new(name, steps)
}

const PRESERVE: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_by_others_is_reported_and_what_was_missing_is_not() {
        let known = Timestamp::UNIX_EPOCH;
        let day = |n: u64| known + Duration::from_secs(n * 86_400);
        for kind in [
            PermissionIncident::Escalation,
            PermissionIncident::LeakBetweenOrganisations,
        ] {
            assert_eq!(kind.severity(), Severity::P1);
            let due = kind.reports_due(known, false).unwrap();
            assert_eq!((due.first, due.whole), (day(3), day(30)));
            assert_eq!(kind.reports_due(known, true).unwrap().whole, day(60));
        }
        let missing = PermissionIncident::MissingPermission;
        assert_eq!(
            (missing.severity(), missing.reports_due(known, true)),
            (Severity::P3, None)
        );
    }
}
