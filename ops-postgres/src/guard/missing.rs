use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::access::{Access, Object};

/// What the connected role would have to be allowed, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Missing {
    rights: BTreeSet<String>,
    /// By owner: one of the objects, and how many there are.
    owners: BTreeMap<String, (String, usize)>,
}

impl Missing {
    pub(super) fn right(&mut self, right: impl Into<String>) {
        self.rights.insert(right.into());
    }

    pub(super) fn ownership(&mut self, object: &Object, access: &Access) {
        let entry = self
            .owners
            .entry(access.owner.clone())
            .or_insert_with(|| (object.name(), 0));
        entry.1 += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rights.is_empty() && self.owners.is_empty()
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owners = self.owners.iter().map(|(owner, (object, count))| {
            let more = match count {
                1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            format!("membership in {owner}, the owner of {object}{more}")
        });
        let parts: Vec<_> = self.rights.iter().cloned().chain(owners).collect();
        f.write_str(&parts.join("; "))
    }
}
