use std::time::Duration;

use serde::{Serialize, Serializer};

use super::copies::{Base, base};
use crate::messages::backup as text;
use crate::model::{ArchiveMode, BackupPolicy, BackupState, ServerBackups, Text, Timestamp};

/// By which way the data would come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LossBy {
    /// By none that is seen.
    Nothing,
    /// By a dump, or a base backup without the log.
    Copy,
    /// By a base backup and the archived log.
    Archive,
    /// By a standby.
    Standby,
}

/// What would be lost.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Loss {
    /// What comes closest.
    pub by: LossBy,
    /// From when on; `None`: unknown, or everything.
    pub since: Option<Timestamp>,
    /// How much, in time; `None`: unknown, or everything.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub most: Option<Duration>,
    /// `false`: it may be more, as not all of it is to be seen.
    pub exact: bool,
    /// In words.
    pub text: Text,
}

impl Loss {
    fn new(by: LossBy, since: Option<Timestamp>, most: Option<Duration>, exact: bool, way: &Text) -> Self {
        Self {
            by,
            since,
            most,
            exact,
            text: text::loss(since, most, exact, way),
        }
    }

    /// The one that loses less; what is unknown loses to what is known.
    fn or(self, other: Self) -> Self {
        match (self.most, other.most) {
            (Some(here), Some(there)) if there < here => other,
            (None, Some(_)) => other,
            (None, None) if self.by == LossBy::Nothing => other,
            _ => self,
        }
    }
}

/// If the data were destroyed, on every machine that follows.
pub(super) fn destroyed(
    state: &BackupState,
    policy: &BackupPolicy,
    database: Option<&str>,
    now: Timestamp,
) -> Loss {
    let nothing = Loss::new(LossBy::Nothing, None, None, true, &text::way_none());
    let copy = state.newest_complete(database).map(|copy| {
        let most = now.saturating_since(copy.at);
        Loss::new(
            LossBy::Copy,
            Some(copy.at),
            Some(most),
            true,
            &text::way_copy(&copy.name),
        )
    });
    let archive = state.server.as_ref().and_then(archive);
    let archive = archive.map(|archive| {
        // An archive to which no base backup of this server is seen may restore nothing.
        let exact = archive.exact && base(state, policy.keep, now) == Base::Proven;
        Loss::new(
            LossBy::Archive,
            archive.since,
            archive.most,
            exact,
            &text::way_archive(),
        )
    });
    [copy, archive].into_iter().flatten().fold(nothing, Loss::or)
}

/// If the disk of the primary died.
pub(super) fn disk(state: &BackupState, destroyed: &Loss) -> Loss {
    let Some(server) = &state.server else {
        return destroyed.clone();
    };
    let standbys = server.standbys.iter().filter(|standby| standby.follows());
    let losses = standbys.map(|standby| {
        let synchronous = matches!(standby.sync.as_deref(), Some("sync" | "quorum"));
        let most = match (synchronous, standby.bytes, standby.lag) {
            (true, ..) | (_, Some(0), _) => Some(Duration::ZERO),
            (_, _, lag) => lag,
        };
        let since = most.map(|most| server.at - most);
        let way = text::way_standby(&standby.name);
        Loss::new(LossBy::Standby, since, most, true, &way)
    });
    losses.fold(destroyed.clone(), |best, standby| match standby.most {
        Some(_) => best.or(standby),
        None => best,
    })
}

/// `None`: there is no archive. Positions count, not only times: a server that writes nothing archives nothing, and loses nothing.
fn archive(server: &ServerBackups) -> Option<Loss> {
    let archiving = &server.archiving;
    if archiving.mode == ArchiveMode::Off || !archiving.configured {
        return None;
    }
    let way = text::way_archive();
    let unknown = Loss::new(LossBy::Archive, None, None, false, &way);
    let Some(last) = archiving.last.as_ref().filter(|_| !server.in_recovery) else {
        return Some(unknown);
    };
    let loss = |since: Timestamp, exact| {
        let most = server.at.saturating_since(since);
        Some(Loss::new(LossBy::Archive, Some(since), Some(most), exact, &way))
    };
    let nothing_waits = archiving.waiting == Some(0) && !archiving.is_failing();
    if nothing_waits && archiving.bytes_behind.is_some_and(|bytes| bytes <= EMPTY) {
        return loss(server.at, true);
    }
    // A server forgets when its segments were full. An archiver that lags has archived an old one lately: what waits is older than that.
    let lately = archiving
        .oldest_waiting
        .map_or(last.at, |oldest| oldest.min(last.at));
    let since = archiving.complete_until.unwrap_or(lately);
    let exact = archiving.complete_until.is_some();
    // The server closes a segment by itself after this time if anything was written that matters.
    let closes = !archiving.timeout.is_zero();
    let quiet = server.at.saturating_since(since) > archiving.timeout + SLACK;
    if nothing_waits && closes && quiet {
        return loss(server.at, exact);
    }
    loss(since, exact)
}

/// A segment begins with a header of 40 bytes: so much is written where nothing is.
const EMPTY: u64 = 40;

/// The server looks at its segments from time to time.
const SLACK: Duration = Duration::from_secs(60);

fn seconds<S: Serializer>(most: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    most.map(|most| most.as_secs_f64()).serialize(serializer)
}
