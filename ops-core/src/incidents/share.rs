use crate::error::{Error, ErrorKind, Result};
use crate::model::{IncidentEntry, IncidentId};
use crate::ports::{IncidentOutbox, IncidentStore};

/// What was brought from one store to another.
#[derive(Debug, Default)]
#[non_exhaustive]
#[must_use = "not all may have been brought"]
pub struct Shared {
    /// Incidents of which something was brought.
    pub incidents: Vec<IncidentId>,
    /// How many entries.
    pub entries: usize,
    /// Why the first incident that could not be brought, or not as a whole, could not. Default: all were.
    pub fault: Option<Error>,
}

/// Brings what waits in `from` to `to`, which is `place`: what was written on one machine while the database could not be reached. Nothing is removed from `from`; what is known
/// to be there is marked, and costs nothing the next time.
///
/// An entry is known again by its id. One that others got ahead of takes the next number, and keeps its place in the order.
///
/// # Errors
/// Those of [`IncidentOutbox::waiting`]: nothing was brought. An incident that cannot be brought keeps no other from it, and is no error but the
/// [`fault`](Shared::fault) of what was. What was brought stays; the same call goes on with the rest, also where two do it at once. That a mark cannot be kept is neither.
///
/// # Cancellation
/// What was brought stays, as for a fault.
pub async fn share_incidents(
    from: &dyn IncidentOutbox,
    to: &dyn IncidentStore,
    place: &str,
) -> Result<Shared> {
    Ok(share_each(from, to, place, from.waiting(place).await?).await)
}

/// As [`share_incidents`], but every incident of `from`, marked or not: after `to` was put back to an older state.
///
/// # Errors
/// Those of [`IncidentOutbox::every`]; else as [`share_incidents`].
///
/// # Cancellation
/// As [`share_incidents`].
pub async fn share_incidents_again(
    from: &dyn IncidentOutbox,
    to: &dyn IncidentStore,
    place: &str,
) -> Result<Shared> {
    Ok(share_each(from, to, place, from.every().await?).await)
}

async fn share_each(
    from: &dyn IncidentOutbox,
    to: &dyn IncidentStore,
    place: &str,
    incidents: Vec<IncidentId>,
) -> Shared {
    let mut shared = Shared::default();
    for incident in incidents {
        let mut brought = 0;
        let ended = share(from, to, place, &incident, &mut brought).await;
        if let Err(error) = ended {
            shared.fault.get_or_insert(error);
        }
        // Of one that ended in between as well.
        if brought > 0 {
            shared.entries += brought;
            shared.incidents.push(incident);
        }
    }
    shared
}

async fn share(
    from: &dyn IncidentOutbox,
    to: &dyn IncidentStore,
    place: &str,
    incident: &IncidentId,
    brought: &mut usize,
) -> Result<()> {
    let here = from.entries(incident).await?;
    let mut there = to.entries(incident).await?;
    for entry in &here {
        let mut attempts = 0;
        while !there.iter().any(|known| known.is_the_same_as(entry)) {
            let next = entry.renumbered(number(&there)?);
            match to.append(&next).await {
                Ok(()) => {
                    *brought += 1;
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
    Ok(())
}

fn number(entries: &[IncidentEntry]) -> Result<u32> {
    u32::try_from(entries.len() + 1)
        .map_err(|source| Error::new(ErrorKind::InvalidInput, "bring incident").source(source))
}

/// Each turn lost means that somebody else wrote an entry.
const ATTEMPTS: u32 = 64;
