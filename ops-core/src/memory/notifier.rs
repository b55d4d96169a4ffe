use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::error::Result;
use crate::model::{Accepted, Notice};
use crate::ports::Notifier;

/// Keeps the notices that were sent; a repeated key is kept once.
#[derive(Debug, Default)]
pub struct InMemoryNotifier {
    sent: Mutex<Vec<Notice>>,
    plug: Plug,
}

impl InMemoryNotifier {
    /// Nothing sent.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was sent, oldest first.
    pub fn sent(&self) -> Vec<Notice> {
        lock(&self.sent).clone()
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }
}

#[async_trait]
impl Notifier for InMemoryNotifier {
    async fn send(&self, notice: &Notice) -> Result<Accepted> {
        self.plug.check("send notice")?;
        let mut sent = lock(&self.sent);
        if !sent.iter().any(|known| known.key == notice.key) {
            sent.push(notice.clone());
        }
        Ok(Accepted::new())
    }
}
