use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, ErrorKind, Result};

/// Whether a provider can be reached.
#[derive(Debug, Default)]
pub(super) struct Plug {
    pulled: AtomicBool,
}

impl Plug {
    pub(super) fn set_reachable(&self, reachable: bool) {
        self.pulled.store(!reachable, Ordering::SeqCst);
    }

    pub(super) fn check(&self, operation: &'static str) -> Result<()> {
        if self.pulled.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, operation).provider("memory"));
        }
        Ok(())
    }
}
