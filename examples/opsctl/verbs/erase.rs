use std::sync::Arc;

use ops_core::audit::TracesInTrail;
use ops_core::error::{Error, ErrorKind};
use ops_core::messages::{disposal, erasure_report};
use ops_core::model::{AuditOutcome, Disposal, ErasureReport, TenantId};
use ops_core::ports::{AuditStore as _, TrailEntry};
use ops_postgres::{Erasure, ErasureOutcome, PostgresAuditStore};
use serde_json::json;

use super::tenant::{document, shown};
use super::tenant_data::{Deed, Tally, TenantData};
use crate::cli::{EraseArgs, Global};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::world::Purpose;

pub(crate) async fn run(global: &Global, printer: &Printer, args: &EraseArgs) -> Result<Exit, Failure> {
    let data = TenantData::open(global, printer, Purpose::to_act_if(args.yes))
        .await?
        .with_schema()
        .await?;
    let tenant = data.tenant(args.tenant.as_deref())?;
    let map = data.map();
    if map.is_empty() {
        return Err(Failure::usage(
            "the data map is empty: nothing says where data of persons is",
            "write a [[personal_data]] table for each table that has some",
        ));
    }
    let erasure = Erasure::new(&data.store, data.layout(), map);
    if !args.yes {
        let plan = erasure
            .plan(&tenant, &args.user, data.session.world.now())
            .await?;
        show(printer, &plan);
        printer.line(&match args.trail {
            true => printer.pick(
                "  監査ログ: 本人の ID を取り除きます（記録とハッシュは残ります）",
                "  audit trail: what the person is called is removed (records stay, hashes hold)",
            ),
            false => printer.pick(
                "  監査ログ: 変更しません（本人の ID を取り除く: --trail）",
                "  audit trail: kept as it is (to remove what the person is called: --trail)",
            ),
        });
        printer.line(&printer.pick(
            "  何も変更していません。削除する: 同じコマンドに --yes",
            "  nothing was changed; to erase: the same command with --yes",
        ));
        return document(
            printer,
            json!({"dry_run": true, "plan": plan, "trail": args.trail}),
            Exit::Done,
        );
    }
    let world = &data.session.world;
    let clock = &world.ops.providers().clock;
    let erasure = match args.trail {
        true => {
            // The person has asked, whatever becomes of it.
            let by = &data.session.actor;
            let request = erasure.request(&tenant, &args.user, by, &**clock).await?;
            let opened = trail(&data, &tenant).await;
            let traces = not_begun(&data, printer, &tenant, &request.to_string(), opened).await?;
            erasure.with_traces(Arc::new(traces))
        }
        false => erasure,
    };
    let tally = Tally::default();
    let outcome = erasure
        .run(&tenant, &args.user, &data.session.actor, &**clock, &|progress| {
            tally.tell(printer, progress)
        })
        .await;
    let deed = |action, id| Deed {
        tenant: &tenant,
        action,
        kind: "deletion_request",
        id,
    };
    let (partly, done) = ("erase_person_partly", "erase_person");
    // Which request it was is in the table of requests: an error does not tell.
    let outcome = data.or_half(printer, &deed(partly, ""), &tally, outcome).await?;
    let of = |report: &ErasureReport| {
        let rows: u64 = report.lines.iter().map(|line| line.rows).sum();
        let id = report.request.map(|id| id.to_string()).unwrap_or_default();
        (rows, id)
    };
    match outcome {
        ErasureOutcome::Done(report) => {
            let (rows, id) = of(&report);
            let audited = data.record(printer, &deed(done, &id), &[("rows", rows)]).await;
            warn(printer, &report);
            let text = erasure_report(&report);
            printer.line(printer.text(&text));
            document(
                printer,
                json!({"report": report, "for_the_person": text, "audited": audited}),
                Exit::Done,
            )
        }
        ErasureOutcome::Left(report) => {
            let (rows, id) = of(&report);
            let left = report.lines.iter().filter(|line| !line.is_done());
            let left = left.map(|line| line.left).sum();
            let audited = data
                .record(printer, &deed(partly, &id), &[("rows", rows), ("left", left)])
                .await;
            show(printer, &report);
            printer.error(&printer.pick(
                "一部が残っています。同じコマンドで続けられます",
                "rows are left: the same command goes on",
            ));
            document(
                printer,
                json!({"report": report, "audited": audited}),
                Exit::Partly,
            )
        }
        ErasureOutcome::Held(holds) => {
            let holds: Vec<_> = holds.into_iter().map(|hold| shown(&data, hold)).collect();
            printer.error(&printer.pick(
                "拒否: 保全中のため削除できません。依頼は記録しました",
                "refused: the data is held; the request is recorded",
            ));
            holds
                .iter()
                .for_each(|hold| printer.error(&format!("  {}  {}", hold.id, hold.reason)));
            document(printer, json!({"held": holds}), Exit::Refused)
        }
        _ => Ok(Exit::Failed),
    }
}

/// The trail through a role that can remove values from it, which the owner of the schema makes and takes.
async fn trail(data: &TenantData, tenant: &TenantId) -> Result<TracesInTrail, Failure> {
    let role = data.store.audit_eraser().await?;
    let eraser = PostgresAuditStore::assume(&data.store, &role).await?;
    same_trail(data, &eraser, tenant).await?;
    let recorder = data.session.world.ops.recorder().clone();
    let by = data.session.actor.clone();
    Ok(TracesInTrail::new(recorder, Arc::new(eraser), by, "opsctl erase"))
}

/// The result; that of a request which cannot be begun is recorded first.
async fn not_begun<T>(
    data: &TenantData,
    printer: &Printer,
    tenant: &TenantId,
    request: &str,
    opened: Result<T, Failure>,
) -> Result<T, Failure> {
    if opened.is_err() {
        let deed = Deed {
            tenant,
            action: "erase_person",
            kind: "deletion_request",
            id: request,
        };
        data.record_as(printer, &deed, AuditOutcome::Failed, &[]).await;
        printer.error(&printer.pick(
            "何も削除していません。依頼は記録しました（保持期間の \"erased\" はこの人に適用されます）。同じコマンドで続けられます",
            "nothing was erased; the request is recorded (what is kept until \"erased\" ends with it), and the same command goes on with it",
        ));
    }
    opened
}

/// Refuses where the trail that is written is not the one that `found` leads to.
pub(super) async fn same_trail(
    data: &TenantData,
    found: &PostgresAuditStore,
    tenant: &TenantId,
) -> Result<(), Failure> {
    if let Some(head) = data.session.world.ops.providers().audit.head(tenant).await? {
        let last = found
            .chain(tenant, head.receipt.sequence.saturating_sub(1), 1)
            .await?;
        let last = last.first().and_then(TrailEntry::record);
        if last.map(|(receipt, _)| receipt) != Some(&head.receipt) {
            let error = Error::new(ErrorKind::InvalidConfig, TRAIL)
                .context(
                    "reason",
                    "the audit trail that is written is not the one in database.url_env",
                )
                .context(
                    "remedy",
                    "let database.audit_url_env lead to the same database; nothing was removed",
                );
            return Err(Failure::Failed(error));
        }
    }
    Ok(())
}

const TRAIL: &str = "open audit trail";

fn show(printer: &Printer, report: &ErasureReport) {
    for line in &report.lines {
        let what = disposal(&line.disposal);
        let count = if matches!(line.disposal, Disposal::Keep { .. }) {
            line.left
        } else {
            line.left + line.rows
        };
        printer.line(&format!(
            "  {:<32} {count:>8}  {}",
            line.table.to_string(),
            printer.text(&what)
        ));
    }
    warn(printer, report);
}

fn warn(printer: &Printer, report: &ErasureReport) {
    for table in &report.unmapped {
        printer.error(&printer.warn(&printer.pick(
            &format!("⚠ {table} に利用者の列がありますが、データマップにありません"),
            &format!("⚠ {table} has a column of persons and is not in the data map"),
        )));
    }
}
