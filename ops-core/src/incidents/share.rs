use crate::error::{Error, ErrorKind, Result};
use crate::model::{IncidentEntry, IncidentId};
use crate::ports::{IncidentQuery, IncidentStore};

/// What was brought from one store to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shared {
    /// Incidents of which something was brought.
    pub incidents: Vec<IncidentId>,
    /// How many entries.
    pub entries: usize,
}

/// Brings every entry of `from` that `to` does not have to `to`: what was written on one machine while the database could not be reached. Nothing is removed from `from`.
///
/// An entry is known again by moment, author and content. One that others got ahead of takes the next number, and keeps its moment; a rule that it breaks then takes its
/// effect, not the entry.
///
/// # Errors
/// Those of the stores. An incident that cannot be brought keeps no other from it: the first error is told in the end. What was brought stays; the same call goes on with
/// the rest, also where two do it at once.
///
/// # Cancellation
/// As for an error.
pub async fn share_incidents(from: &dyn IncidentStore, to: &dyn IncidentStore) -> Result<Shared> {
    let mut shared = Shared::default();
    let mut query = IncidentQuery::all();
    let mut fault = None;
    loop {
        let page = from.list(&query).await?;
        for incident in page.incidents {
            match share(from, to, &incident.id).await {
                Ok(0) => {}
                Ok(brought) => {
                    shared.entries += brought;
                    shared.incidents.push(incident.id);
                }
                Err(error) => fault = fault.or(Some(error)),
            }
        }
        match page.next {
            Some(next) => query = query.after(next),
            None => return fault.map_or(Ok(shared), Err),
        }
    }
}

async fn share(from: &dyn IncidentStore, to: &dyn IncidentStore, incident: &IncidentId) -> Result<usize> {
    let mut brought = 0;
    let here = from.entries(incident).await?;
    let mut there = to.entries(incident).await?;
    for entry in &here {
        let mut attempts = 0;
        while !there.iter().any(|known| known.says_the_same(entry)) {
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
    Ok(brought)
}

fn number(entries: &[IncidentEntry]) -> Result<u32> {
    u32::try_from(entries.len() + 1)
        .map_err(|source| Error::new(ErrorKind::InvalidInput, "bring incident").source(source))
}

/// Each turn lost means that somebody else wrote an entry.
const ATTEMPTS: u32 = 64;
