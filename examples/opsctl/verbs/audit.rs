use ops_core::model::Timestamp;
use ops_core::ports::AuditQuery;
use serde_json::json;

use super::{audit_evidence, audit_incident, audit_proof, audit_retention};
use crate::cli::{AuditArgs, AuditVerb, FilterArgs, Global, SearchArgs, VerifyArgs};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::Session;
use crate::world::Purpose;

pub(crate) async fn run(global: &Global, printer: &Printer, args: &AuditArgs) -> Result<Exit, Failure> {
    match &args.verb {
        AuditVerb::Keygen { name, out } => return audit_proof::keygen(printer, name, out),
        AuditVerb::Verify(VerifyArgs {
            proof: Some(proof),
            public_key: Some(keys),
            ..
        }) => return audit_proof::check(printer, proof, keys),
        AuditVerb::Verify(
            args @ VerifyArgs {
                evidence: Some(evidence),
                public_key: Some(keys),
                ..
            },
        ) => return audit_evidence::verify(printer, args, evidence, keys),
        AuditVerb::Verify(args @ VerifyArgs { dump: Some(dump), .. }) => {
            return audit_evidence::check(printer, args, dump);
        }
        AuditVerb::Retention(args) => return audit_retention::run(global, printer, args).await,
        _ => {}
    }
    let session = Session::open(global, printer, Purpose::Look).await?;
    if let AuditVerb::Archive(args) = &args.verb {
        // By the files alone: the trail is not looked at.
        return audit_evidence::archive(&session, printer, args).await;
    }
    // What waits in the spool belongs to the trail; if it cannot be delivered, the answer says so.
    let waiting = session.world.deliver_audit().await;
    if let Some(waiting) = &waiting {
        printer.error(&printer.warn(&printer.pick(
            &format!("⚠ 監査記録の一部は未配送です: {waiting}"),
            &format!("⚠ some audit records are not delivered: {waiting}"),
        )));
    }
    let unrecorded = session.unrecorded().await;
    for run in &unrecorded {
        printer.error(&printer.warn(&printer.pick(
            &format!("⚠ {run} は記録の前に途切れました: opsctl resume {run}"),
            &format!("⚠ {run} ended before it was recorded: opsctl resume {run}"),
        )));
    }
    let complete = waiting.is_none() && unrecorded.is_empty();
    match &args.verb {
        AuditVerb::Search(args) => search(&session, printer, args, complete).await,
        AuditVerb::Verify(args) => verify(&session, printer, args, complete).await,
        AuditVerb::Checkpoint {
            key,
            out,
            public_key,
            archive,
        } => {
            let keys = public_key.as_deref();
            audit_proof::checkpoint(&session, printer, key, out, keys, archive.as_ref(), complete).await
        }
        AuditVerb::Prove { id, checkpoint } => audit_proof::prove(&session, printer, *id, checkpoint).await,
        AuditVerb::Preserve(args) => audit_evidence::preserve(&session, printer, args, complete).await,
        AuditVerb::Incident(args) => audit_incident::run(&session, printer, args, complete).await,
        // Answered above.
        AuditVerb::Archive(args) => audit_evidence::archive(&session, printer, args).await,
        AuditVerb::Keygen { name, out } => audit_proof::keygen(printer, name, out),
        AuditVerb::Retention(args) => audit_retention::run(global, printer, args).await,
    }
}

pub(super) fn query(args: &FilterArgs) -> Result<AuditQuery, Failure> {
    let time = |text: &Option<String>| text.as_deref().map(str::parse::<Timestamp>).transpose();
    let mut query = AuditQuery::default();
    query.actor = args.user.clone();
    if let Some(resource) = &args.resource {
        let (kind, id) = resource
            .split_once(':')
            .map_or((resource.as_str(), None), |(kind, id)| (kind, Some(id)));
        query.resource_type = Some(kind.to_owned());
        query.resource_id = id.map(str::to_owned);
    }
    query.from = time(&args.from)?;
    query.until = time(&args.until)?;
    query.actions = args.action.clone();
    if args.high_privilege {
        query
            .actions
            .extend(AuditQuery::HIGH_PRIVILEGE.map(str::to_owned));
    }
    Ok(query)
}

async fn search(
    session: &Session,
    printer: &Printer,
    args: &SearchArgs,
    complete: bool,
) -> Result<Exit, Failure> {
    let world = &session.world;
    let mut query = query(&args.filter)?;
    query.limit = Some(args.limit);
    query.after = args.after.clone();
    let page = session
        .audit_reader()
        .search(&session.actor, &world.config.tenant, &query)
        .await?;
    if printer.json() {
        printer.document(
            &json!({"records": page.records, "next": page.next, "complete": complete, "exit_code": 0}),
        );
        return Ok(Exit::Done);
    }
    for record in &page.records {
        let outcome = format!("{:?}", record.outcome).to_lowercase();
        printer.line(&format!(
            "{}  {:<12} {:<18} {:<10} {}:{}",
            record.at.to_jst(),
            record.actor,
            record.action,
            outcome,
            record.resource_type,
            record.resource_id
        ));
    }
    if page.records.is_empty() {
        printer.line(&printer.pick("該当する記録はありません", "no records"));
    }
    if let Some(next) = &page.next {
        printer.line(&format!("{}: --after {next}", printer.pick("続き", "more")));
    }
    Ok(Exit::Done)
}

async fn verify(
    session: &Session,
    printer: &Printer,
    args: &VerifyArgs,
    complete: bool,
) -> Result<Exit, Failure> {
    let world = &session.world;
    let mut report = world.ops.providers().audit.verify(&world.config.tenant).await?;
    let against = match (&args.checkpoint, &args.public_key) {
        (Some(checkpoint), Some(keys)) => Some(audit_proof::compare(session, checkpoint, keys).await?),
        _ => None,
    };
    if let Some((_, Some(fault))) = &against {
        report.faults.push(fault.clone());
    }
    let exit = if report.intact() { Exit::Done } else { Exit::Failed };
    if printer.json() {
        printer.document(&json!({
            "records": report.records, "removed": report.removed, "head": report.head, "intact": report.intact(), "faults": report.faults,
            "checkpoint": against.as_ref().map(|(checkpoint, _)| checkpoint),
            "complete": complete, "exit_code": exit.code(),
        }));
        return Ok(exit);
    }
    match &report.head {
        Some(head) => printer.line(&printer.pick(
            &format!(
                "記録 {} 件 · 先頭ハッシュ {} (#{})",
                report.records, head.hash, head.sequence
            ),
            &format!(
                "{} records · head {} (#{})",
                report.records, head.hash, head.sequence
            ),
        )),
        None => printer.line(&printer.pick("記録はありません", "no records")),
    }
    if report.removed > 0 {
        printer.line(&printer.pick(
            &format!(
                "うち {} 件は保存期間が過ぎて削除済み（ハッシュは残り、検証しました）",
                report.removed
            ),
            &format!(
                "{} of them were removed past their time; their hashes were kept and verified",
                report.removed
            ),
        ));
    }
    for fault in &report.faults {
        printer.line(&printer.warn(&format!("  ✘ #{}: {}", fault.sequence, fault.what)));
    }
    if report.intact() {
        printer.line(&match &against {
            Some((seen, _)) => printer.pick(
                &format!("改ざんは見つかりません。控え（{} 件）の時点から書き換えも切り落としもありません", seen.size),
                &format!("no tampering found; nothing of the {} signed records was changed or cut off", seen.size),
            ),
            None => printer.pick(
                "改ざんは見つかりません（末尾の切り落としと作り直しは --checkpoint で確認できます）",
                "no tampering found (a cut-off of the newest records and a chain computed anew show with --checkpoint)",
            ),
        });
    }
    Ok(exit)
}
