//! Backups: what the server says of its archive and its standbys, which copies a directory holds, and whether a dump restores.

mod base;
mod files;
mod judge;
mod label;
mod program;
mod restore;
mod script;
mod segment;
mod server;
mod tar;
mod toc;

pub use self::files::DumpFiles;
pub use self::restore::RestoreTrial;
pub use self::server::PostgresBackups;
