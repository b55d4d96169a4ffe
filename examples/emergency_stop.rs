//! An existing axum service gets its first emergency stop: the lines between `[` and `]` marks are all that is added.
//!
//! Run it: `cargo run --example emergency_stop`. It serves on a free port of this machine, is stopped, refuses, and is opened again.

use std::path::Path;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use ops_core::emergency::{ApprovalPolicy, Approvers};
use ops_core::http::{HostPolicy, HttpRequest, HttpTransport, Method, ReqwestTransport};
// [
use ops_core::model::{Actor, TenantId};
use ops_core::pipeline::Report;
use ops_core::{FeatureStop, Ops, Providers};
// ]

async fn chat(State(app): State<FeatureStop>) -> Result<&'static str, (StatusCode, &'static str)> {
    // [
    if !app.allows() {
        let message = "一時的に停止しています。しばらくしてからもう一度お試しください。";
        return Err((StatusCode::SERVICE_UNAVAILABLE, message));
    }
    // ]
    Ok("こんにちは")
}

fn routes(app: FeatureStop) -> Router {
    let routes = Router::new().route("/chat", get(chat));
    // [
    let routes = routes.route("/admin/stop", post(stop));
    // ]
    routes.with_state(app)
}

// [
async fn emergency(dir: &Path) -> anyhow::Result<FeatureStop> {
    let ops = Ops::new(Providers::in_directory(dir)?, TenantId::new("org_soulsyncs")?);
    Ok(FeatureStop::new(&ops, "llm-brain", Actor::service("chat-api")?).await?)
}

async fn stop(State(app): State<FeatureStop>) -> Result<Json<Report>, String> {
    let actor = Actor::person("on-call").map_err(|error| error.to_string())?;
    let report = app.stop(actor).await;
    report.map(Json).map_err(|refusal| refusal.to_string())
}
// ]

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let app = emergency(dir.path()).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, routes(app.clone())).into_future());

    let client = ReqwestTransport::new(HostPolicy::LoopbackOnly)?;
    let status = async |method, path: &str| {
        let request = HttpRequest::new(method, format!("{base}{path}"));
        client.send(request).await.map(|answer| answer.status())
    };
    anyhow::ensure!(status(Method::Get, "/chat").await? == 200);
    println!("before the stop: /chat answers 200");
    anyhow::ensure!(status(Method::Post, "/admin/stop").await? == 200);
    anyhow::ensure!(status(Method::Get, "/chat").await? == 503);
    println!("after the stop:  /chat answers 503, and the file journal holds the prior state");

    let restarted = emergency(dir.path()).await?;
    anyhow::ensure!(!restarted.allows());
    println!("after a restart: still stopped");

    // In production two people approve this; here nobody has to.
    let procedure = app
        .procedure()
        .clone()
        .with_restore_approval(ApprovalPolicy::of(0));
    let (engine, actor) = (app.ops().engine(), Actor::person("on-call")?);
    let run = engine
        .runs()
        .await?
        .pop()
        .ok_or_else(|| anyhow::anyhow!("the stop is not in the journal"))?;
    let plan = engine.plan_restore(&run, &procedure).await?;
    let now = app.ops().providers().clock.now();
    let plan = plan.approve(&[], &Approvers::none(), actor.clone(), now)?;
    let report = app.ops().carry_out(plan, &actor).await?;
    let confirmations = engine.confirm(&report.outcome.run, &procedure).await?;
    anyhow::ensure!(
        confirmations
            .iter()
            .all(|confirmation| confirmation.verdict.holds())
    );
    anyhow::ensure!(status(Method::Get, "/chat").await? == 200);
    println!("restored exactly: /chat answers 200");
    Ok(())
}
