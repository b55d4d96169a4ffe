use std::time::Duration;

use ops_core::audit::Recorded;
use ops_core::model::{AuditOutcome, AuditRecord, LimitChange, LimitTable, LimitsInForce};
use serde_json::json;

use super::limit_table::Limits;
use crate::cli::{Global, LimitsArgs, LimitsVerb, WhichLimits};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::Session;
use crate::world::Purpose;

pub(crate) async fn run(global: &Global, printer: &Printer, args: &LimitsArgs) -> Result<Exit, Failure> {
    let session = Session::open(
        global,
        printer,
        Purpose::to_act_if(!matches!(args.verb, LimitsVerb::Show)),
    )
    .await?;
    let limits = Limits::of(&session.world.config).await?;
    let now = session.world.now();
    let (action, (table, holds)) = match &args.verb {
        LimitsVerb::Show => return show(&session, printer, limits.place(), &limits.read().await?, None),
        LimitsVerb::Tighten {
            percent,
            which,
            minutes,
        } => {
            let mut change = LimitChange::new(*percent).by(session.actor.id());
            change.class = which.class;
            change.tenant = which.tenant.clone();
            change.until = minutes.map(|minutes| now + Duration::from_secs(60 * u64::from(minutes)));
            let changed = move |table: &LimitTable| table.changed(change.clone(), now);
            ("limits.tighten", limits.change(changed).await?)
        }
        LimitsVerb::Reset { which } => {
            let which = which.clone();
            let reset = move |table: &LimitTable| Ok(table.reset(|change| matches(&which, change), now));
            ("limits.reset", limits.change(reset).await?)
        }
    };
    let (which, percent) = match &args.verb {
        LimitsVerb::Tighten { which, percent, .. } => (which, Some(*percent)),
        LimitsVerb::Reset { which } => (which, None),
        LimitsVerb::Show => unreachable!("answered above"),
    };
    let named = which.class.map_or("all", |class| class.name());
    let mut record = AuditRecord::new(
        now,
        which
            .tenant
            .clone()
            .unwrap_or_else(|| session.world.config.tenant.clone()),
        session.actor.clone(),
        action,
        "limits",
        named,
    )
    .with_outcome(if holds {
        AuditOutcome::Succeeded
    } else {
        AuditOutcome::Unknown
    })
    .with_detail("version", table.version.to_string());
    if let Some(percent) = percent {
        record = record.with_detail("percent", percent.to_string());
    }
    let audited = matches!(session.world.ops.record(record).await, Recorded::Stored(_));
    show(&session, printer, limits.place(), &table, Some((holds, audited)))
}

/// A reset of nothing in particular takes back everything.
fn matches(which: &WhichLimits, change: &LimitChange) -> bool {
    (which.class.is_none() || which.class == change.class)
        && (which.tenant.is_none() || which.tenant == change.tenant)
}

/// `changed`: whether the change was read back, and audited.
fn show(
    session: &Session,
    printer: &Printer,
    place: &str,
    table: &LimitTable,
    changed: Option<(bool, bool)>,
) -> Result<Exit, Failure> {
    let now = session.world.now();
    let force = LimitsInForce::at(table, now)?;
    let exit = if changed.is_none_or(|(holds, _)| holds) {
        Exit::Done
    } else {
        Exit::Unverified
    };
    let mut documents = Vec::new();
    for (rule, limit) in force.everybody() {
        let per = rule.per_seconds;
        let scope = match rule.scope {
            ops_core::model::LimitScope::Tenant => printer.pick("テナントごと", "per tenant"),
            _ => printer.pick("ユーザーごと", "per user"),
        };
        let meaning = match rule.semantics {
            ops_core::model::LimitSemantics::Burst => printer.pick("バースト可", "burst"),
            _ => printer.pick("厳密", "strict"),
        };
        let was = match limit == rule.limit {
            true => String::new(),
            false => printer.pick(
                &format!("  (本来 {})", rule.limit),
                &format!("  (else {})", rule.limit),
            ),
        };
        printer.line(&format!(
            "{:<16} {limit:>6} / {per} s  {scope}  {meaning}{was}",
            rule.name
        ));
        documents.push(json!({
            "name": rule.name, "class": rule.class, "scope": rule.scope, "semantics": rule.semantics,
            "per_seconds": per, "limit": rule.limit, "in_force": limit,
        }));
    }
    for change in table.changes.iter().filter(|change| change.holds_at(now)) {
        let class = change.class.map_or("*", |class| class.name());
        let tenant = change.tenant.as_ref().map_or("*", |tenant| tenant.as_str());
        let by = change.by.as_deref().unwrap_or("?");
        let until = match change.until {
            Some(until) => printer.pick(
                &format!("{} (JST) まで", until.to_jst()),
                &format!("until {until}"),
            ),
            None => printer.pick("取り消すまで", "until reset"),
        };
        printer.line(&format!(
            "  {:>3} %  class {class}  tenant {tenant}  {until}  {by}",
            change.percent
        ));
    }
    printer.line(&printer.pick(
        &format!("版 {} ({place})", table.version),
        &format!("version {} ({place})", table.version),
    ));
    if let Some((_, false)) = changed {
        printer.error(&printer.warn(&printer.pick("⚠ 監査記録は未保存です", "⚠ not audited yet")));
    }
    if printer.json() {
        let mut document = json!({
            "version": table.version, "store": place, "limits": documents, "changes": table.changes, "overrides": table.overrides,
            "exit_code": exit.code(),
        });
        if let Some((verified, audited)) = changed {
            document["verified"] = json!(verified);
            document["audited"] = json!(audited);
        }
        printer.document(&document);
    }
    Ok(exit)
}
