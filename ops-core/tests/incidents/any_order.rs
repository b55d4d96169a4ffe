//! Entries in whatever order make the same incident.

use ops_core::incidents::incident_of;
use ops_core::model::{
    Actor, Incident, IncidentChange, IncidentEntry, IncidentId, IncidentStatus, IncidentSummary, RunId,
    Severity, TenantId, Timestamp,
};
use proptest::prelude::*;

use super::{cause, note, reopened, resolved, severity};

fn opening() -> IncidentChange {
    IncidentChange::Opened {
        title: "a".to_owned(),
        severity: Severity::P2,
        tenant: Some(TenantId::default_tenant()),
        detected_at: Timestamp::UNIX_EPOCH,
    }
}

fn change() -> impl Strategy<Value = IncidentChange> {
    let run = || IncidentChange::Linked {
        run: RunId::new("run_1").unwrap(),
    };
    prop_oneof![
        Just(IncidentChange::Acknowledged),
        Just(note("a")),
        Just(cause()),
        Just(resolved()),
        Just(reopened()),
        Just(run()),
        Just(severity(Severity::P1)),
        Just(severity(Severity::P4)),
    ]
}

/// What is known of an incident, without what the order of arrival decides.
fn without_numbers(entries: &[IncidentEntry]) -> (Incident, IncidentSummary) {
    let mut incident = incident_of(entries).unwrap();
    incident
        .without_effect
        .iter_mut()
        .for_each(|idle| idle.number = 0);
    incident
        .without_effect
        .sort_by(|one, other| one.entry.cmp(&other.entry));
    (incident, IncidentSummary::of_all(entries).unwrap())
}

proptest! {
    #[test]
    fn however_entries_arrive_the_incident_is_the_same(
        written in prop::collection::vec((change(), 0..8_i64, 0..8_i64), 0..12),
        arrival in prop::collection::vec(any::<prop::sample::Index>(), 12),
    ) {
        let id = IncidentId::generate(Timestamp::UNIX_EPOCH);
        let alice = Actor::person("a").unwrap();
        let opened = IncidentEntry::new(id.clone(), 1, Timestamp::from_unix_micros(3), alice.clone(), opening());
        let mut rest: Vec<_> = written
            .into_iter()
            .map(|(change, at, order)| {
                let mut entry = IncidentEntry::new(id.clone(), 0, Timestamp::from_unix_micros(at), alice.clone(), change);
                entry.order = Timestamp::from_unix_micros(order);
                entry
            })
            .collect();
        let arrived = |rest: &[IncidentEntry]| {
            let entries = std::iter::once(&opened).chain(rest).zip(1..);
            entries.map(|(entry, number)| entry.renumbered(number)).collect::<Vec<_>>()
        };
        let one = without_numbers(&arrived(&rest));
        let length = rest.len();
        for (at, with) in arrival.iter().take(length).enumerate() {
            rest.swap(at, with.index(length));
        }
        prop_assert_eq!(without_numbers(&arrived(&rest)), one);
    }

    #[test]
    fn what_a_list_shows_is_what_the_entries_make(changes in prop::collection::vec((change(), 0..9_i64), 0..20)) {
        let id = IncidentId::generate(Timestamp::UNIX_EPOCH);
        let entries: Vec<_> = std::iter::once((opening(), 0))
            .chain(changes)
            .zip(1..)
            .map(|((change, at), number)| {
                let at = Timestamp::from_unix_micros(at);
                IncidentEntry::new(id.clone(), number, at, Actor::person("a").unwrap(), change)
            })
            .collect();
        let incident = incident_of(&entries).unwrap();
        let summary = IncidentSummary::of_all(&entries).unwrap();
        prop_assert_eq!(summary.status, incident.status);
        prop_assert_eq!(summary.severity, incident.severity);
        prop_assert_eq!(summary.newest, incident.newest);
        prop_assert_eq!(summary.cause_known, incident.cause.is_some());
        prop_assert_eq!(incident.resolved_at.is_some(), incident.status == IncidentStatus::Resolved);
        prop_assert!(incident.worst <= incident.severity);
    }
}
