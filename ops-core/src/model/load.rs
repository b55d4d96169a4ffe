use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::SessionMatch;

/// How full the connections of a server are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "each has an answer of its own")]
pub enum ConnectionBand {
    /// Below 80 %.
    Free,
    /// From 80 % on: find out who holds them.
    Tight,
    /// From 90 % on: the next burst is refused.
    Full,
}

/// Connections in use, and how many there can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConnectionUse {
    /// Clients of the whole server.
    pub used: u32,
    /// For everybody but superusers.
    pub most: u32,
}

impl ConnectionUse {
    /// `used` of at most `most`.
    pub fn new(used: u32, most: u32) -> Self {
        Self { used, most }
    }

    /// In percent, rounded down; 100 where there can be none.
    pub fn percent(self) -> u32 {
        let percent = u64::from(self.used) * 100 / u64::from(self.most.max(1));
        match self.most {
            0 => 100,
            _ => u32::try_from(percent).unwrap_or(u32::MAX),
        }
    }

    /// 80 and 90 % are the borders.
    pub fn band(self) -> ConnectionBand {
        match self.percent() {
            90.. => ConnectionBand::Full,
            80.. => ConnectionBand::Tight,
            _ => ConnectionBand::Free,
        }
    }
}

/// What a session does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SessionState {
    /// Runs a statement.
    Active,
    /// Has nothing to do.
    Idle,
    /// Holds a transaction open and runs nothing.
    IdleInTransaction,
    /// Something else, or not for us to see.
    Other,
}

/// A session of a database, as the server shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DatabaseSession {
    /// The process of the server, and when it began (microseconds since 1970; 0: not to be seen): together they name one session for good.
    pub pid: i32,
    /// See `pid`.
    pub began_micros: i64,
    /// Since when it does what it does (microseconds since 1970): another statement has another.
    pub since_micros: i64,
    /// The role that logged in.
    pub role: String,
    /// The name that the application gave itself; masked.
    pub application: String,
    /// What it does.
    pub state: SessionState,
    /// For how long it has done so.
    pub lasting: Duration,
    /// For how long its transaction is open.
    pub transaction: Duration,
    /// The statement, masked and cut; empty: not to be seen.
    pub query: String,
    /// Whose locks it waits for.
    pub blocked_by: Vec<i32>,
    /// Never acted on: a superuser's, a system's, our own or an exempt one.
    pub untouchable: bool,
}

impl DatabaseSession {
    /// An idle session of `role`.
    pub fn new(pid: i32, role: impl Into<String>) -> Self {
        Self {
            pid,
            began_micros: 0,
            since_micros: 0,
            role: role.into(),
            application: String::new(),
            state: SessionState::Idle,
            lasting: Duration::ZERO,
            transaction: Duration::ZERO,
            query: String::new(),
            blocked_by: Vec::new(),
            untouchable: false,
        }
    }
}

/// Who keeps whom waiting: a session that waits for nobody, and all that wait for it, also through others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BlockingChain {
    /// Where it begins. Of a ring of waiters, the one with the smallest number.
    pub root: i32,
    /// Who waits, and how many stand between it and the root: 1 waits for the root itself. Nearest first.
    pub waiting: Vec<(i32, u32)>,
}

/// The chains of blockers among `sessions`, the longest first.
pub fn blocking_chains(sessions: &[DatabaseSession]) -> Vec<BlockingChain> {
    let mut behind: BTreeMap<i32, BTreeSet<i32>> = BTreeMap::new();
    for session in sessions {
        for blocker in &session.blocked_by {
            behind.entry(*blocker).or_default().insert(session.pid);
        }
    }
    let waits: BTreeSet<i32> = behind.values().flatten().copied().collect();
    let mut roots: Vec<i32> = behind
        .keys()
        .copied()
        .filter(|pid| !waits.contains(pid))
        .collect();
    let mut chains = Vec::new();
    let mut reached = BTreeSet::new();
    // Rings have no root: what is left over begins with the smallest.
    for candidate in std::mem::take(&mut roots)
        .into_iter()
        .chain(behind.keys().copied())
    {
        if !reached.insert(candidate) {
            continue;
        }
        let mut waiting = Vec::new();
        let mut nearest = vec![candidate];
        let mut depth = 0;
        let mut seen = BTreeSet::from([candidate]);
        while !nearest.is_empty() {
            depth += 1;
            let next: BTreeSet<i32> = nearest
                .iter()
                .filter_map(|pid| behind.get(pid))
                .flatten()
                .copied()
                .filter(|pid| seen.insert(*pid))
                .collect();
            waiting.extend(next.iter().map(|pid| (*pid, depth)));
            reached.extend(&next);
            nearest = next.into_iter().collect();
        }
        chains.push(BlockingChain {
            root: candidate,
            waiting,
        });
    }
    chains.sort_by_key(|chain| (std::cmp::Reverse(chain.waiting.len()), chain.root));
    chains
}

/// What is done to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::exhaustive_enums, reason = "a provider must do each")]
pub enum SessionDeed {
    /// Its statement is cancelled; the session and an open transaction stay.
    Cancel,
    /// The session is ended; its transaction is rolled back.
    End,
}

/// What makes a session one to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::exhaustive_enums, reason = "a rule must mean one of these")]
pub enum SessionTrouble {
    /// A statement runs for too long.
    Running,
    /// A transaction is open for too long, and nothing runs in it.
    IdleInTransaction,
    /// Others have waited for it, and its transaction is open for too long.
    Blocking,
}

/// A rule about which sessions to act on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SessionRule {
    /// What people call it.
    pub name: String,
    /// What must be the matter.
    pub when: SessionTrouble,
    /// For how long at least.
    pub longer_than: Duration,
    /// What is done.
    pub deed: SessionDeed,
    /// Which sessions it is about. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<SessionMatch>,
}

impl SessionRule {
    /// A rule about all sessions.
    pub fn new(
        name: impl Into<String>,
        when: SessionTrouble,
        longer_than: Duration,
        deed: SessionDeed,
    ) -> Self {
        Self {
            name: name.into(),
            when,
            longer_than,
            deed,
            of: None,
        }
    }

    /// About these only.
    #[must_use]
    pub fn of(mut self, of: SessionMatch) -> Self {
        self.of = Some(of);
        self
    }

    /// The sessions that it is about now, none of them untouchable or spared.
    pub fn choose<'s>(
        &self,
        sessions: &'s [DatabaseSession],
        spared: &[SessionMatch],
    ) -> Vec<&'s DatabaseSession> {
        let blockers: BTreeSet<i32> = sessions
            .iter()
            .flat_map(|session| session.blocked_by.clone())
            .collect();
        let is_meant = |session: &&DatabaseSession| {
            let (role, application) = (session.role.as_str(), session.application.as_str());
            let troubled = match self.when {
                SessionTrouble::Running => {
                    session.state == SessionState::Active && session.lasting > self.longer_than
                }
                SessionTrouble::IdleInTransaction => {
                    session.state == SessionState::IdleInTransaction && session.lasting > self.longer_than
                }
                SessionTrouble::Blocking => {
                    blockers.contains(&session.pid) && session.transaction > self.longer_than
                }
            };
            troubled
                && !session.untouchable
                && !spared.iter().any(|spared| spared.matches(role, application))
                && self.of.as_ref().is_none_or(|of| of.matches(role, application))
        };
        sessions.iter().filter(is_meant).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(pid: i32, blocked_by: &[i32]) -> DatabaseSession {
        let mut session = DatabaseSession::new(pid, "app");
        session.blocked_by = blocked_by.to_vec();
        session
    }

    #[test]
    fn the_borders_of_the_bands_are_80_and_90_percent() {
        for (used, band) in [
            (79, ConnectionBand::Free),
            (80, ConnectionBand::Tight),
            (89, ConnectionBand::Tight),
            (90, ConnectionBand::Full),
        ] {
            assert_eq!(ConnectionUse::new(used, 100).band(), band, "{used}");
        }
        assert_eq!(ConnectionUse::new(0, 0).band(), ConnectionBand::Full);
    }

    #[test]
    fn a_chain_begins_with_who_waits_for_nobody_and_a_ring_with_its_smallest() {
        let sessions = [
            waiting(1, &[]),
            waiting(2, &[1]),
            waiting(3, &[2]),
            waiting(4, &[2, 1]),
            waiting(8, &[9]),
            waiting(9, &[8]),
        ];
        let chains = blocking_chains(&sessions);
        assert_eq!(chains.len(), 2, "{chains:?}");
        assert_eq!(
            chains[0],
            BlockingChain {
                root: 1,
                waiting: vec![(2, 1), (4, 1), (3, 2)]
            }
        );
        assert_eq!(
            chains[1],
            BlockingChain {
                root: 8,
                waiting: vec![(9, 1)]
            }
        );
        assert!(blocking_chains(&[waiting(1, &[])]).is_empty());
    }

    #[test]
    fn a_rule_chooses_what_it_says_and_never_what_is_spared_or_untouchable() {
        let long = Duration::from_secs(90);
        let mut blocker = waiting(1, &[]);
        (blocker.state, blocker.lasting, blocker.transaction) = (SessionState::IdleInTransaction, long, long);
        let mut running = waiting(2, &[1]);
        (running.state, running.lasting) = (SessionState::Active, long);
        let mut root = running.clone();
        (root.pid, root.untouchable) = (3, true);
        let mut dump = running.clone();
        (dump.pid, dump.application) = (4, "pg_dump".to_owned());
        let mut brief = running.clone();
        (brief.pid, brief.lasting) = (5, Duration::from_secs(60));
        let sessions = [blocker, running, root, dump, brief];
        let spared = [SessionMatch::application("pg_dump")];
        let chosen = |when| {
            let rule = SessionRule::new("r", when, Duration::from_secs(60), SessionDeed::Cancel);
            rule.choose(&sessions, &spared)
                .iter()
                .map(|session| session.pid)
                .collect::<Vec<_>>()
        };
        assert_eq!(chosen(SessionTrouble::Running), [2]);
        assert_eq!(chosen(SessionTrouble::IdleInTransaction), [1]);
        assert_eq!(chosen(SessionTrouble::Blocking), [1]);
        let of = SessionRule::new("r", SessionTrouble::Running, Duration::ZERO, SessionDeed::End)
            .of(SessionMatch::role("batch"));
        assert!(of.choose(&sessions, &[]).is_empty());
    }
}
