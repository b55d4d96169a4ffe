//! Logs without personal data, and the alarm for a line that was written past the formatter. Needs nothing and tells nobody.
//!
//!     cargo run --example masked_logs

use std::sync::Arc;

use ops_core::audit::Recorder;
use ops_core::clock::SystemClock;
use ops_core::masking::log::MaskedLogs;
use ops_core::masking::{BuiltinMasker, LeakAlarm};
use ops_core::memory::{InMemoryAudit, InMemoryNotifier};
use ops_core::model::{Actor, Lang, TenantId};
use ops_core::pipeline::LeakWatch;
use ops_core::ports::{AuditQuery, AuditStore, Clock};
use tracing::{error, info, info_span};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // What an application pastes: a masker, an alarm, three wrappers and the panic hook.
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (alarm, leaks) = LeakAlarm::new(Arc::clone(&clock));
    let logs = MaskedLogs::new(Arc::new(BuiltinMasker::new())).with_alarm(alarm.clone());
    tracing_subscriber::fmt()
        .without_time()
        .map_fmt_fields(|fields| logs.fields(fields))
        .map_event_format(|format| logs.format(format))
        .with_writer(logs.writer(std::io::stdout))
        .init();
    logs.install_panic_hook();

    // Where the alarm leads: the audit trail and people.
    let (store, notifier) = (Arc::new(InMemoryAudit::new()), Arc::new(InMemoryNotifier::new()));
    let (store_port, tenant) = (Arc::<InMemoryAudit>::clone(&store), TenantId::new("acme")?);
    let recorder = Recorder::new(store_port, Arc::new(BuiltinMasker::new()), Arc::clone(&clock));
    let watch = LeakWatch::new(
        Arc::new(recorder),
        Arc::<InMemoryNotifier>::clone(&notifier),
        clock,
        tenant.clone(),
        Actor::service("api")?,
    )
    .with_audience("#emergency");
    let watching = tokio::spawn(watch.run(leaks));

    let span = info_span!(
        "login",
        mail = "tanaka.taro@example.com",
        request_id = "req-0312345678"
    );
    span.in_scope(|| {
        info!(
            password = "open sesame",
            phone = "090-1234-5678",
            "田中太郎様がログイン"
        );
        error!("could not mail to tanaka.taro@example.com:\nline two: 氏名: 田中太郎");
    });
    println!("leaks so far: {}", alarm.total());

    // A library that brings its own subscriber. It has the gate before its sink, but not the formatter.
    let foreign = tracing_subscriber::fmt()
        .json()
        .without_time()
        .with_writer(logs.writer(std::io::stdout))
        .finish();
    tracing::subscriber::with_default(foreign, || {
        info!(mail = "tanaka.taro@example.com", "past the formatter")
    });
    println!("leaks so far: {}", alarm.total());

    while notifier.sent().is_empty() {
        tokio::task::yield_now().await;
    }
    watching.abort();
    for notice in notifier.sent() {
        println!(
            "to {}: {}\n{}",
            notice.audience,
            notice.subject.get(Lang::En),
            notice.body.get(Lang::En)
        );
    }
    let found = store.search(&tenant, &AuditQuery::default()).await?;
    println!("audit records: {}", found.records.len());
    Ok(())
}
