//! Providers that keep everything in a directory: the default when there is no database.
//!
//! What a call has acknowledged survives kill -9 and a power cut. Files are readable by their owner only. Several processes
//! of **one machine** may share a directory on a local disk that knows hard links and file locks; more machines need PostgreSQL.
//! The end of a write that a crash cut short is recognised and moved aside; any other damage is an error that names file
//! and line, and nothing is deleted. Every file names its format, so that a later version can tell.

mod approval;
mod archive;
mod audit;
mod drill_log;
mod due;
mod evidence;
mod group;
mod incident;
mod journal;
mod lease;
mod limits;
mod notices;
mod processes;
mod readiness;
mod restore_tests;
mod switches;

pub use self::approval::FileApprovals;
pub use self::archive::DirectoryArchive;
pub use self::audit::FileAudit;
pub use self::drill_log::FileDrillLog;
pub use self::due::FileDueDates;
pub use self::incident::FileIncidents;
pub use self::journal::FileJournal;
pub use self::lease::FileLeases;
pub use self::limits::FileLimits;
pub use self::notices::FileNotices;
pub use self::processes::FileProcesses;
pub use self::readiness::FileReadiness;
pub use self::restore_tests::FileRestoreTests;
pub use self::switches::FileSwitches;
