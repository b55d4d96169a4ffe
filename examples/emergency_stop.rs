//! An existing axum service gets its first emergency stop: the lines between the two marks are all that is added.
//!
//! Run it: `cargo run --example emergency_stop`. It serves on a free port of this machine, is stopped, refuses, and is opened again.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use ops_core::actions::SwitchOff;
use ops_core::emergency::{ApprovalPolicy, Approvers, Procedure, Step};
use ops_core::file::{FileAudit, FileJournal, FileSwitches};
use ops_core::guard::{Feature, KillSwitch};
use ops_core::http::{HostPolicy, HttpRequest, HttpTransport, Method, ReqwestTransport};
use ops_core::model::{Actor, TenantId};
use ops_core::pipeline::Report;
use ops_core::{Ops, Providers};

#[derive(Clone)]
struct App {
    emergency: Emergency,
}

async fn chat(State(app): State<App>) -> Result<&'static str, (StatusCode, &'static str)> {
    app.emergency.check()?;
    Ok("こんにちは")
}

fn routes(app: App) -> Router {
    Router::new().route("/chat", get(chat)).route("/admin/stop", post(stop)).with_state(app)
}

// ---- added: 30 lines ----
#[derive(Clone)]
struct Emergency {
    ops: Ops,
    stop: Procedure,
    switch: Arc<KillSwitch>,
    brain: Feature,
}

impl Emergency {
    fn new(dir: &std::path::Path) -> anyhow::Result<Self> {
        let (journal, audit) = (Arc::new(FileJournal::open(dir.join("journal"))?), Arc::new(FileAudit::open(dir.join("audit"))?));
        let parts = Providers { journal, audit, switches: Arc::new(FileSwitches::open(dir.join("switches"))?), ..Providers::in_memory() };
        let switch = Arc::new(KillSwitch::new(["llm-brain"])?);
        let brain = switch.feature("llm-brain").ok_or_else(|| anyhow::anyhow!("no such feature"))?;
        let off = SwitchOff::new(parts.switches.clone(), parts.clock.clone(), Actor::service("chat-api")?, "llm-brain")?;
        let stop = Procedure::new("llm-brain-stop", vec![Step::new(Arc::new(off.with_local(switch.clone())?))])?;
        Ok(Self { ops: Ops::new(parts, TenantId::new("org_soulsyncs")?), stop, switch, brain })
    }

    fn check(&self) -> Result<(), (StatusCode, &'static str)> {
        let stopped = (StatusCode::SERVICE_UNAVAILABLE, "一時的な問題が発生しました。しばらくしてからもう一度お試しください。");
        if self.switch.allows(self.brain) { Ok(()) } else { Err(stopped) }
    }
}

async fn stop(State(app): State<App>) -> Result<Json<Report>, (StatusCode, String)> {
    let actor = Actor::person("on-call").map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    app.emergency.ops.stop(&app.emergency.stop, actor).await.map(Json).map_err(|refusal| (StatusCode::FORBIDDEN, refusal.to_string()))
}
// ---- end ----

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let emergency = Emergency::new(dir.path())?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, routes(App { emergency: emergency.clone() })).into_future());

    let client = ReqwestTransport::new(HostPolicy::LoopbackOnly)?;
    let status = async |method, path: &str| client.send(HttpRequest::new(method, format!("{base}{path}"))).await.map(|answer| answer.status());
    anyhow::ensure!(status(Method::Get, "/chat").await? == 200);
    println!("before the stop: /chat answers 200");
    anyhow::ensure!(status(Method::Post, "/admin/stop").await? == 200);
    anyhow::ensure!(status(Method::Get, "/chat").await? == 503);
    println!("after the stop:  /chat answers 503, and the file journal holds the prior state");

    // In production two people approve this; here nobody has to.
    let procedure = emergency.stop.clone().with_restore_approval(ApprovalPolicy::of(0));
    let engine = emergency.ops.engine();
    let run = engine.runs().await?.pop().ok_or_else(|| anyhow::anyhow!("the stop is not in the journal"))?;
    let actor = Actor::person("on-call")?;
    let plan = engine.plan_restore(&run, &procedure).await?;
    let plan = plan.approve(&[], &Approvers::none(), actor.clone(), emergency.ops.providers().clock.now())?;
    let report = emergency.ops.carry_out(plan, &actor).await?;
    let exact = engine.confirm(&report.outcome.run, &procedure).await?.iter().all(|confirmation| confirmation.verdict.holds());
    anyhow::ensure!(exact && status(Method::Get, "/chat").await? == 200);
    println!("restored exactly: /chat answers 200");
    Ok(())
}
