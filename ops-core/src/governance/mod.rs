//! What is looked after between emergencies: would the button work, today?

mod approvers;
mod backup;
mod calendar;
mod coverage;
mod credentials;
mod diagnosis;
mod doctor;
mod drilled;
pub mod migration;
mod queues;
mod triage;

pub use self::approvers::check_approvers;
pub use self::backup::{
    BackupFinding, BackupReport, BackupSeverity, Loss, LossBy, backup_report, inspect_backups,
};
pub use self::calendar::{Agenda, AgendaEntry, DueState, MAX_AHEAD, MAX_MISSED, agenda};
pub use self::coverage::Ignored;
pub use self::credentials::{Credential, check_credential};
pub use self::diagnosis::Diagnosis;
pub use self::doctor::{Examination, doctor};
pub use self::drilled::drilled;
pub use self::queues::queues_feeding;
pub use self::triage::{TriageFinding, TriageStep, triage};
