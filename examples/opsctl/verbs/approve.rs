use std::fs;

use ops_core::emergency::{Approval, ApprovalKey};
use ops_core::error::{Error, ErrorKind};
use ops_core::model::Digest;
use secrecy::SecretString;
use serde_json::json;

use crate::cli::{ApproveArgs, Global};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::Session;

pub(crate) async fn run(global: &Global, printer: &Printer, args: &ApproveArgs) -> Result<Exit, Failure> {
    let session = Session::open(global, printer).await?;
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
    let until = session.world.now() + session.world.config.approvals.valid_for;
    let approval = Approval::sign(&person.name, digest, until, &key);
    let dir = session.approvals_dir();
    let file = dir.join(format!("{digest}.{}.json", &public[..16]));
    let partial = dir.join(format!(".{digest}.{}", &public[..16]));
    let written = fs::create_dir_all(&dir)
        .and_then(|()| fs::write(&partial, serde_json::to_vec_pretty(&approval).unwrap_or_default()))
        .and_then(|()| fs::rename(&partial, &file));
    written.map_err(|error| Error::new(ErrorKind::Unavailable, "write approval").source(error))?;
    printer.line(&printer.pick(
        &format!(
            "{} がダイジェスト {digest} を承認しました（{} まで, JST）",
            person.name,
            until.to_jst()
        ),
        &format!("{} approved digest {digest} until {until}", person.name),
    ));
    if printer.json() {
        printer
            .document(&json!({"person": person.name, "plan_digest": digest, "until": until, "exit_code": 0}));
    }
    Ok(Exit::Done)
}
