use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Incident, IncidentChange, IncidentEntry, IncidentRule, IncidentStatus, Prevention, WithoutEffect,
};

/// What an incident is, from its entries as they are kept, however they arrived: they take effect [in the order](IncidentEntry::in_order) in which they were written. An entry
/// that breaks a rule, or that this version does not know, changes nothing and is listed as [`without_effect`](Incident::without_effect).
///
/// Of all who took it on the earliest counts, also where an end was written elsewhere before.
///
/// # Errors
/// [`ErrorKind::Unexpected`] without entries, or when the first does not open.
pub fn incident_of(entries: &[IncidentEntry]) -> Result<Incident> {
    let ordered = IncidentEntry::in_order(entries);
    let (mut incident, rest) = ordered
        .split_first()
        .and_then(|(first, rest)| Some((opened(first)?, rest)))
        .ok_or_else(|| {
            Error::new(ErrorKind::Unexpected, "read incident").context("rule", IncidentRule::NotOpened.name())
        })?;
    let mut taken: Option<&IncidentEntry> = None;
    for entry in rest {
        incident.newest = incident.newest.max(entry.number);
        let idle = if matches!(entry.change, IncidentChange::Acknowledged) {
            let (first, later) = match taken {
                Some(before) if before.at <= entry.at => (before, Some(*entry)),
                before => (*entry, before),
            };
            taken = Some(first);
            later.map(|later| (later, IncidentRule::AcknowledgedAlready))
        } else {
            judge(&incident, &entry.change).err().map(|rule| (*entry, rule))
        };
        match idle {
            Some((idle, rule)) => incident.without_effect.push(WithoutEffect::new(idle, rule)),
            None => apply(&mut incident, entry),
        }
        incident.acknowledged = taken.map(|taken| (taken.at, taken.by.clone()));
    }
    incident.without_effect.sort_by_key(|idle| idle.number);
    Ok(incident)
}

/// Whether a change may be made to an incident as it is.
///
/// # Errors
/// The rule that it breaks.
pub fn judge(incident: &Incident, change: &IncidentChange) -> Result<(), IncidentRule> {
    let over = incident.status == IncidentStatus::Resolved;
    let broken = match change {
        IncidentChange::Opened { .. } => Some(IncidentRule::OpenedAlready),
        IncidentChange::Acknowledged if incident.acknowledged.is_some() => {
            Some(IncidentRule::AcknowledgedAlready)
        }
        IncidentChange::Acknowledged | IncidentChange::Resolved { .. } if over => {
            Some(IncidentRule::ResolvedAlready)
        }
        IncidentChange::Reopened { .. } if !over => Some(IncidentRule::NotResolved),
        IncidentChange::Severity { severity, .. } if *severity == incident.severity => {
            Some(IncidentRule::SameSeverity)
        }
        IncidentChange::Linked { run } if incident.runs.contains(run) => Some(IncidentRule::LinkedAlready),
        IncidentChange::Unknown(_) => Some(IncidentRule::UnknownChange),
        // What is found out afterwards belongs to the report.
        _ => None,
    };
    broken.map_or(Ok(()), Err)
}

fn opened(entry: &IncidentEntry) -> Option<Incident> {
    let IncidentChange::Opened {
        title,
        severity,
        tenant,
        detected_at,
    } = &entry.change
    else {
        return None;
    };
    Some(Incident {
        id: entry.incident.clone(),
        title: title.clone(),
        severity: *severity,
        worst: *severity,
        tenant: tenant.clone(),
        status: IncidentStatus::Open,
        layer: None,
        detected_at: *detected_at,
        opening: entry.id.clone(),
        opened_at: entry.at,
        opened_by: entry.by.clone(),
        acknowledged: None,
        resolved_at: None,
        runs: Vec::new(),
        impact: Vec::new(),
        cause: None,
        resolution: None,
        preventions: Vec::new(),
        newest: entry.number,
        without_effect: Vec::new(),
    })
}

/// The entry was judged before.
fn apply(incident: &mut Incident, entry: &IncidentEntry) {
    match &entry.change {
        IncidentChange::Layer { layer } => incident.layer = Some(layer.clone()),
        IncidentChange::Severity { severity, .. } => {
            incident.severity = *severity;
            incident.worst = incident.worst.min(*severity);
        }
        IncidentChange::Linked { run } => incident.runs.push(run.clone()),
        IncidentChange::Impact { text } => incident.impact.push(text.clone()),
        IncidentChange::Cause { text } => {
            incident.cause = Some(text.clone());
            if incident.status == IncidentStatus::Open {
                incident.status = IncidentStatus::CauseFound;
            }
        }
        IncidentChange::Resolved { text } => {
            incident.status = IncidentStatus::Resolved;
            incident.resolved_at = Some(entry.at);
            incident.resolution = Some(text.clone());
        }
        IncidentChange::Reopened { .. } => {
            incident.resolved_at = None;
            incident.status = match incident.cause {
                Some(_) => IncidentStatus::CauseFound,
                None => IncidentStatus::Open,
            };
        }
        IncidentChange::Prevention { text, owner } => {
            incident.preventions.push(Prevention::new(text, owner));
        }
        IncidentChange::Acknowledged
        | IncidentChange::Note { .. }
        | IncidentChange::Opened { .. }
        | IncidentChange::Unknown(_) => {}
    }
}
