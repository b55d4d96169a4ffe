//! What is sent and what the simulators answer, against the vendors' own schemas.
//!
//! The schemas are not part of this repository: `OPS_CONTRACTS_DIR` names the folder that holds them.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic, also outside the function that is marked as one"
)]

mod railway;
mod recording;
mod selection;
mod vercel;

use std::io::Write;
use std::path::PathBuf;

/// The text of a schema file; `None`, and said aloud, where no folder is given. A file that is missing in it is a failure.
fn contract(path: &str, test: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "which schemas to test against is the environment's to say"
    )]
    let folder = std::env::var("OPS_CONTRACTS_DIR")
        .ok()
        .filter(|folder| !folder.is_empty());
    let Some(folder) = folder else {
        // Not `eprintln!`: the output of a test that passes is not shown.
        let _ = writeln!(
            std::io::stderr(),
            "LEFT OUT: {test}: OPS_CONTRACTS_DIR is not set"
        );
        return None;
    };
    let file = PathBuf::from(folder).join(path);
    match std::fs::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(error) => panic!("{}: {error}", file.display()),
    }
}
