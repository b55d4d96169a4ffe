use std::collections::BTreeMap;

use ops_core::model::TenantId;
use ops_postgres::{Expired, Retention};
use serde_json::json;

use super::alone::alone;
use super::tenant::document;
use super::tenant_data::{Deed, Tally, TenantData};
use crate::cli::{Global, RetentionArgs, RetentionVerb};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::world::Purpose;

pub(crate) async fn run(global: &Global, printer: &Printer, args: &RetentionArgs) -> Result<Exit, Failure> {
    let RetentionVerb::Run { dry_run } = args.verb;
    let data = TenantData::open(global, printer, Purpose::to_act_if(!dry_run))
        .await?
        .with_schema()
        .await?;
    let rules = data.rules();
    if rules.is_empty() {
        return Err(Failure::usage(
            "there are no retention rules",
            "write a [[retention]] table for each period",
        ));
    }
    let retention = Retention::new(&data.store, data.layout(), rules);
    let (tenant, tally) = (data.tenant(None)?, Tally::default());
    if dry_run {
        return apply(&data, printer, &retention, (&tenant, &tally), true).await;
    }
    let job = async |fence| {
        let retention = retention.under(fence);
        apply(&data, printer, &retention, (&tenant, &tally), false).await
    };
    alone(&data, printer, "retention", (&deed(&tenant), &tally), job).await
}

async fn apply(
    data: &TenantData,
    printer: &Printer,
    retention: &Retention,
    (tenant, tally): (&TenantId, &Tally),
    dry_run: bool,
) -> Result<Exit, Failure> {
    let now = data.session.world.now();
    // Always looked at first: a rule that does not fit stops everything before the first row goes.
    let plan = retention.dry_run(now).await?;
    let expired = match dry_run {
        true => plan,
        false => {
            let expired = retention
                .run(now, &|progress| tally.tell(printer, progress))
                .await;
            data.or_half(printer, &deed(tenant), tally, expired).await?
        }
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
    let left: u64 = expired.iter().map(|one| one.left).sum();
    let mut audited = true;
    for (whose, rows) in by_tenant(&expired, tenant) {
        audited &= data.record(printer, &deed(&whose), &[("rows", rows)]).await;
    }
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

fn deed(tenant: &TenantId) -> Deed<'_> {
    Deed {
        tenant,
        action: "apply_retention",
        kind: "retention",
        id: "all",
    }
}

/// Rows that were deleted, by tenant; what cannot be told goes to `else_to`.
fn by_tenant(expired: &[Expired], else_to: &TenantId) -> BTreeMap<TenantId, u64> {
    let mut rows: BTreeMap<TenantId, u64> = BTreeMap::new();
    for one in expired {
        let mut untold = one.rows;
        for (tenant, count) in &one.tenants {
            if let Ok(tenant) = TenantId::new(tenant.as_str()) {
                *rows.entry(tenant).or_default() += count;
                untold = untold.saturating_sub(*count);
            }
        }
        *rows.entry(else_to.clone()).or_default() += untold;
    }
    rows.retain(|_, count| *count > 0);
    rows
}
