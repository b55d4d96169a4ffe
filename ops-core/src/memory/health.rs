use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::model::Verdict;
use crate::ports::HealthProbe;

/// The health of something that says itself how it is. Unknown until it has said so.
#[derive(Debug)]
pub struct InMemoryHealth {
    said: Mutex<Verdict>,
    looks: AtomicUsize,
    plug: Plug,
}

impl InMemoryHealth {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self {
            said: Mutex::new(Verdict::unknown("nothing has been reported yet")),
            looks: AtomicUsize::new(0),
            plug: Plug::default(),
        }
    }

    /// Says how it is from now on.
    pub fn set(&self, verdict: Verdict) {
        *lock(&self.said) = verdict;
    }

    /// How often it was looked at.
    pub fn looks(&self) -> usize {
        self.looks.load(Ordering::SeqCst)
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }
}

impl Default for InMemoryHealth {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl HealthProbe for InMemoryHealth {
    async fn check(&self) -> Verdict {
        self.looks.fetch_add(1, Ordering::SeqCst);
        match self.plug.check("check health") {
            Ok(()) => lock(&self.said).clone(),
            Err(error) => Verdict::unknown(error.to_string()),
        }
    }
}
