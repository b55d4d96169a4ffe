use std::time::Duration;

use ops_core::error::{Error, ErrorKind};
use ops_core::model::TargetId;
use ops_core::ports::{AccountSuspender, SessionRevoker};
use ops_gcp::identity::IdentityUsers;
use serde_json::json;

use crate::cli::{Global, PlanArgs, RestoreArgs, StopArgs, UserArgs, UserVerb, WhoArgs};
use crate::exit::{Exit, Failure};
use crate::print::{Printer, quoted};
use crate::session::{Session, holder};
use crate::world::{Purpose, StopOfUser, UserId};

pub(crate) async fn run(global: &Global, printer: &Printer, args: &UserArgs) -> Result<Exit, Failure> {
    match &args.verb {
        UserVerb::Show { who } => show(global, printer, &read(who)?).await,
        UserVerb::Stop { who, dry_run } => stop(global, printer, read(who)?, *dry_run).await,
        UserVerb::Restore {
            who,
            dry_run,
            accept_drift,
        } => {
            let user = read(who)?;
            let session = Session::open(global, printer, Purpose::to_act_if(!dry_run)).await?;
            let target = held_target(&session, &user).await?;
            let args = RestoreArgs {
                run: holder(&session, &target, &user.procedure()).await?,
                dry_run: *dry_run,
                accept_drift: *accept_drift,
                skip_gates: None,
            };
            super::restore::run(global, printer, &args).await
        }
    }
}

/// The account; the sessions, where it was suspended before and nothing of it is held.
async fn held_target(session: &Session, user: &UserId) -> Result<TargetId, Failure> {
    let [account, sessions] = session.world.targets_of_user(user)?;
    let held = session.world.ops.engine().held().await?;
    let holds = |target: &TargetId| held.iter().any(|held| held.snapshot.target() == target);
    Ok(match !holds(&account) && holds(&sessions) {
        true => sessions,
        false => account,
    })
}

fn read(who: &WhoArgs) -> Result<UserId, Failure> {
    UserId::new(&who.tenant, &who.user)
}

async fn stop(global: &Global, printer: &Printer, user: UserId, dry_run: bool) -> Result<Exit, Failure> {
    let session = Session::open(global, printer, Purpose::to_act_if(!dry_run)).await?;
    let users = session.world.users(&user)?;
    // A directory that does not answer keeps nobody from stopping: the run finds out.
    let asked = tokio::time::timeout(LOOK, AccountSuspender::account(&users, user.id())).await;
    if let Ok(Err(error)) = asked
        && is_nobody(&user, &error)
    {
        return Err(nobody(&users, &user, &error));
    }
    let procedure = StopOfUser::decided(user, session.world.now()).procedure();
    let args = StopArgs {
        plan: PlanArgs {
            procedure: procedure.clone(),
            param: Vec::new(),
        },
        dry_run,
        break_glass: None,
        overrides: Vec::new(),
    };
    let ended = match dry_run {
        true => super::plan::show(&session, printer, &args.plan).await,
        false => super::stop::carry_out(&session, printer, &args).await,
    };
    // Another `user stop` would be another decision, with another digest.
    if dry_run || matches!(ended, Err(Failure::Refused(_))) {
        printer.error(&format!("  → opsctl stop {}", quoted(&procedure)));
    }
    ended
}

async fn show(global: &Global, printer: &Printer, user: &UserId) -> Result<Exit, Failure> {
    let session = Session::open(global, printer, Purpose::Look).await?;
    let users = session.world.users_seen(user)?;
    let account = match AccountSuspender::account(&users, user.id()).await {
        Err(error) if is_nobody(user, &error) => return Err(nobody(&users, user, &error)),
        account => account?,
    };
    let sessions = users.sessions(user.id()).await?;
    let [target, sessions_target] = session.world.targets_of_user(user)?;
    let held = session.world.ops.engine().held().await;
    let run = held.as_ref().ok().and_then(|held| {
        let of = |target: &TargetId| held.iter().find(|held| held.snapshot.target() == target);
        let of = of(&target).or_else(|| of(&sessions_target));
        of.map(|held| held.run.clone())
    });
    printer.line(&format!(
        "{target}  {}",
        match account.suspended {
            true => printer.pick("停止中", "suspended"),
            false => printer.pick("有効", "active"),
        }
    ));
    printer.line(&match sessions.ended_before {
        Some(at) => printer.pick(
            &format!("  {} JST より前に始まったセッションは失効しています", at.to_jst()),
            &format!("  sessions that began before {at} are ended"),
        ),
        None => printer.pick("  セッションは失効していません", "  no session was ended"),
    });
    sessions
        .caveats
        .iter()
        .for_each(|caveat| printer.line(&format!("  ※ {}", printer.text(caveat))));
    if let Some(run) = &run {
        let back = printer.pick("復旧", "put it back");
        printer.line(&format!("  {back}: opsctl restore {run}"));
    }
    if let Err(error) = &held {
        printer.error(&printer.warn(&format!("⚠ {error}")));
    }
    // Whether a run holds the user is not known.
    let exit = match held.is_ok() {
        true => Exit::Done,
        false => Exit::Unverified,
    };
    if printer.json() {
        printer.document(&json!({
            "target": target, "suspended": account.suspended,
            "sessions": {
                "active": sessions.active, "ended_before": sessions.ended_before, "tokens_until": sessions.tokens_until,
                "caveats": sessions.caveats,
            },
            "held_by": run, "held_error": held.as_ref().err().map(ToString::to_string), "exit_code": exit.code(),
        }));
    }
    Ok(exit)
}

/// An id that is unknown; for a tenant that is, the vendor says that the request is wrong.
fn is_nobody(user: &UserId, error: &Error) -> bool {
    match error.kind() {
        ErrorKind::NotFound => true,
        ErrorKind::InvalidInput => user.tenant().is_some(),
        _ => false,
    }
}

fn nobody(users: &IdentityUsers, user: &UserId, error: &Error) -> Failure {
    let directory = users.directory();
    Failure::usage(
        format!("there is no user {} in {directory}: {error}", user.id()),
        "give the tenant (- for none) and the id of the user (localId) as the console shows them; nothing was done",
    )
}

/// How long the look before a stop may take.
const LOOK: Duration = Duration::from_secs(2);
