use ops_postgres::Retention;
use serde_json::json;

use super::tenant::document;
use super::tenant_data::{TenantData, tell};
use crate::cli::{Global, RetentionArgs, RetentionVerb};
use crate::exit::{Exit, Failure};
use crate::print::Printer;

pub(crate) async fn run(global: &Global, printer: &Printer, args: &RetentionArgs) -> Result<Exit, Failure> {
    let RetentionVerb::Run { dry_run } = args.verb;
    let data = TenantData::open(global, printer).await?;
    let rules = data.rules();
    if rules.is_empty() {
        return Err(Failure::usage(
            "there are no retention rules",
            "write a [[retention]] table for each period",
        ));
    }
    let retention = Retention::new(&data.store, data.layout(), rules);
    let now = data.session.world.now();
    // Always looked at first: a rule that does not fit stops everything before the first row goes.
    let plan = retention.dry_run(now).await?;
    let expired = match dry_run {
        true => plan,
        false => retention.run(now, &|progress| tell(printer, progress)).await?,
    };
    for one in &expired {
        printer.line(&printer.pick(
            &format!(
                "  {:<28} {:<32} 削除 {} · 期限切れ {} · 保全 {}",
                one.rule,
                one.table.to_string(),
                one.rows,
                one.left,
                one.held
            ),
            &format!(
                "  {:<28} {:<32} {} deleted, {} past their time, {} held",
                one.rule,
                one.table.to_string(),
                one.rows,
                one.left,
                one.held
            ),
        ));
    }
    let rows: u64 = expired.iter().map(|one| one.rows).sum();
    let left: u64 = expired.iter().map(|one| one.left).sum();
    let tenant = data.tenant(None)?;
    let audited = rows == 0
        || data
            .record(
                printer,
                &tenant,
                "apply_retention",
                "retention",
                "all",
                &[("rows", rows)],
            )
            .await;
    let exit = if dry_run || left == 0 {
        Exit::Done
    } else {
        Exit::Partly
    };
    document(
        printer,
        json!({"dry_run": dry_run, "rules": expired, "audited": audited}),
        exit,
    )
}
