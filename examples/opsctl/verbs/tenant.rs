use ops_core::model::{HeldResource, LegalHold, NewTenant, Tenant, TenantId, TenantState};
use ops_core::ports::{LegalHolds as _, TenantCreated, TenantDirectory};
use ops_postgres::{
    BackFill, DataHolds, PostgresTenants, PurgeOutcome, PurgeProof, TenantCheck, TenantPurge, WriteFence,
};
use serde_json::json;

use super::alone::alone;
use super::tenant_data::{Deed, Tally, TenantData};
use crate::cli::{Global, TenantArgs, TenantVerb};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::world::Purpose;

pub(crate) async fn run(global: &Global, printer: &Printer, args: &TenantArgs) -> Result<Exit, Failure> {
    let data = TenantData::open(global, printer, purpose(&args.verb)).await?;
    // These two read the tables of the application, and none of ours.
    let data = match &args.verb {
        TenantVerb::Check { .. } | TenantVerb::BackFill { dry_run: true, .. } => data,
        _ => data.with_schema().await?,
    };
    match &args.verb {
        TenantVerb::Check { sql } => check(&data, printer, *sql).await,
        TenantVerb::List => list(&data, printer).await,
        TenantVerb::Create {
            id,
            name,
            admin_email,
            plan,
        } => {
            let mut new = NewTenant::new(TenantId::new(id.clone())?, name, admin_email)?;
            new.plan.clone_from(plan);
            create(&data, printer, &new).await
        }
        TenantVerb::BackFill { tenant, dry_run } => {
            let (tenant, tally) = (data.tenant(tenant.as_deref())?, Tally::default());
            let deed = Deed::of_tenant(&tenant, "back_fill_tenant");
            if *dry_run {
                return back_fill(&data, printer, &tenant, &tally, None).await;
            }
            let job = |fence| back_fill(&data, printer, &tenant, &tally, Some(fence));
            // One at a time for all tenants: they would share the rows without one between them.
            alone(&data, printer, "tenant-back-fill", (&deed, &tally), job).await
        }
        TenantVerb::Delete { id } => change(&data, printer, id, true).await,
        TenantVerb::Undelete { id } => change(&data, printer, id, false).await,
        TenantVerb::Purge { id, yes: false } => purge_plan(&data, printer, &TenantId::new(id)?).await,
        TenantVerb::Purge { id, yes: true } => {
            let (id, tally) = (TenantId::new(id)?, Tally::default());
            let deed = Deed::of_tenant(&id, "purge_tenant_partly");
            let name = format!("tenant-purge/{id}");
            let job = |fence| purge(&data, printer, &id, &tally, fence);
            alone(&data, printer, &name, (&deed, &tally), job).await
        }
        TenantVerb::Hold {
            id,
            user,
            resource,
            reason,
        } => {
            let tenant = TenantId::new(id.clone())?;
            let holds = DataHolds::new(&data.store);
            // A case number, not its story: what else it says is kept masked. Rows are compared with person and resource, which are kept as they are.
            let mut hold = LegalHold::new(tenant, mask(&data, reason), data.session.world.now());
            hold.person = user.clone();
            hold.resource = resource
                .as_deref()
                .map(|resource| match resource.split_once(':') {
                    Some((kind, id)) => HeldResource::new(kind, Some(id.to_owned())),
                    None => HeldResource::new(resource, None),
                });
            holds.hold(&hold).await?;
            let audited = record_hold(&data, printer, &hold, "hold_data").await;
            printer.line(&hold.id.to_string());
            let hold = shown(&data, hold);
            document(printer, json!({"hold": hold, "audited": audited}), Exit::Done)
        }
        TenantVerb::Release { hold } => {
            let released = DataHolds::new(&data.store)
                .release(*hold, data.session.world.now())
                .await?;
            let Some(released) = released else {
                return Err(Failure::usage(
                    format!("{hold} is not held"),
                    "opsctl tenant holds",
                ));
            };
            let audited = record_hold(&data, printer, &released, "release_data").await;
            document(printer, json!({"released": hold, "audited": audited}), Exit::Done)
        }
        TenantVerb::Holds => {
            let holds = DataHolds::new(&data.store).open().await?;
            let holds: Vec<_> = holds.into_iter().map(|hold| shown(&data, hold)).collect();
            for hold in &holds {
                let person = hold.person.as_deref().unwrap_or("*");
                let resource = hold.resource.as_ref().map_or_else(
                    || "*".to_owned(),
                    |held| format!("{}:{}", held.kind, held.id.as_deref().unwrap_or("*")),
                );
                printer.line(&format!(
                    "{}  {}  {person}  {resource}  {}  {}",
                    hold.id,
                    hold.tenant,
                    hold.since.to_jst(),
                    hold.reason
                ));
            }
            document(printer, json!({"holds": holds}), Exit::Done)
        }
    }
}

fn purpose(verb: &TenantVerb) -> Purpose {
    match verb {
        TenantVerb::Check { .. } | TenantVerb::List | TenantVerb::Holds => Purpose::Look,
        TenantVerb::BackFill { dry_run, .. } => Purpose::to_act_if(!dry_run),
        TenantVerb::Purge { yes, .. } => Purpose::to_act_if(*yes),
        _ => Purpose::Act,
    }
}

/// A hold as people and logs may see it: an id may be somebody's address.
pub(super) fn shown(data: &TenantData, mut hold: LegalHold) -> LegalHold {
    for text in [hold.person.as_mut(), Some(&mut hold.reason)]
        .into_iter()
        .flatten()
    {
        *text = mask(data, text);
    }
    if let Some(resource) = &mut hold.resource {
        resource.kind = mask(data, &resource.kind);
        resource.id = resource.id.as_ref().map(|id| mask(data, id));
    }
    hold
}

fn mask(data: &TenantData, text: &str) -> String {
    let providers = data.session.world.ops.providers();
    providers.masker.mask(text).into_owned()
}

async fn record_hold(data: &TenantData, printer: &Printer, hold: &LegalHold, action: &str) -> bool {
    let id = hold.id.to_string();
    let deed = Deed {
        tenant: &hold.tenant,
        action,
        kind: "data_hold",
        id: &id,
    };
    data.record(printer, &deed, &[]).await
}

async fn check(data: &TenantData, printer: &Printer, sql: bool) -> Result<Exit, Failure> {
    let report = TenantCheck::new(data.store.pool().clone(), data.layout())
        .run()
        .await?;
    let exit = if report.intact() { Exit::Done } else { Exit::Failed };
    if sql {
        report
            .statements
            .iter()
            .for_each(|statement| printer.line(&format!("{statement};")));
        return document(printer, json!({"report": report}), exit);
    }
    printer.heading(&printer.pick(
        &format!("テナントの表 {} · 全体共通の表 {}", report.tables, report.global),
        &format!("{} tables of tenants · {} global", report.tables, report.global),
    ));
    for found in &report.findings {
        printer.line(&printer.warn(&format!(
            "  ✘ {}  {}  [{}]",
            found.subject,
            printer.text(&found.gap.text()),
            found.gap.name()
        )));
    }
    for found in &report.accepted {
        printer.line(&format!(
            "  ※ {}  {} ({})",
            found.subject,
            found.gap.name(),
            printer.pick("許容済み", "accepted")
        ));
    }
    for gap in &report.stale {
        printer.line(&printer.warn(&printer.pick(
            &format!("  ⚠ {} {}: 許容の登録が不要になっています", gap.subject, gap.gap),
            &format!(
                "  ⚠ {} {}: accepted, but not there: take it off the list",
                gap.subject, gap.gap
            ),
        )));
    }
    if report.intact() {
        printer.line(&printer.pick("テナントは分離されています", "tenants are kept apart"));
    } else if !report.statements.is_empty() {
        printer.line("  → opsctl tenant check --sql");
    }
    document(
        printer,
        json!({"report": report, "intact": report.intact()}),
        exit,
    )
}

async fn list(data: &TenantData, printer: &Printer) -> Result<Exit, Failure> {
    let tenants = PostgresTenants::new(&data.store).list().await?;
    for tenant in &tenants {
        printer.line(&line(printer, tenant));
    }
    document(printer, json!({"tenants": tenants}), Exit::Done)
}

fn line(printer: &Printer, tenant: &Tenant) -> String {
    let state = match tenant.state {
        TenantState::Active => printer.pick("利用中", "active"),
        TenantState::Deleted => printer.pick("削除済み（復元可）", "deleted, can be had back"),
        TenantState::Purging => printer.pick("消去中（復元不可）", "being purged, cannot be had back"),
        _ => printer.pick("消去済み", "purged"),
    };
    let since = tenant
        .purged_at
        .or(tenant.deleted_at)
        .unwrap_or(tenant.created_at);
    format!("{:<24} {state}  {}  {}", tenant.id, since.to_jst(), tenant.name)
}

async fn create(data: &TenantData, printer: &Printer, new: &NewTenant) -> Result<Exit, Failure> {
    let created = PostgresTenants::new(&data.store)
        .create(new, data.session.world.now())
        .await?;
    let made = matches!(created, TenantCreated::Made(_));
    let audited = !made
        || data
            .record(printer, &Deed::of_tenant(&new.id, "create_tenant"), &[])
            .await;
    printer.line(&match made {
        true => printer.pick(
            "組織・管理者（代表）・全社部署を作成しました",
            "organisation, administrator (level 6) and root department were made",
        ),
        false => printer.pick(
            "すでにあります。何も変更していません",
            "it is there already; nothing was changed",
        ),
    });
    printer.line(&line(printer, created.tenant()));
    document(
        printer,
        json!({"tenant": created.tenant(), "made": made, "audited": audited}),
        Exit::Done,
    )
}

async fn change(data: &TenantData, printer: &Printer, id: &str, delete: bool) -> Result<Exit, Failure> {
    let (id, tenants, now) = (
        TenantId::new(id)?,
        PostgresTenants::new(&data.store),
        data.session.world.now(),
    );
    let before = tenants.find(&id).await?;
    let (tenant, action) = match delete {
        true => (tenants.delete(&id, now).await?, "delete_tenant"),
        false => (tenants.undelete(&id).await?, "undelete_tenant"),
    };
    let changed = before.is_none_or(|before| before.state != tenant.state);
    let audited = !changed || data.record(printer, &Deed::of_tenant(&id, action), &[]).await;
    if !changed {
        printer.line(&printer.pick("何も変更していません", "nothing was changed"));
    }
    printer.line(&line(printer, &tenant));
    if let Some(at) = tenant.deleted_at.filter(|_| tenant.state == TenantState::Deleted) {
        let until = (at + ops_postgres::PURGE_AFTER).to_jst();
        printer.line(&printer.pick(
            &format!("  データは残っています。{until} から消去できます: opsctl tenant purge {id}"),
            &format!("  the data is still there; from {until} it can be purged: opsctl tenant purge {id}"),
        ));
    }
    document(
        printer,
        json!({"tenant": tenant, "changed": changed, "audited": audited}),
        Exit::Done,
    )
}

async fn back_fill(
    data: &TenantData,
    printer: &Printer,
    tenant: &TenantId,
    tally: &Tally,
    fence: Option<WriteFence>,
) -> Result<Exit, Failure> {
    let fill = BackFill::new(&data.store, data.layout());
    let dry_run = fence.is_none();
    let deed = Deed::of_tenant(tenant, "back_fill_tenant");
    let filled = match fence {
        None => fill.dry_run().await?,
        Some(fence) => {
            let fill = fill.under(fence);
            let filled = fill.run(tenant, &|progress| tally.tell(printer, progress)).await;
            data.or_half(printer, &deed, tally, filled).await?
        }
    };
    for one in &filled {
        printer.line(&printer.pick(
            &format!("  {}: 設定 {} 行 · 未設定 {} 行", one.table, one.rows, one.left),
            &format!(
                "  {}: {} rows filled, {} without a tenant",
                one.table, one.rows, one.left
            ),
        ));
    }
    if filled.is_empty() {
        printer.line(&printer.pick("テナントのない行はありません", "no row is without a tenant"));
    }
    let rows: u64 = filled.iter().map(|one| one.rows).sum();
    let left: u64 = filled.iter().map(|one| one.left).sum();
    let audited = rows == 0 || data.record(printer, &deed, &[("rows", rows)]).await;
    let exit = if dry_run || left == 0 {
        Exit::Done
    } else {
        Exit::Partly
    };
    document(
        printer,
        json!({"tenant": tenant, "dry_run": dry_run, "tables": filled, "audited": audited}),
        exit,
    )
}

async fn purge_plan(data: &TenantData, printer: &Printer, id: &TenantId) -> Result<Exit, Failure> {
    let purge = TenantPurge::new(&data.store, data.layout());
    let plan = purge.dry_run(id, data.session.world.now()).await?;
    proof(printer, &plan);
    printer.line(&printer.pick(
        &format!("  何も変更していません。消去する: opsctl tenant purge {id} --yes"),
        &format!("  nothing was changed; to purge: opsctl tenant purge {id} --yes"),
    ));
    document(printer, json!({"dry_run": true, "plan": plan}), Exit::Done)
}

async fn purge(
    data: &TenantData,
    printer: &Printer,
    id: &TenantId,
    tally: &Tally,
    fence: WriteFence,
) -> Result<Exit, Failure> {
    let purge = TenantPurge::new(&data.store, data.layout()).under(fence);
    let outcome = purge
        .run(id, data.session.world.now(), &|progress| {
            tally.tell(printer, progress)
        })
        .await;
    let partly = Deed::of_tenant(id, "purge_tenant_partly");
    let mut outcome = data.or_half(printer, &partly, tally, outcome).await?;
    if let PurgeOutcome::Held { holds } = &mut outcome {
        *holds = std::mem::take(holds)
            .into_iter()
            .map(|hold| shown(data, hold))
            .collect();
    }
    let mut audited = None;
    let exit = match &outcome {
        PurgeOutcome::Purged(shown) | PurgeOutcome::Left(shown) => {
            let rows: u64 = shown.tables.iter().map(|table| table.removed).sum();
            let done = matches!(outcome, PurgeOutcome::Purged(_));
            let deed = match done {
                true => Deed::of_tenant(id, "purge_tenant"),
                false => partly,
            };
            audited = Some(data.record(printer, &deed, &[("rows", rows)]).await);
            proof(printer, shown);
            if done { Exit::Done } else { Exit::Partly }
        }
        PurgeOutcome::NotDeleted => {
            printer.error(&printer.pick(
                "拒否: 先に論理削除が必要です",
                "refused: it is not deleted logically",
            ));
            printer.error(&format!("  → opsctl tenant delete {id}"));
            Exit::Refused
        }
        PurgeOutcome::NotYet { until } => {
            printer.error(&printer.pick(
                &format!("拒否: {} より前には消去できません", until.to_jst()),
                &format!("refused: not before {} JST", until.to_jst()),
            ));
            Exit::Refused
        }
        PurgeOutcome::Held { holds } => {
            printer.error(&printer.pick("拒否: 保全中のデータがあります", "refused: data is held"));
            holds
                .iter()
                .for_each(|hold| printer.error(&format!("  {}  {}", hold.id, hold.reason)));
            Exit::Refused
        }
        _ => Exit::Failed,
    };
    document(printer, json!({"result": outcome, "audited": audited}), exit)
}

fn proof(printer: &Printer, proof: &PurgeProof) {
    for table in proof.tables.iter().filter(|table| table.removed + table.left > 0) {
        printer.line(&printer.pick(
            &format!(
                "  {}: 削除 {} 行 · 残り {} 行",
                table.table, table.removed, table.left
            ),
            &format!(
                "  {}: {} rows removed, {} left",
                table.table, table.removed, table.left
            ),
        ));
    }
    for table in &proof.unknown {
        printer.line(&printer.warn(&printer.pick(
            &format!("  ⚠ {table}: テナント列がない、または外部表のため、確認できません"),
            &format!(
                "  ⚠ {table}: has no column with the tenant, or is a foreign table: it cannot be looked at"
            ),
        )));
    }
    for subject in &proof.unchecked {
        printer.line(&printer.warn(&printer.pick(
            &format!("  ⚠ {subject}: [tenancy] schemas に登録されておらず、確認していません"),
            &format!("  ⚠ {subject}: not among the schemas of [tenancy], so it was not looked at"),
        )));
    }
    if proof.holds() {
        printer.line(&printer.pick(
            &format!("  {} 表を確認し、1 行も残っていません", proof.tables.len()),
            &format!("  {} tables were counted and none has a row", proof.tables.len()),
        ));
    }
}

pub(super) fn document(
    printer: &Printer,
    mut document: serde_json::Value,
    exit: Exit,
) -> Result<Exit, Failure> {
    if printer.json() {
        document["exit_code"] = json!(exit.code());
        printer.document(&document);
    }
    Ok(exit)
}
