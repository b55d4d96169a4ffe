use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::messages::{need_readable_service, need_valid_credential};
use crate::model::{Check, TargetId, Text};
use crate::ports::ReadinessProbe;

/// Says that everything of the system `memory` is there, but for what a test takes away.
#[derive(Debug, Default)]
pub struct InMemoryReadiness {
    missing: Mutex<BTreeMap<TargetId, String>>,
    plug: Plug,
}

impl InMemoryReadiness {
    /// Everything is there.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on `target` cannot be read, because of `why`.
    pub fn take_away(&self, target: TargetId, why: impl Into<String>) {
        lock(&self.missing).insert(target, why.into());
    }

    /// Pulls the plug (`false`) or puts it back: nothing can be found out then.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }
}

#[async_trait]
impl ReadinessProbe for InMemoryReadiness {
    fn limitations(&self) -> Vec<Text> {
        vec![Text::new("メモリ上の模擬です", "this is a simulation in memory")]
    }

    async fn examine(&self, targets: &[TargetId]) -> Vec<Check> {
        let credential = need_valid_credential("memory");
        if let Err(error) = self.plug.check("examine") {
            let unread = targets
                .iter()
                .map(|target| need_readable_service(target.as_str()).failed(&error));
            return std::iter::once(credential.failed(&error)).chain(unread).collect();
        }
        let missing = lock(&self.missing);
        let services = targets.iter().map(|target| {
            let need = need_readable_service(target.as_str());
            match missing.get(target) {
                Some(why) => need.missing(why),
                None if target.system() == "memory" => need.ready(),
                None => need.missing("is of another system"),
            }
        });
        std::iter::once(credential.ready()).chain(services).collect()
    }
}
