use std::time::Duration;

use serde::Serialize;

use crate::messages::{
    cause_permanent, cause_scope, cause_signals, cause_temporary, cause_text, cause_triage, chain_seen,
    connections_seen, escalation, idle_seen, prepared_seen, reach_seen, read_only_seen, replica_seen,
    running_seen, session_step, slot_seen, slow_seen, table_seen,
};
use crate::model::{
    ConnectionBand, DatabaseCause, DatabaseFacts, DatabaseReach, DatabaseSession, SessionState, Severity,
    TargetState, Text, blocking_chains,
};

/// One likely cause of trouble with a database, and what is done about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TriageFinding {
    /// What it is.
    pub cause: DatabaseCause,
    /// Whether the service is down, or will be with the next burst; else it is a warning.
    pub critical: bool,
    /// At which severity it is escalated.
    pub severity: Severity,
    /// What it is, in words.
    pub what: Text,
    /// What shows it: the figures that were measured.
    pub shown_by: Vec<Text>,
    /// Whom it hits.
    pub scope: Text,
    /// What tells it from its neighbours.
    pub triage: Text,
    /// What is done now.
    pub temporary: Vec<TriageStep>,
    /// What is done so that it does not come back.
    pub permanent: Text,
    /// When somebody else is called, and by when it must be over.
    pub escalate: Text,
    /// Which figures and logs to look at.
    pub signals: Text,
}

/// Something to do now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TriageStep {
    /// In words.
    pub what: Text,
    /// The command for it; `None`: it is done elsewhere.
    pub command: Option<String>,
}

/// Sessions that wait or hold for longer than this are told.
const LONG: Duration = Duration::from_secs(60);
/// So many waiters, or one that has waited for [`LONG`], make a chain critical.
const MANY_WAITERS: usize = 5;
/// A standby that is so far behind shows data of another time.
const BEHIND: Duration = Duration::from_secs(30);
const BEHIND_BYTES: u64 = 1 << 30;
const SLOT_BYTES: u64 = 10 << 30;
/// A table of at least that size, half of which is empty.
const BLOAT_BYTES: u64 = 1 << 30;
/// Of a statement that ran at least ten times.
const SLOW_MS: f64 = 1_000.0;
const SLOW_CALLS: u64 = 10;

/// What is likely the matter, the worst first: causes by which the database cannot be reached, then those that stop it soon, then the rest. Pure: it measures
/// nothing, and concludes nothing from what was not measured.
pub fn triage(facts: &DatabaseFacts) -> Vec<TriageFinding> {
    if let Some(cause) = unreached(facts.reach) {
        return vec![finding(
            cause,
            true,
            Severity::P1,
            vec![reach_seen(facts.reach)],
            facts,
        )];
    }
    let mut found = Vec::new();
    let mut add = |cause, critical, severity, shown_by: Vec<Text>| {
        if !shown_by.is_empty() {
            found.push(finding(cause, critical, severity, shown_by, facts));
        }
    };
    if let Some(connections) = facts.connections {
        let shown = vec![connections_seen(connections)];
        match connections.band() {
            ConnectionBand::Full => add(DatabaseCause::ConnectionsFull, true, Severity::P2, shown),
            ConnectionBand::Tight => add(DatabaseCause::ConnectionsTight, false, Severity::P3, shown),
            ConnectionBand::Free => {}
        }
    }
    let (shown, critical) = chains(&facts.sessions);
    let severity = if critical { Severity::P2 } else { Severity::P3 };
    add(DatabaseCause::Blocked, critical, severity, shown);
    if let Some(state @ (TargetState::Stopped | TargetState::PartlyStopped)) = facts.state {
        add(
            DatabaseCause::ReadOnly,
            false,
            Severity::P2,
            vec![read_only_seen(state)],
        );
    }
    let of = |state: SessionState| {
        let long = facts
            .sessions
            .iter()
            .filter(move |session| session.state == state && session.lasting >= LONG && !session.untouchable);
        long.collect::<Vec<_>>()
    };
    let idle = of(SessionState::IdleInTransaction).into_iter().map(idle_seen);
    add(
        DatabaseCause::IdleInTransaction,
        false,
        Severity::P3,
        idle.collect(),
    );
    let running = of(SessionState::Active)
        .into_iter()
        .filter(|session| session.blocked_by.is_empty());
    add(
        DatabaseCause::LongRunning,
        false,
        Severity::P3,
        running.map(running_seen).collect(),
    );
    if facts.prepared > 0 {
        add(
            DatabaseCause::Prepared,
            false,
            Severity::P3,
            vec![prepared_seen(facts.prepared)],
        );
    }
    let late = facts.replicas.iter().filter(|replica| {
        replica.lasting.is_some_and(|lasting| lasting >= BEHIND)
            || replica.bytes.is_some_and(|bytes| bytes >= BEHIND_BYTES)
    });
    let slot = facts
        .slot_bytes
        .filter(|bytes| *bytes >= SLOT_BYTES)
        .map(slot_seen);
    add(
        DatabaseCause::ReplicationBehind,
        false,
        Severity::P3,
        late.map(replica_seen).chain(slot).collect(),
    );
    let slow = facts
        .slow
        .iter()
        .filter(|slow| slow.mean_ms >= SLOW_MS && slow.calls >= SLOW_CALLS);
    add(
        DatabaseCause::SlowStatements,
        false,
        Severity::P3,
        slow.map(slow_seen).collect(),
    );
    let bloated = facts.tables.iter().filter(|table| {
        table.bytes >= BLOAT_BYTES
            && table
                .bloat_bytes
                .is_some_and(|bloat| bloat.saturating_mul(2) >= table.bytes)
    });
    add(
        DatabaseCause::Bloat,
        false,
        Severity::P4,
        bloated.map(table_seen).collect(),
    );
    found.sort_by_key(|finding| (!finding.critical, finding.cause));
    found
}

/// Why it cannot be reached; `None`: it can.
fn unreached(reach: DatabaseReach) -> Option<DatabaseCause> {
    Some(match reach {
        DatabaseReach::Answers => return None,
        DatabaseReach::BadUrl => DatabaseCause::BadUrl,
        DatabaseReach::UnknownHost => DatabaseCause::UnknownHost,
        DatabaseReach::Refused => DatabaseCause::ServerDown,
        DatabaseReach::NoAnswer => DatabaseCause::NoAnswer,
        DatabaseReach::Tls => DatabaseCause::Tls,
        DatabaseReach::Unauthenticated => DatabaseCause::Credentials,
        DatabaseReach::NoDatabase | DatabaseReach::NotPermitted => DatabaseCause::WrongDatabase,
        DatabaseReach::TooManyConnections => DatabaseCause::ConnectionsExhausted,
        DatabaseReach::NotReady => DatabaseCause::NotReady,
        DatabaseReach::Other => DatabaseCause::Unreachable,
    })
}

/// The chains of blockers in words, and whether they are critical.
fn chains(sessions: &[DatabaseSession]) -> (Vec<Text>, bool) {
    let mut critical = false;
    let mut shown = Vec::new();
    for chain in blocking_chains(sessions) {
        let waits = chain.waiting.iter().filter_map(|(pid, _)| of(sessions, *pid));
        let longest = waits.map(|session| session.lasting).max().unwrap_or_default();
        critical |= chain.waiting.len() >= MANY_WAITERS || longest >= LONG;
        shown.push(chain_seen(chain.root, chain.waiting.len(), longest));
    }
    (shown, critical)
}

fn of(sessions: &[DatabaseSession], pid: i32) -> Option<&DatabaseSession> {
    sessions.iter().find(|session| session.pid == pid)
}

fn finding(
    cause: DatabaseCause,
    critical: bool,
    severity: Severity,
    shown_by: Vec<Text>,
    facts: &DatabaseFacts,
) -> TriageFinding {
    let steps = cause_temporary(cause)
        .into_iter()
        .map(|(what, command)| TriageStep {
            what,
            command: command.map(str::to_owned),
        });
    let mut temporary: Vec<TriageStep> = steps.collect();
    // Behind the look that comes first.
    let at = temporary.len().min(1);
    temporary.splice(at..at, aimed(cause, facts));
    TriageFinding {
        cause,
        critical,
        severity,
        what: cause_text(cause),
        shown_by,
        scope: cause_scope(cause),
        triage: cause_triage(cause),
        temporary,
        permanent: cause_permanent(cause),
        escalate: escalation(severity),
        signals: cause_signals(cause),
    }
}

/// The sessions that are ended or whose statements are cancelled, by number: nobody looks numbers up in an emergency.
fn aimed(cause: DatabaseCause, facts: &DatabaseFacts) -> Vec<TriageStep> {
    let long = |state| {
        move |session: &&DatabaseSession| {
            session.state == state && session.lasting >= LONG && session.blocked_by.is_empty()
        }
    };
    let (pids, end): (Vec<i32>, bool) = match cause {
        DatabaseCause::Blocked => (
            blocking_chains(&facts.sessions)
                .iter()
                .map(|chain| chain.root)
                .collect(),
            true,
        ),
        DatabaseCause::IdleInTransaction => {
            let idle = facts
                .sessions
                .iter()
                .filter(long(SessionState::IdleInTransaction));
            (idle.map(|session| session.pid).collect(), true)
        }
        DatabaseCause::LongRunning => {
            let running = facts.sessions.iter().filter(long(SessionState::Active));
            (running.map(|session| session.pid).collect(), false)
        }
        _ => return Vec::new(),
    };
    // Not those that nothing may be done about, nor prepared transactions, whose number is 0.
    let pids = pids
        .into_iter()
        .filter(|pid| of(&facts.sessions, *pid).is_some_and(|session| !session.untouchable));
    let step = |pid: i32| TriageStep {
        what: session_step(pid, end),
        command: Some(match end {
            true => format!("opsctl db cancel --pid {pid} --end --act"),
            false => format!("opsctl db cancel --pid {pid} --act"),
        }),
    };
    pids.take(MOST_AIMED).map(step).collect()
}

const MOST_AIMED: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ConnectionUse, Lang, ReplicaFacts, SlowFacts, TableFacts};

    fn session(pid: i32, state: SessionState, seconds: u64, blocked_by: &[i32]) -> DatabaseSession {
        let mut session = DatabaseSession::new(pid, "app");
        (session.state, session.lasting) = (state, Duration::from_secs(seconds));
        session.blocked_by = blocked_by.to_vec();
        session
    }

    fn slow(mean_ms: f64, calls: u64) -> SlowFacts {
        SlowFacts {
            query: "select".to_owned(),
            calls,
            mean_ms,
        }
    }

    fn replica(seconds: u64) -> ReplicaFacts {
        ReplicaFacts {
            name: "standby".to_owned(),
            bytes: Some(0),
            lasting: Some(Duration::from_secs(seconds)),
        }
    }

    fn table(bytes: u64, bloat: u64) -> TableFacts {
        TableFacts {
            name: "public.memories".to_owned(),
            bytes,
            bloat_bytes: Some(bloat),
        }
    }

    /// Facts in which `cause` is the one thing that is wrong; and facts in which it just is not.
    fn facts_of(cause: DatabaseCause) -> (DatabaseFacts, DatabaseFacts) {
        let none = DatabaseFacts::default;
        let reached = |reach| {
            let facts = DatabaseFacts { reach, ..none() };
            (facts, none())
        };
        let used = |used, less| {
            let of = |used| DatabaseFacts {
                connections: Some(ConnectionUse::new(used, 100)),
                ..none()
            };
            (of(used), of(less))
        };
        let sessions = |bad: Vec<DatabaseSession>, good: Vec<DatabaseSession>| {
            let of = |sessions| DatabaseFacts { sessions, ..none() };
            (of(bad), of(good))
        };
        match cause {
            DatabaseCause::BadUrl => reached(DatabaseReach::BadUrl),
            DatabaseCause::UnknownHost => reached(DatabaseReach::UnknownHost),
            DatabaseCause::ServerDown => reached(DatabaseReach::Refused),
            DatabaseCause::NoAnswer => reached(DatabaseReach::NoAnswer),
            DatabaseCause::Tls => reached(DatabaseReach::Tls),
            DatabaseCause::Credentials => reached(DatabaseReach::Unauthenticated),
            DatabaseCause::WrongDatabase => reached(DatabaseReach::NoDatabase),
            DatabaseCause::NotReady => reached(DatabaseReach::NotReady),
            DatabaseCause::ConnectionsExhausted => reached(DatabaseReach::TooManyConnections),
            DatabaseCause::Unreachable => reached(DatabaseReach::Other),
            DatabaseCause::ConnectionsFull => used(90, 89),
            DatabaseCause::ConnectionsTight => used(80, 79),
            DatabaseCause::Blocked => sessions(
                vec![
                    session(1, SessionState::Active, 1, &[]),
                    session(2, SessionState::Active, 2, &[1]),
                ],
                vec![
                    session(1, SessionState::Active, 1, &[]),
                    session(2, SessionState::Active, 2, &[]),
                ],
            ),
            DatabaseCause::IdleInTransaction => sessions(
                vec![session(1, SessionState::IdleInTransaction, 60, &[])],
                vec![
                    session(1, SessionState::IdleInTransaction, 59, &[]),
                    session(2, SessionState::Idle, 600, &[]),
                ],
            ),
            DatabaseCause::LongRunning => sessions(
                vec![session(1, SessionState::Active, 60, &[])],
                vec![session(1, SessionState::Active, 59, &[])],
            ),
            DatabaseCause::ReadOnly => {
                let of = |state| DatabaseFacts {
                    state: Some(state),
                    ..none()
                };
                (of(TargetState::Stopped), of(TargetState::Serving))
            }
            DatabaseCause::Prepared => (
                DatabaseFacts {
                    prepared: 1,
                    ..none()
                },
                none(),
            ),
            DatabaseCause::ReplicationBehind => {
                let of = |seconds| DatabaseFacts {
                    replicas: vec![replica(seconds)],
                    slot_bytes: Some(SLOT_BYTES - 1),
                    ..none()
                };
                (of(30), of(29))
            }
            DatabaseCause::SlowStatements => {
                let of = |slow| DatabaseFacts { slow, ..none() };
                (
                    of(vec![slow(1_000.0, 10)]),
                    of(vec![slow(999.0, 1_000), slow(9_000.0, 9)]),
                )
            }
            DatabaseCause::Bloat => {
                let of = |tables| DatabaseFacts { tables, ..none() };
                (
                    of(vec![table(BLOAT_BYTES, BLOAT_BYTES / 2)]),
                    of(vec![
                        table(BLOAT_BYTES, BLOAT_BYTES / 2 - 1),
                        table(1 << 20, 1 << 20),
                    ]),
                )
            }
        }
    }

    #[test]
    fn each_cause_is_the_first_finding_where_it_is_the_matter_and_absent_where_it_is_not() {
        for cause in DatabaseCause::ALL {
            let (bad, good) = facts_of(cause);
            let found = triage(&bad);
            assert_eq!(
                found.first().map(|finding| finding.cause),
                Some(cause),
                "{found:#?}"
            );
            let found = triage(&good);
            assert!(found.iter().all(|finding| finding.cause != cause), "{found:#?}");
        }
        assert!(
            triage(&DatabaseFacts::default()).is_empty(),
            "nothing measured, nothing concluded"
        );
    }

    #[test]
    fn every_finding_says_all_that_the_procedure_asks_for_in_both_languages() {
        for cause in DatabaseCause::ALL {
            let finding = triage(&facts_of(cause).0).remove(0);
            let mut texts = vec![
                &finding.what,
                &finding.scope,
                &finding.triage,
                &finding.permanent,
                &finding.escalate,
                &finding.signals,
            ];
            texts.extend(&finding.shown_by);
            texts.extend(finding.temporary.iter().map(|step| &step.what));
            assert!(
                !finding.temporary.is_empty() && !finding.shown_by.is_empty(),
                "{cause:?}"
            );
            for text in texts {
                assert!(
                    !text.get(Lang::Ja).is_empty() && !text.get(Lang::En).is_empty(),
                    "{cause:?}"
                );
                assert!(
                    text.get(Lang::En).is_ascii() || text.get(Lang::En).contains('…'),
                    "{cause:?}: {text:?}"
                );
            }
            assert!(
                finding
                    .escalate
                    .get(Lang::En)
                    .starts_with(&finding.severity.to_string())
            );
        }
    }

    #[test]
    fn what_cannot_be_reached_hides_the_rest_and_what_is_critical_comes_first() {
        let mut facts = facts_of(DatabaseCause::ConnectionsFull).0;
        facts.sessions = vec![
            session(7, SessionState::IdleInTransaction, 90, &[]),
            session(8, SessionState::Active, 61, &[7]),
        ];
        facts.tables = facts_of(DatabaseCause::Bloat).0.tables;
        let causes: Vec<_> = triage(&facts)
            .iter()
            .map(|finding| (finding.cause, finding.critical))
            .collect();
        assert_eq!(
            causes,
            [
                (DatabaseCause::ConnectionsFull, true),
                (DatabaseCause::Blocked, true),
                (DatabaseCause::IdleInTransaction, false),
                (DatabaseCause::Bloat, false)
            ]
        );
        facts.reach = DatabaseReach::Refused;
        assert_eq!(triage(&facts).len(), 1);
    }

    #[test]
    fn a_session_is_named_in_the_command_unless_nothing_may_be_done_about_it() {
        let mut facts = DatabaseFacts {
            sessions: vec![
                session(7, SessionState::Active, 1, &[]),
                session(8, SessionState::Active, 1, &[7]),
            ],
            ..DatabaseFacts::default()
        };
        let commands = |facts: &DatabaseFacts| -> Vec<String> {
            let finding = triage(facts).remove(0);
            finding
                .temporary
                .into_iter()
                .filter_map(|step| step.command)
                .collect()
        };
        let end = "opsctl db cancel --pid 7 --end --act".to_owned();
        assert_eq!(
            commands(&facts)[..2],
            ["opsctl db blockers".to_owned(), end.clone()]
        );
        facts.sessions[0].untouchable = true;
        assert!(!commands(&facts).contains(&end));
        // A prepared transaction has no session.
        facts.sessions[1].blocked_by = vec![0];
        assert!(
            commands(&facts).iter().all(|command| !command.contains("--pid")),
            "{:?}",
            commands(&facts)
        );
    }
}
