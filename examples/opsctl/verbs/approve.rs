use std::fs;

use ops_core::emergency::ApprovalKey;
use ops_core::model::{Approval, ApprovalRequest, Digest};
use secrecy::SecretString;
use serde_json::json;

use crate::cli::{ApproveArgs, Global};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::Session;
use crate::world::Purpose;

pub(crate) async fn run(global: &Global, printer: &Printer, args: &ApproveArgs) -> Result<Exit, Failure> {
    let session = Session::open(global, printer, Purpose::Act).await?;
    let digest: Digest = args.plan.parse()?;
    let seed = fs::read_to_string(&args.key).map_err(|error| {
        Failure::usage(
            format!(
                "cannot read the key file {}: {}",
                args.key.display(),
                error.kind()
            ),
            "name a readable file with --key",
        )
    })?;
    let key = ApprovalKey::from_hex(&SecretString::from(seed))?;
    let approvers = &session.world.config.approvers;
    let public = key.public_hex();
    let person = approvers
        .iter()
        .find(|approver| crate::world::hex(&approver.public_key) == public)
        .ok_or_else(|| {
            Failure::usage(
                "this key belongs to no [[approver]] of the configuration",
                format!("add one with public_key = \"{public}\""),
            )
        })?;
    let asked = session.world.ops.providers().approvals.requested(digest).await?;
    // What shows something else than what is signed is nothing to show.
    let request = asked.as_ref().filter(|request| request.is_genuine());
    match request {
        Some(request) => show(printer, request),
        None if args.blind => {
            printer.error(&printer.warn(&printer.pick(
                "⚠ 内容を見ずに署名します",
                "⚠ signing without seeing what is signed",
            )));
            if asked.is_some() {
                printer.error(&printer.warn(&printer.pick(
                    "⚠ このダイジェストの依頼は、署名する内容と違うものを示しています",
                    "⚠ there is a request for this digest, and it shows something else than what is signed",
                )));
            }
        }
        None => {
            let what = match asked {
                None => "nobody has asked for approval of this digest",
                Some(_) => "the request shows something else than what is signed",
            };
            return Err(Failure::usage(
                what,
                "the one who runs it files it with --dry-run; --blind signs without seeing it",
            ));
        }
    }
    if printer.json() && !args.yes {
        // A program reads what a person would have seen above; it signs when it says that it has.
        printer.document(&json!({
            "person": person.name, "plan_digest": digest, "signed": false, "until": null, "request": request,
            "remedy": "look at the request, then repeat with --yes", "exit_code": Exit::Usage.code(),
        }));
        return Ok(Exit::Usage);
    }
    let until = session.world.now() + session.world.config.approvals.valid_for;
    let approval = Approval::sign(&person.name, digest, until, &key);
    session.world.ops.providers().approvals.approve(&approval).await?;
    printer.line(&printer.pick(
        &format!(
            "{} がダイジェスト {digest} を承認しました（{} まで, JST）",
            person.name,
            until.to_jst()
        ),
        &format!("{} approved digest {digest} until {until}", person.name),
    ));
    if printer.json() {
        printer.document(&json!({
            "person": person.name, "plan_digest": digest, "signed": true, "until": until, "request": request, "exit_code": 0,
        }));
    }
    Ok(Exit::Done)
}

/// What an approver must see before signing.
fn show(printer: &Printer, request: &ApprovalRequest) {
    printer.steps(
        &request.plan,
        &request.procedure,
        &request.steps,
        &request.opening,
    );
    printer.line(&printer.pick(
        &format!(
            "  依頼 {} {} JST（{} JST まで）",
            request.asked_by,
            request.at.to_jst(),
            request.until.to_jst()
        ),
        &format!(
            "  asked by {} at {}, until {}",
            request.asked_by, request.at, request.until
        ),
    ));
    if request.accept_drift {
        printer.line(&printer.warn(&printer.pick(
            "  停止後の変更を上書きします",
            "  overwrites what others changed since the stop",
        )));
    }
}
