use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, ErrorKind, Result};

/// Whether a provider can be reached; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Plug {
    pulled: Arc<AtomicBool>,
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
