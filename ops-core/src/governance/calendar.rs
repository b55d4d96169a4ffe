use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use crate::model::{Completion, DueDate, DueKey, DueOutcome, Every, Period, Recurring, Timestamp};

/// Where something that is to be done stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "callers show each in its own way")]
pub enum DueState {
    /// Its time has passed.
    Overdue,
    /// Its time passes today, in Japan.
    Due,
    /// Its time passes within the span that was asked for.
    Coming,
    /// Its time passes after that.
    Later,
    /// It was done.
    Done,
    /// It was given up, with a reason.
    Skipped,
}

impl DueState {
    /// `overdue`, `due`, `coming`, `later`, `done` or `skipped`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overdue => "overdue",
            Self::Due => "due",
            Self::Coming => "coming",
            Self::Later => "later",
            Self::Done => "done",
            Self::Skipped => "skipped",
        }
    }
}

/// One line of an agenda.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AgendaEntry {
    /// What `opsctl calendar done` takes.
    pub key: DueKey,
    /// Where it stands.
    pub state: DueState,
    /// What people read.
    pub title: String,
    /// From when on it is overdue.
    pub due: Timestamp,
    /// The item of the calendar; `None` for a date that was set.
    pub item: Option<String>,
    /// What a date that was set is about.
    pub about: Option<String>,
    /// Who sees to it.
    pub owner: Option<String>,
    /// Where it says how.
    pub runbook: Option<String>,
    /// What does it.
    pub command: Option<String>,
    /// What became of it.
    pub completion: Option<Completion>,
}

/// What is to be done, soonest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Agenda {
    /// At most [`MAX_MISSED`] overdue occurrences of an item, the newest ones.
    pub entries: Vec<AgendaEntry>,
    /// How many overdue occurrences of an item came before those.
    pub earlier: BTreeMap<String, u64>,
}

impl Agenda {
    /// How many are in `state`, those that are not listed included.
    pub fn count(&self, state: DueState) -> u64 {
        let listed = self.entries.iter().filter(|entry| entry.state == state).count();
        let earlier = match state {
            DueState::Overdue => self.earlier.values().sum(),
            _ => 0,
        };
        u64::try_from(listed).unwrap_or(u64::MAX).saturating_add(earlier)
    }
}

/// An agenda lists so many overdue occurrences of one item.
pub const MAX_MISSED: usize = 12;

/// An agenda looks no further ahead, whatever is asked for.
pub const MAX_AHEAD: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// 2000-01-01 in Japan, in microseconds since 1970.
const EARLIEST: i64 = 946_652_400_000_000;

/// What was settled longer ago is in the history only.
const SETTLED: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// What is to be done at `now` and within a span after it, from items and since when each is owed, dates that were set, and what was
/// done. Pure.
///
/// # What is owed
/// An item is owed from its first whole period at or after `begun` on, and not before 2000: the clock of whoever began then was wrong. What was done in the part of a period before that shows as
/// done. Every missed occurrence is overdue until it is done or skipped. Of what comes after today only the next one of each item is
/// listed. Of two completions of one key the earlier counts.
pub fn agenda(
    items: &[(Recurring, Timestamp)],
    dates: &[DueDate],
    completions: &[Completion],
    now: Timestamp,
    within: Duration,
) -> Agenda {
    let mut settled: BTreeMap<&DueKey, &Completion> = BTreeMap::new();
    for completion in completions {
        let first = settled.entry(&completion.key).or_insert(completion);
        if completion.at < first.at {
            *first = completion;
        }
    }
    let view = View {
        now,
        tonight: Period::of(Every::Daily, now).end(),
        horizon: now + within.min(MAX_AHEAD),
        settled,
    };
    let mut agenda = Agenda::default();
    for (item, begun) in items {
        view.add_item(item, *begun, &mut agenda);
    }
    let mut seen = BTreeSet::new();
    for date in dates.iter().filter(|date| seen.insert(&date.key)) {
        let entry = view.entry(date.key.clone(), &date.title, date.due);
        if !view.is_history(&entry) {
            agenda.entries.push(AgendaEntry {
                about: date.about.clone(),
                ..entry
            });
        }
    }
    agenda
        .entries
        .sort_by(|one, other| (one.due, &one.key).cmp(&(other.due, &other.key)));
    agenda
}

struct View<'a> {
    now: Timestamp,
    tonight: Timestamp,
    horizon: Timestamp,
    settled: BTreeMap<&'a DueKey, &'a Completion>,
}

impl View<'_> {
    fn add_item(&self, item: &Recurring, begun: Timestamp, agenda: &mut Agenda) {
        let begun = begun.max(Timestamp::from_unix_micros(EARLIEST));
        let owed = item.first_owed(begun);
        let mut period = Period::of(item.every, begun);
        let mut entries = Vec::new();
        loop {
            let Some(key) = item.key(period) else { return };
            let due = item.due(period);
            let entry = AgendaEntry {
                item: Some(item.id.clone()),
                owner: item.owner.clone(),
                runbook: item.runbook.clone(),
                command: item.command.clone(),
                ..self.entry(key, &item.title, due)
            };
            let is_owed = period >= owed || entry.completion.is_some();
            let is_next = matches!(entry.state, DueState::Coming | DueState::Later);
            if is_owed && !self.is_history(&entry) {
                entries.push(entry);
            }
            let next = period.next();
            if (is_owed && is_next) || next <= period {
                break;
            }
            period = next;
        }
        let overdue = |entry: &&AgendaEntry| entry.state == DueState::Overdue;
        let mut too_many = entries.iter().filter(overdue).count().saturating_sub(MAX_MISSED);
        if too_many > 0 {
            let earlier = u64::try_from(too_many).unwrap_or(u64::MAX);
            agenda.earlier.insert(item.id.clone(), earlier);
        }
        entries.retain(|entry| {
            let drop = too_many > 0 && entry.state == DueState::Overdue;
            too_many -= usize::from(drop);
            !drop
        });
        agenda.entries.append(&mut entries);
    }

    fn entry(&self, key: DueKey, title: &str, due: Timestamp) -> AgendaEntry {
        let completion = self.settled.get(&key).copied().cloned();
        let state = match &completion {
            Some(completion) => match completion.outcome {
                DueOutcome::Done => DueState::Done,
                DueOutcome::Skipped { .. } => DueState::Skipped,
            },
            None if due <= self.now => DueState::Overdue,
            None if due <= self.tonight => DueState::Due,
            None if due <= self.horizon => DueState::Coming,
            None => DueState::Later,
        };
        AgendaEntry {
            key,
            state,
            title: title.to_owned(),
            due,
            item: None,
            about: None,
            owner: None,
            runbook: None,
            command: None,
            completion,
        }
    }

    fn is_history(&self, entry: &AgendaEntry) -> bool {
        let completion = entry.completion.as_ref();
        completion.is_some_and(|completion| entry.due.max(completion.at) + SETTLED < self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Actor;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn days(days: u64) -> Duration {
        Duration::from_secs(days * 24 * 60 * 60)
    }

    fn item(id: &str, every: Every, begun: &str) -> (Recurring, Timestamp) {
        (Recurring::new(id, id, every), at(begun))
    }

    fn done(key: &str, on: &str) -> Completion {
        let actor = Actor::person("alice").unwrap();
        Completion::new(DueKey::new(key).unwrap(), DueOutcome::Done, at(on), actor)
    }

    fn lines(agenda: &Agenda) -> Vec<String> {
        let line = |entry: &AgendaEntry| format!("{} {}", entry.key, entry.state.name());
        agenda.entries.iter().map(line).collect()
    }

    #[test]
    fn what_was_missed_stays_until_it_is_settled() {
        let items = [item("reindex", Every::Monthly, "2026-08-15T00:00:00+09:00")];
        let mut completions = vec![done("reindex/2026-09", "2026-09-20T00:00:00Z")];
        let now = at("2026-12-05T09:00:00+09:00");
        let found = agenda(&items, &[], &completions, now, days(7));
        // August had begun already; September was done so long ago that it is history.
        assert_eq!(
            lines(&found),
            [
                "reindex/2026-10 overdue",
                "reindex/2026-11 overdue",
                "reindex/2026-12 later"
            ]
        );
        let mut skipped = done("reindex/2026-10", "2026-12-05T00:00:00Z");
        skipped.outcome = DueOutcome::Skipped {
            reason: "moved to a new server".to_owned(),
        };
        completions.extend([skipped, done("reindex/2026-11", "2026-12-04T00:00:00Z")]);
        let found = agenda(&items, &[], &completions, now, days(40));
        assert_eq!(
            lines(&found),
            [
                "reindex/2026-10 skipped",
                "reindex/2026-11 done",
                "reindex/2026-12 coming"
            ]
        );
        assert_eq!(found.count(DueState::Overdue), 0);
    }

    #[test]
    fn an_item_that_was_never_done_is_owed_from_its_first_whole_period_on() {
        let items = [item(
            "restore-test",
            Every::Quarterly,
            "2026-11-27T10:00:00+09:00",
        )];
        let at_once = agenda(&items, &[], &[], at("2026-11-27T10:00:00+09:00"), days(7));
        assert_eq!(lines(&at_once), ["restore-test/2027-Q1 later"]);
        let late = agenda(&items, &[], &[], at("2027-04-01T00:00:00+09:00"), days(7));
        assert_eq!(
            lines(&late),
            ["restore-test/2027-Q1 overdue", "restore-test/2027-Q2 later"]
        );
        let early = [done("restore-test/2026-Q4", "2026-11-28T00:00:00Z")];
        let seen = agenda(&items, &[], &early, at("2026-11-29T00:00:00Z"), days(7));
        assert_eq!(
            lines(&seen),
            ["restore-test/2026-Q4 done", "restore-test/2027-Q1 later"],
            "what was done before is not owed, and not forgotten"
        );
    }

    #[test]
    fn a_due_date_passes_at_midnight_in_japan() {
        let items = [item("security-alerts", Every::Daily, "2026-11-27T00:00:00+09:00")];
        let state = |now: &str| agenda(&items, &[], &[], at(now), days(0)).entries[0].state;
        assert_eq!(state("2026-11-27T00:00:00+09:00"), DueState::Due);
        assert_eq!(state("2026-11-27T23:59:59+09:00"), DueState::Due);
        assert_eq!(state("2026-11-28T00:00:00+09:00"), DueState::Overdue);
    }

    #[test]
    fn an_item_that_nobody_looks_after_fills_no_screen_and_hides_no_number() {
        let items = [item("security-alerts", Every::Daily, "2025-11-27T00:00:00+09:00")];
        let found = agenda(&items, &[], &[], at("2026-11-27T12:00:00+09:00"), days(2));
        let overdue: Vec<_> = lines(&found)
            .into_iter()
            .filter(|line| line.ends_with(" overdue"))
            .collect();
        assert_eq!(overdue.len(), MAX_MISSED);
        assert_eq!(
            overdue[MAX_MISSED - 1],
            "security-alerts/2026-11-26 overdue",
            "the newest are listed"
        );
        assert_eq!(found.earlier["security-alerts"], 365 - 12);
        assert_eq!(found.count(DueState::Overdue), 365);
        assert_eq!(found.count(DueState::Due), 1);
        assert_eq!(found.count(DueState::Coming), 1, "the next one only");
    }

    #[test]
    fn a_calendar_that_was_begun_by_a_wrong_clock_owes_nothing_from_before_2000() {
        let (now, from) = (at("2026-11-27T12:00:00+09:00"), at("2000-01-01T00:00:00+09:00"));
        for begun in [Timestamp::from_unix_micros(i64::MIN), Timestamp::UNIX_EPOCH, from] {
            let items = [(Recurring::new("alerts", "alerts", Every::Daily), begun)];
            let found = agenda(&items, &[], &[], now, days(1));
            let owed = now.saturating_since(from).as_secs() / (24 * 60 * 60);
            assert_eq!(found.count(DueState::Overdue), owed, "{begun}");
        }
    }

    #[test]
    fn a_date_that_was_set_is_due_at_its_own_time_and_listed_with_the_rest() {
        let actor = Actor::person("alice").unwrap();
        let now = at("2026-11-27T12:00:00+09:00");
        let report =
            |title: &str, due: &str| DueDate::once(title, at(due), actor.clone(), now).with_about("inc_1");
        let dates = [
            report("確報", "2027-01-20T00:00:00+09:00"),
            report("速報", "2026-11-27T12:00:00+09:00"),
            report("本人への通知", "2026-11-27T12:00:01+09:00"),
        ];
        let found = agenda(&[], &dates, &[], now, days(7));
        let states: Vec<_> = found
            .entries
            .iter()
            .map(|entry| (entry.title.as_str(), entry.state))
            .collect();
        assert_eq!(
            states,
            [
                ("速報", DueState::Overdue),
                ("本人への通知", DueState::Due),
                ("確報", DueState::Later)
            ]
        );
        assert_eq!(found.entries[0].about.as_deref(), Some("inc_1"));
        let told = [done(dates[1].key.as_str(), "2026-11-27T13:00:00+09:00")];
        let found = agenda(&[], &dates, &told, now, days(7));
        assert_eq!(found.entries[0].state, DueState::Done, "late, but done");
    }

    #[test]
    fn nobody_can_ask_for_an_endless_agenda() {
        let items = [item("dr-test", Every::Yearly, "2026-01-01T00:00:00+09:00")];
        let done_early = [done("dr-test/2026", "2026-11-01T00:00:00Z")];
        let found = agenda(
            &items,
            &[],
            &done_early,
            at("2026-11-20T12:00:00+09:00"),
            Duration::MAX,
        );
        assert_eq!(
            lines(&found),
            ["dr-test/2026 done", "dr-test/2027 later"],
            "not further than 400 days"
        );
    }
}
