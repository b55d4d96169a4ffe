//! What a run tells to tracing: each event inside a step carries run, step and target, and nothing carries a secret.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ops_core::emergency::{BreakGlass, Procedure, Step};
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{
    Accepted, Effect, IdempotencyKey, Observation, Snapshot, TargetId, TenantId, Text, Verdict,
};
use ops_core::ports::{Action, Ramp};
use ops_core::{Ops, Providers};
use support_emergency::{Fault, Stop, Target, World, alice, quick};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Instrument as _, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

const SECRET: &str = "planted-secret-sk-live-4242";

/// An event with the fields of all the spans around it.
#[derive(Clone, Debug, Default)]
struct Seen {
    spans: Vec<&'static str>,
    fields: BTreeMap<String, String>,
    target: &'static str,
}

#[derive(Clone, Debug, Default)]
struct Recording(Arc<Mutex<Vec<Seen>>>);

#[derive(Default)]
struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recording {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        // A span is something that was said, too.
        self.0.lock().unwrap().push(Seen {
            spans: vec!["(span)"],
            fields: fields.0.clone(),
            target: attributes.metadata().target(),
        });
        context.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut seen = Seen {
            fields: fields.0,
            target: event.metadata().target(),
            ..Seen::default()
        };
        for span in context.event_scope(event).into_iter().flatten() {
            seen.spans.push(span.name());
            for (name, value) in &span.extensions().get::<Fields>().unwrap().0 {
                seen.fields.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        self.0.lock().unwrap().push(seen);
    }
}

impl Recording {
    fn events(&self) -> Vec<Seen> {
        let seen = self.0.lock().unwrap();
        seen.iter()
            .filter(|seen| seen.spans != ["(span)"])
            .cloned()
            .collect()
    }

    fn everything(&self) -> String {
        format!("{:?}", self.0.lock().unwrap())
    }
}

/// A provider that says something of its own in each call, as a transport does, with a secret in its state and in its errors.
#[derive(Debug)]
struct Talking(Arc<dyn Action>, bool);

impl fmt::Display for Talking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("talking")
    }
}

#[async_trait]
impl Action for Talking {
    fn target(&self) -> &TargetId {
        self.0.target()
    }
    fn effect(&self) -> Effect {
        self.0.effect()
    }
    fn describe(&self) -> Text {
        Text::new(SECRET, SECRET)
    }
    fn describe_restore(&self) -> Text {
        self.0.describe_restore()
    }
    fn limitations(&self) -> Vec<Text> {
        self.0.limitations()
    }
    async fn observe(&self) -> Result<Observation> {
        tracing::debug!(target: "provider", call = "observe", "called");
        tokio::task::yield_now().await;
        tracing::debug!(target: "provider", call = "observe", "answered");
        self.0.observe().await
    }
    fn verify(&self, observed: &Observation) -> Verdict {
        match self.1 {
            true => Verdict::not_yet(SECRET),
            false => self.0.verify(observed),
        }
    }
    async fn apply(&self, key: &IdempotencyKey) -> Result<Accepted> {
        tracing::debug!(target: "provider", call = "apply", "called");
        match self.1 {
            true => Err(Error::new(ErrorKind::Unavailable, "stop").context("said", SECRET)),
            false => self.0.apply(key).await,
        }
    }
    async fn restore(&self, prior: &Snapshot, key: &IdempotencyKey) -> Result<Accepted> {
        self.0.restore(prior, key).await
    }
    fn ramp(&self) -> Option<&dyn Ramp> {
        self.0.ramp()
    }
}

async fn run(targets: &[Arc<Target>]) -> String {
    let world = World::of(0);
    let providers = Providers {
        clock: world.clock.clone(),
        ..Providers::in_memory()
    };
    let ops = Ops::new(providers, TenantId::new("org_spans").unwrap());
    let steps = (0..).zip(targets).map(|(at, target)| {
        let talking = Talking(Stop::of(target), at == 1);
        quick(Step::new(Arc::new(talking)))
    });
    let procedure = Procedure::new("stop-all", steps.collect()).unwrap();
    let glass = BreakGlass::new(format!("because of {SECRET}")).unwrap();
    let plan = ops.plan(&procedure).await;
    let now = world.clock.time();
    let plan = plan.break_glass(glass, alice(), now).unwrap();
    let request = tracing::info_span!("request", request = "r-1");
    let report = ops.carry_out(plan, &alice()).instrument(request).await.unwrap();
    report.outcome.run.to_string()
}

fn recorded() -> (Recording, String, Vec<Arc<Target>>) {
    let recording = Recording::default();
    let subscriber = tracing_subscriber::registry().with(recording.clone());
    let targets: Vec<_> = (0..3).map(Target::numbered).collect();
    targets[0].set("token", SECRET.into());
    targets[2].next_apply(Fault::Fail(ErrorKind::Unavailable));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let run = tracing::subscriber::with_default(subscriber, || runtime.block_on(run(&targets)));
    (recording, run, targets)
}

#[test]
fn each_event_inside_a_step_carries_run_step_and_target_across_the_tasks() {
    let (recording, run, targets) = recorded();
    let events = recording.events();
    let inside: Vec<_> = events
        .iter()
        .filter(|event| event.spans.contains(&"run"))
        .collect();
    assert!(
        inside.iter().all(|event| event.fields["run"] == run),
        "{inside:#?}"
    );
    let steps: Vec<_> = inside
        .iter()
        .filter(|event| event.spans.contains(&"step"))
        .collect();
    for (at, target) in targets.iter().enumerate() {
        let of_step: Vec<_> = steps
            .iter()
            .filter(|event| event.fields["step"] == at.to_string())
            .collect();
        assert!(
            of_step
                .iter()
                .all(|event| event.fields["target"] == target.id().as_str()),
            "{of_step:#?}"
        );
        let said = |what: &str| {
            of_step
                .iter()
                .filter(|event| event.fields["message"] == what)
                .count()
        };
        assert_eq!(said("the step ended"), 1);
        let calls = |call: &str| -> Vec<&Seen> {
            let mut found: Vec<&Seen> = Vec::new();
            for event in &of_step {
                if event.fields.get("call").is_some_and(|found| found.contains(call)) {
                    found.push(event);
                }
            }
            found
        };
        assert!(calls("observe").iter().all(|event| event.spans.contains(&"look")));
        assert!(
            calls("apply")
                .iter()
                .all(|event| event.spans.contains(&"attempt"))
        );
        let attempts: Vec<_> = calls("apply")
            .iter()
            .map(|event| event.fields["attempt"].clone())
            .collect();
        assert_eq!(
            attempts,
            (1..=[1, 3, 2][at])
                .map(|n: u32| n.to_string())
                .collect::<Vec<_>>()
        );
    }
    let provider = events.iter().filter(|event| event.target == "provider");
    let outside: Vec<_> = provider.filter(|event| !event.spans.contains(&"step")).collect();
    // The plan observed each target once, before there was a run.
    assert_eq!(outside.len(), 2 * targets.len(), "{outside:#?}");
    assert_eq!(
        inside
            .iter()
            .filter(|event| event.fields["message"] == "the run ended")
            .count(),
        1
    );
    // What the caller was doing is above the run, although the run is a task of its own.
    assert!(
        inside
            .iter()
            .all(|event| event.fields["request"].contains("r-1") && event.spans.last() == Some(&"request"))
    );
}

#[test]
fn no_span_and_no_event_carries_what_a_vendor_or_a_person_said() {
    let (recording, run, targets) = recorded();
    let everything = recording.everything();
    assert!(!everything.contains(SECRET), "{everything}");
    assert!(
        !everything.contains("alice"),
        "who acts is in the journal and the audit trail"
    );
    assert!(
        everything.contains(&run) && everything.contains(targets[0].id().as_str()),
        "the recording works"
    );
}
