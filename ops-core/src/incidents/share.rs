use crate::error::{Error, ErrorKind, Result};
use crate::model::{IncidentEntry, IncidentId};
use crate::ports::{IncidentOutbox, IncidentQuery, IncidentStore};

/// What was brought from one store to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shared {
    /// Incidents of which something was brought.
    pub incidents: Vec<IncidentId>,
    /// How many entries.
    pub entries: usize,
}

/// Brings what waits in `from` to `to`, which is `place`: what was written on one machine while the database could not be reached. Nothing is removed from `from`; what is known
/// to be there is marked, and costs nothing the next time.
///
/// An entry is known again by its id. One that others got ahead of takes the next number, and keeps its place in the order.
///
/// # Errors
/// Those of the stores. An incident that cannot be brought keeps no other from it: the first error is told in the end. What was brought stays; the same call goes on with
/// the rest, also where two do it at once. That a mark cannot be kept is no error.
///
/// # Cancellation
/// As for an error.
pub async fn share_incidents(
    from: &dyn IncidentOutbox,
    to: &dyn IncidentStore,
    place: &str,
) -> Result<Shared> {
    share_each(from, to, place, from.waiting(place).await?).await
}

/// As [`share_incidents`], but every incident of `from`, marked or not: after `to` was put back to an older state.
///
/// # Errors
/// As [`share_incidents`].
///
/// # Cancellation
/// As [`share_incidents`].
pub async fn share_incidents_again(
    from: &dyn IncidentOutbox,
    to: &dyn IncidentStore,
    place: &str,
) -> Result<Shared> {
    let mut every = Vec::new();
    let mut query = IncidentQuery::all();
    loop {
        let page = from.list(&query).await?;
        every.extend(page.incidents.into_iter().map(|incident| incident.id));
        match page.next {
            Some(next) => query = query.after(next),
            None => return share_each(from, to, place, every).await,
        }
    }
}

async fn share_each(
    from: &dyn IncidentOutbox,
    to: &dyn IncidentStore,
    place: &str,
    incidents: Vec<IncidentId>,
) -> Result<Shared> {
    let mut shared = Shared::default();
    let mut fault = None;
    for incident in incidents {
        match share(from, to, place, &incident).await {
            Ok(0) => {}
            Ok(brought) => {
                shared.entries += brought;
                shared.incidents.push(incident);
            }
            Err(error) => fault = fault.or(Some(error)),
        }
    }
    fault.map_or(Ok(shared), Err)
}

async fn share(
    from: &dyn IncidentOutbox,
    to: &dyn IncidentStore,
    place: &str,
    incident: &IncidentId,
) -> Result<usize> {
    let mut brought = 0;
    let here = from.entries(incident).await?;
    let mut there = to.entries(incident).await?;
    for entry in &here {
        let mut attempts = 0;
        while !there.iter().any(|known| known.is_the_same_as(entry)) {
            let next = entry.renumbered(number(&there)?);
            match to.append(&next).await {
                Ok(()) => {
                    brought += 1;
                    there.push(next);
                }
                Err(error) if error.kind() == ErrorKind::Conflict && attempts < ATTEMPTS => {
                    attempts += 1;
                    there = to.entries(incident).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }
    // Only now: whoever ends in between finds every entry there the next time.
    if let Err(error) = from.mark(place, incident, here.len()).await {
        tracing::warn!(%error, "what was brought is not marked, and is compared again the next time");
    }
    Ok(brought)
}

fn number(entries: &[IncidentEntry]) -> Result<u32> {
    u32::try_from(entries.len() + 1)
        .map_err(|source| Error::new(ErrorKind::InvalidInput, "bring incident").source(source))
}

/// Each turn lost means that somebody else wrote an entry.
const ATTEMPTS: u32 = 64;
