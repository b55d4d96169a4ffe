use ops_core::audit::Recorded;
use ops_core::model::RunId;
use serde_json::json;

use crate::cli::{Global, ReviewArgs};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::Session;
use crate::world::Purpose;

pub(crate) async fn list(global: &Global, printer: &Printer) -> Result<Exit, Failure> {
    let session = Session::open(global, printer, Purpose::Look).await?;
    let now = session.world.now();
    let reviews = session.world.ops.engine().reviews().await?;
    for review in &reviews {
        let state = match &review.reviewed {
            Some((by, _, note)) => {
                printer.pick(&format!("済 {by}: {note}"), &format!("reviewed by {by}: {note}"))
            }
            None if review.is_overdue(now) => printer.pick("期限切れ", "OVERDUE"),
            None => printer.pick(
                &format!("期限 {} JST", review.due.to_jst()),
                &format!("due {}", review.due),
            ),
        };
        let overrides = review.overrides.join(", ");
        printer.line(&format!(
            "{}  {}  {}  {}: {} [{overrides}]  {state}",
            review.run,
            review.at.to_jst(),
            review.procedure,
            review.by,
            review.reason
        ));
    }
    if printer.json() {
        let document = |review: &ops_core::emergency::Review| {
            let mut document = json!(review);
            document["overdue"] = review.is_overdue(now).into();
            document
        };
        let documents: Vec<_> = reviews.iter().map(document).collect();
        printer.document(&json!({"reviews": documents, "exit_code": 0}));
    } else if reviews.is_empty() {
        printer.line(&printer.pick("レビューすべきものはありません", "nothing to review"));
    }
    Ok(Exit::Done)
}

pub(crate) async fn close(global: &Global, printer: &Printer, args: &ReviewArgs) -> Result<Exit, Failure> {
    let session = Session::open(global, printer, Purpose::Act).await?;
    let run = RunId::new(&args.run)?;
    let (review, recorded) = session.world.ops.review(&run, &session.actor, &args.note).await?;
    let audited = matches!(recorded, Recorded::Stored(_));
    printer.line(&printer.pick(
        &format!("{run} のレビューを記録しました"),
        &format!("the review of {run} is recorded"),
    ));
    if printer.json() {
        printer.document(&json!({"review": review, "audited": audited, "exit_code": 0}));
    }
    Ok(Exit::Done)
}
