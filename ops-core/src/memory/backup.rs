use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::error::Result;
use crate::model::{BackupCopy, BackupState, ServerBackups, Text, Unseen};
use crate::ports::{BackupCapability, BackupInspector};

/// Backups in memory: a server that says what it is told to say, and copies.
#[derive(Debug, Default)]
pub struct InMemoryBackups {
    state: Mutex<BackupState>,
    plug: Plug,
}

impl InMemoryBackups {
    /// No server and no place for copies.
    pub fn new() -> Self {
        Self::default()
    }

    /// The server says this.
    pub fn set_server(&self, server: ServerBackups) {
        lock(&self.state).server = Some(server);
    }

    /// Adds a copy, or puts it in the place of the one of its name.
    pub fn add(&self, copy: BackupCopy) {
        let mut state = lock(&self.state);
        let copies = state.copies.get_or_insert_default();
        copies.retain(|there| there.name != copy.name);
        copies.push(copy);
        copies.sort_by(|one, two| (two.at, &one.name).cmp(&(one.at, &two.name)));
    }

    /// From now on `part` cannot be seen.
    pub fn hide(&self, part: &str, why: Text) {
        lock(&self.state).unseen.push(Unseen::new(part, why));
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }
}

#[async_trait]
impl BackupInspector for InMemoryBackups {
    fn name(&self) -> &str {
        "memory"
    }

    fn capability(&self) -> BackupCapability {
        BackupCapability::new(vec![Text::new(
            "記憶の中だけのもので、実際のバックアップではない",
            "lives in memory, and is no backup",
        )])
    }

    async fn inspect(&self) -> Result<BackupState> {
        self.plug.check("inspect backups")?;
        Ok(lock(&self.state).clone())
    }
}
