use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use crate::error::{Error, ErrorKind, Result};

/// Who asks for a name, and for how long: what a [`LeaseStore`](crate::ports::LeaseStore) is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRequest {
    name: String,
    holder: String,
    ttl: Duration,
}

impl LeaseRequest {
    /// `name` for `holder`, until `ttl` after the store has heard of it. A holder is one life of one run: whoever begins again is another holder.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] naming the field: a name or a holder that is empty, longer than 200 characters or holds a control character; a `ttl`
    /// under a millisecond or over a day.
    pub fn new(name: impl Into<String>, holder: impl Into<String>, ttl: Duration) -> Result<Self> {
        let (name, holder) = (name.into(), holder.into());
        for (field, text) in [("name", &name), ("holder", &holder)] {
            if text.is_empty() || text.chars().count() > MAX_TEXT || text.chars().any(char::is_control) {
                return Err(wrong(
                    field,
                    "must be 1 to 200 characters without control characters",
                ));
            }
        }
        if !(MIN_TTL..=MAX_TTL).contains(&ttl) {
            return Err(wrong("ttl", "must be 1 millisecond to 1 day"));
        }
        Ok(Self { name, holder, ttl })
    }

    /// What is asked for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who asks.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// For how long.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }
}

fn wrong(field: &'static str, what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, "read lease").context(field, what)
}

/// A name that its holder has, and nobody else, until a time of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Lease {
    /// What is held.
    pub name: String,
    /// By whom.
    pub holder: String,
    /// Grows with each change of holder and never goes back: what takes writes can refuse a smaller one than it has seen.
    pub token: u64,
    /// Since when, by the clock of the store.
    pub since: Timestamp,
    /// Until when, by the clock of the store. The holder counts for itself, from before it asked.
    pub until: Timestamp,
    /// How long it was asked for; a renewal asks for as long again.
    #[serde(skip)]
    pub ttl: Duration,
}

impl Lease {
    /// What a store granted on `request`.
    pub fn granted(request: &LeaseRequest, token: u64, since: Timestamp, until: Timestamp) -> Self {
        Self {
            name: request.name.clone(),
            holder: request.holder.clone(),
            token,
            since,
            until,
            ttl: request.ttl,
        }
    }
}

/// How a name stands that was ever taken, at the time of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LeaseState {
    /// The name.
    pub name: String,
    /// Who has it, or had it last; `None`: it was given back, or taken away.
    pub holder: Option<String>,
    /// The last token.
    pub token: u64,
    /// Since when it has been the holder's.
    pub since: Timestamp,
    /// From when on another may have it.
    pub until: Timestamp,
    /// Whether that time is still to come.
    pub held: bool,
}

impl LeaseState {
    /// As a store has it.
    pub fn new(
        name: impl Into<String>,
        holder: Option<String>,
        token: u64,
        times: [Timestamp; 2],
        held: bool,
    ) -> Self {
        let [since, until] = times;
        Self {
            name: name.into(),
            holder,
            token,
            since,
            until,
            held,
        }
    }
}

/// What became of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Taken {
    /// It is the asker's.
    Taken(Lease),
    /// Somebody else has it, or may still believe so.
    Held(LeaseState),
}

/// The names of a store that keeps them itself, and the one rule of how they change hands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct LeaseTable(BTreeMap<String, Row>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    holder: Option<String>,
    token: u64,
    since: Timestamp,
    until: Timestamp,
}

impl Row {
    fn is_of(&self, holder: &str, now: Timestamp) -> bool {
        self.until > now && self.holder.as_deref() == Some(holder)
    }

    fn state(&self, name: &str, now: Timestamp) -> LeaseState {
        let times = [self.since, self.until];
        LeaseState::new(name, self.holder.clone(), self.token, times, self.until > now)
    }
}

impl LeaseTable {
    pub(crate) fn take(&mut self, request: &LeaseRequest, now: Timestamp) -> Taken {
        let until = now + request.ttl;
        let row = match self.0.get_mut(&request.name) {
            None => self.0.entry(request.name.clone()).or_insert(Row {
                holder: Some(request.holder.clone()),
                token: 1,
                since: now,
                until,
            }),
            Some(row) if row.is_of(&request.holder, now) => {
                row.until = row.until.max(until);
                row
            }
            Some(row) if row.until <= now => {
                *row = Row {
                    holder: Some(request.holder.clone()),
                    token: row.token + 1,
                    since: now,
                    until,
                };
                row
            }
            Some(row) => return Taken::Held(row.state(&request.name, now)),
        };
        Taken::Taken(Lease::granted(request, row.token, row.since, row.until))
    }

    pub(crate) fn renew(&mut self, lease: &Lease, now: Timestamp) -> Option<Lease> {
        let row = self.own(lease, now)?;
        row.until = row.until.max(now + lease.ttl);
        Some(Lease {
            until: row.until,
            ..lease.clone()
        })
    }

    pub(crate) fn release(&mut self, lease: &Lease, now: Timestamp) {
        if let Some(row) = self.own(lease, now) {
            row.holder = None;
            row.until = now;
        }
    }

    pub(crate) fn revoke(
        &mut self,
        name: &str,
        holder: &str,
        token: u64,
        now: Timestamp,
    ) -> Option<LeaseState> {
        let row = self.0.get_mut(name)?;
        if row.token != token || !row.is_of(holder, now) {
            return None;
        }
        row.holder = None;
        row.token += 1;
        // More was promised to nobody: the clock has been set back since.
        row.until = row.until.min(now + MAX_TTL);
        Some(row.state(name, now))
    }

    pub(crate) fn list(&self, now: Timestamp) -> Vec<LeaseState> {
        self.0.iter().map(|(name, row)| row.state(name, now)).collect()
    }

    fn own(&mut self, lease: &Lease, now: Timestamp) -> Option<&mut Row> {
        let row = self.0.get_mut(&lease.name)?;
        (row.token == lease.token && row.is_of(&lease.holder, now)).then_some(row)
    }
}

const MAX_TEXT: usize = 200;
const MIN_TTL: Duration = Duration::from_millis(1);
const MAX_TTL: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_wrongly_is_named() {
        let second = Duration::from_secs(1);
        for (field, wrong) in [
            ("name", LeaseRequest::new("", "a", second)),
            ("name", LeaseRequest::new("x".repeat(201), "a", second)),
            ("name", LeaseRequest::new("a\0", "a", second)),
            ("holder", LeaseRequest::new("job", "", second)),
            ("ttl", LeaseRequest::new("job", "a", Duration::ZERO)),
            (
                "ttl",
                LeaseRequest::new("job", "a", MAX_TTL + Duration::from_nanos(1)),
            ),
        ] {
            let error = wrong.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(field), "{field}: {error}");
        }
        assert!(LeaseRequest::new("job", "a", MAX_TTL).is_ok());
    }
}
