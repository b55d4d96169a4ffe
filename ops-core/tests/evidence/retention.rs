use std::borrow::Cow;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ops_core::audit::{
    EvidenceRequest, EvidenceVerifier, MonthPlan, NoteSigner, Recorder, TrailRetention, content,
    growth_since, prove,
};
use ops_core::error::ErrorKind;
use ops_core::masking::BuiltinMasker;
use ops_core::memory::InMemoryAudit;
use ops_core::model::{Actor, AuditRecord, HeldResource, LegalHold, Month, TenantId, Timestamp};
use ops_core::ports::{AuditEraser, AuditStore, EvidenceFilter, LegalHolds, PiiMasker, TrailEntry};
use ops_core::testkit::ManualClock;

use super::export::{export_of, scripted_of};
use super::support::{self, export, signer, tenant, verify};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn other() -> TenantId {
    TenantId::new("org_b").unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn made(tenant: &TenantId, at: Timestamp, who: &str, id: &str) -> AuditRecord {
    let actor = Actor::person(who).unwrap();
    AuditRecord::new(at, tenant.clone(), actor, "export", "task", id)
}

/// Records of two months of one tenant and of one of another, in the order of nobody's calendar.
async fn trail() -> Arc<InMemoryAudit> {
    let audit = Arc::new(InMemoryAudit::new());
    for n in 0..30_u32 {
        let month = ["2025-01", "2025-02"][n as usize % 2];
        let when = at(&format!("{month}-{:02}T12:00:00Z", n % 27 + 1));
        let who = ["kazu", "mika"][n as usize % 3 / 2];
        audit
            .append(&made(&tenant(), when, who, &format!("t{n}")))
            .await
            .unwrap();
    }
    audit
        .append(&made(&other(), at("2025-01-31T23:59:59Z"), "rei", "1"))
        .await
        .unwrap();
    audit
}

/// On this day a year before, January was over and February was not.
fn retention(audit: &Arc<InMemoryAudit>) -> TrailRetention {
    retention_on("2026-02-10T00:00:00Z", audit)
}

fn retention_on(day: &str, audit: &Arc<InMemoryAudit>) -> TrailRetention {
    let clock = Arc::new(ManualClock::new(at(day)));
    let (store, time) = (
        Arc::<InMemoryAudit>::clone(audit),
        Arc::<ManualClock>::clone(&clock),
    );
    let recorder = Recorder::new(store, Arc::new(BuiltinMasker::new()), time);
    let store = Arc::<InMemoryAudit>::clone(audit);
    TrailRetention::new(store, recorder, clock, 365 * DAY)
}

struct Desk {
    audit: Arc<InMemoryAudit>,
    signer: NoteSigner,
    retention: TrailRetention,
    home: tempfile::TempDir,
}

impl Desk {
    fn new(audit: Arc<InMemoryAudit>) -> Self {
        Self {
            retention: retention(&audit),
            signer: signer(),
            home: tempfile::tempdir().unwrap(),
            audit,
        }
    }

    fn place(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    async fn export(&self, name: &str, tenant: &TenantId, filter: EvidenceFilter) -> PathBuf {
        let mut request = EvidenceRequest::new(tenant.clone(), "yearly", Actor::person("kazu").unwrap());
        request.filter = filter;
        export(&self.audit, &self.signer, &request, &self.place(name))
            .await
            .unwrap();
        self.place(name)
    }

    fn verifier(&self) -> EvidenceVerifier {
        EvidenceVerifier::new(vec![self.signer.verifier().clone()])
    }

    async fn plan(&self, evidence: &[PathBuf]) -> Vec<MonthPlan> {
        self.retention.plan(evidence, &self.verifier()).await.unwrap()
    }

    async fn prune(&self, plan: &MonthPlan) -> ops_core::error::Result<()> {
        self.retention.prune(plan, &Actor::person("kazu").unwrap()).await
    }
}

fn uncovered(plan: &MonthPlan, tenant: &TenantId) -> Option<String> {
    let found = plan
        .tenants
        .iter()
        .find(|found| found.reading.tenant == *tenant)
        .unwrap();
    found.uncovered.clone()
}

#[tokio::test]
async fn a_month_goes_only_when_evidence_has_every_record_of_every_tenant() {
    let desk = Desk::new(trail().await);
    let plans = desk.plan(&[]).await;
    assert_eq!(plans.len(), 1, "February is not a year old");
    assert_eq!(
        (plans[0].month.to_string().as_str(), plans[0].removable()),
        ("2025-01", 16)
    );
    assert!(!plans[0].is_ready());
    let refused = desk.prune(&plans[0]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");

    let whole = desk.export("whole", &tenant(), EvidenceFilter::default()).await;
    let plan = &desk.plan(std::slice::from_ref(&whole)).await[0];
    assert_eq!(uncovered(plan, &tenant()), None);
    assert!(
        uncovered(plan, &other()).is_some() && !plan.is_ready(),
        "{plan:?}"
    );

    let month: Month = "2025-01".parse().unwrap();
    let mut of_month = EvidenceFilter::default();
    (of_month.from, of_month.until) = (Some(month.begin()), Some(month.end()));
    let theirs = desk.export("theirs", &other(), of_month.clone()).await;
    let plan = &desk.plan(&[whole.clone(), theirs.clone()]).await[0];
    assert!(plan.is_ready(), "{plan:?}");

    // What takes a part of the month, or some actors only, is not enough.
    let mut cut = of_month.clone();
    cut.until = Some(Timestamp::from_unix_micros(month.end().as_unix_micros() - 1));
    let cut = desk.export("cut", &other(), cut).await;
    let mut narrow = of_month.clone();
    narrow.actor = Some("rei".to_owned());
    let narrow = desk.export("narrow", &other(), narrow).await;
    let plan = &desk.plan(&[whole.clone(), cut, narrow]).await[0];
    assert!(uncovered(plan, &other()).is_some(), "{plan:?}");

    // One record came later.
    desk.audit
        .append(&made(&other(), at("2025-01-05T00:00:00Z"), "rei", "late"))
        .await
        .unwrap();
    let plan = &desk.plan(&[whole.clone(), theirs]).await[0];
    let reason = uncovered(plan, &other()).unwrap();
    assert!(
        reason.contains("position 2") && reason.contains("export again"),
        "{reason}"
    );
    let again = desk.export("again", &other(), of_month).await;
    assert!(desk.plan(&[whole.clone(), again.clone()]).await[0].is_ready());

    // A file of it was changed since.
    let part = again.join("part-00001.zst");
    let mut bytes = fs::read(&part).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&part, bytes).unwrap();
    let plan = &desk.plan(&[whole, again]).await[0];
    let reason = uncovered(plan, &other()).unwrap();
    assert!(reason.contains("does not verify"), "{reason}");
    let stranger = EvidenceVerifier::new(vec![signer().verifier().clone()]);
    let refused = desk
        .retention
        .plan(&[desk.place("whole")], &stranger)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");
    assert_eq!(desk.audit.chain(&tenant()).len(), 30, "nothing went");
}

#[tokio::test]
async fn a_record_that_is_not_the_one_in_evidence_stays() {
    let desk = Desk::new(trail().await);
    let evidence = [
        desk.export("a", &tenant(), EvidenceFilter::default()).await,
        desk.export("b", &other(), EvidenceFilter::default()).await,
    ];
    // The same trail but for one record, as after an edit that computed all hashes anew.
    let forged = Arc::new(InMemoryAudit::new());
    for (n, (_, record)) in desk.audit.chain(&tenant()).into_iter().enumerate() {
        let record = if n == 4 {
            record.with_detail("rows", "3")
        } else {
            record
        };
        forged.append(&record).await.unwrap();
    }
    for (_, record) in desk.audit.chain(&other()) {
        forged.append(&record).await.unwrap();
    }
    let plan = &retention(&forged)
        .plan(&evidence, &desk.verifier())
        .await
        .unwrap()[0];
    let reason = uncovered(plan, &tenant()).unwrap();
    assert!(reason.contains("position 5"), "{reason}");
    assert_eq!(uncovered(plan, &other()), None);
}

#[tokio::test]
async fn what_is_left_verifies_with_everything_that_was_signed_before() {
    let desk = Desk::new(trail().await);
    let evidence = [
        desk.export("a", &tenant(), EvidenceFilter::default()).await,
        desk.export("b", &other(), EvidenceFilter::default()).await,
    ];
    let checkpoint = fs::read_to_string(evidence[0].join("checkpoint"))
        .unwrap()
        .parse()
        .unwrap();
    let before = desk.audit.chain(&tenant());
    desk.audit
        .hold(&LegalHold::new(tenant(), "case 7", at("2026-01-01T00:00:00Z")).of_person("mika"))
        .await
        .unwrap();
    let task = HeldResource::new("task", Some("t0".to_owned()));
    let hold = LegalHold::new(tenant(), "case 8", at("2026-01-01T00:00:00Z")).of_resource(task);
    desk.audit.hold(&hold).await.unwrap();

    let stale = desk.plan(&evidence).await.remove(0);
    assert_eq!((stale.removable(), stale.held()), (10, 6));
    desk.audit
        .release(hold.id, at("2026-01-02T00:00:00Z"))
        .await
        .unwrap();
    let refused = desk.prune(&stale).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
    desk.audit.hold(&hold).await.unwrap();
    desk.prune(&stale).await.unwrap();

    let report = desk.audit.verify(&tenant()).await.unwrap();
    assert!(
        report.intact() && (report.records, report.removed) == (31, 9),
        "{report:?}"
    );
    let left = desk.audit.chain(&tenant());
    let month = |record: &AuditRecord| Month::of(record.at).to_string();
    let old: Vec<_> = left
        .iter()
        .filter(|(_, record)| month(record) == "2025-01")
        .collect();
    assert!(
        old.len() == 6
            && old
                .iter()
                .all(|(_, record)| record.actor.id() == "mika" || record.resource_id == "t0"),
        "{old:?}"
    );
    let told = &left.last().unwrap().1;
    assert_eq!(
        (told.action.as_str(), told.resource_id.as_str()),
        ("audit.prune", "2025-01")
    );
    assert_eq!(told.details["removed"], "9");
    assert_eq!(told.actor.id(), "kazu");

    // A checkpoint from before, the proof of what is left, and an export of it.
    let note: ops_core::audit::Note = checkpoint;
    let seen = note.text().parse().unwrap();
    let growth = growth_since(&*desk.audit, &tenant(), &seen).await.unwrap();
    assert_eq!(growth, ops_core::audit::Growth::Grown);
    let kept = left
        .iter()
        .find(|(_, record)| month(record) == "2025-02")
        .unwrap();
    let proof = prove(&*desk.audit, &tenant(), kept.1.id, &note).await.unwrap();
    proof.verify(&[desk.signer.verifier().clone()]).unwrap();
    let gone = before
        .iter()
        .find(|(_, record)| !left.iter().any(|(_, found)| found.id == record.id))
        .unwrap();
    let refused = prove(&*desk.audit, &tenant(), gone.1.id, &note)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    assert!(refused.to_string().contains("retention has removed"), "{refused}");
    let after = desk.export("after", &tenant(), EvidenceFilter::default()).await;
    let verdict = verify(&desk.signer, &after);
    assert!(verdict.intact(), "{verdict:?}");
    let manifest = verdict.manifest.unwrap();
    assert_eq!((manifest.records, manifest.removed, manifest.size), (22, 9, 31));

    // The next time nothing but what is held is left of it.
    let plan = &desk.plan(&evidence).await[0];
    assert_eq!((plan.removable(), plan.held(), plan.is_ready()), (0, 6, false));
    desk.audit
        .release(hold.id, at("2026-01-02T00:00:00Z"))
        .await
        .unwrap();
    let plan = &desk.plan(&evidence).await[0];
    assert!(
        plan.is_ready() && plan.removable() == 1,
        "the evidence of before has it: {plan:?}"
    );
    desk.prune(plan).await.unwrap();
    assert!(desk.audit.verify(&tenant()).await.unwrap().intact());
}

#[tokio::test]
async fn who_is_held_is_not_forgotten() {
    let desk = Desk::new(trail().await);
    let hold = LegalHold::new(other(), "case 7", at("2026-01-01T00:00:00Z")).of_person("rei");
    desk.audit.hold(&hold).await.unwrap();
    let forgotten = desk.audit.forget(&other(), "rei").await.unwrap();
    assert_eq!((forgotten.records, forgotten.left, forgotten.held), (0, 0, 1));
    assert_eq!(desk.audit.chain(&other())[0].1.actor.id(), "rei");
}

#[tokio::test]
async fn years_later_the_trail_still_tells_of_the_first_removal() {
    let mut desk = Desk::new(trail().await);
    for year in 2026..2031 {
        for month in ["02", "03", "04"] {
            let name = format!("{year}-{month}");
            desk.retention = retention_on(&format!("{name}-10T00:00:00Z"), &desk.audit);
            desk.audit
                .append(&made(&tenant(), at(&format!("{name}-05T00:00:00Z")), "kazu", "1"))
                .await
                .unwrap();
            let evidence = [
                desk.export(&format!("a{name}"), &tenant(), EvidenceFilter::default())
                    .await,
                desk.export(&format!("b{name}"), &other(), EvidenceFilter::default())
                    .await,
            ];
            for plan in desk.plan(&evidence).await {
                desk.prune(&plan).await.unwrap();
            }
            assert_eq!(desk.plan(&evidence).await, [], "{name}: nothing is left to do");
            for tenant in [tenant(), other()] {
                let report = desk.audit.verify(&tenant).await.unwrap();
                assert!(report.intact(), "{name}: {report:?}");
            }
        }
    }
    let report = desk.audit.verify(&tenant()).await.unwrap();
    assert!(report.removed > 40, "{report:?}");
}

#[tokio::test]
async fn records_that_retention_removed_stay_in_the_tree() {
    let audit = support::trail(20).await;
    let mut told = support::record(20)
        .with_detail("first", "1")
        .with_detail("last", "12")
        .with_detail("removed", "12");
    told.action = "audit.prune".to_owned();
    audit.append(&told).await.unwrap();
    let mut source = scripted_of(&audit);
    for entry in &mut source.entries[..12] {
        if let TrailEntry::Record { receipt, record } = entry {
            *entry = TrailEntry::Removed {
                receipt: receipt.clone(),
                id: record.id,
                content: content(record),
            };
        }
    }
    source.extent.matching = 9;
    let mut untold = scripted_of(&audit);
    let (signer, out) = (signer(), tempfile::tempdir().unwrap());
    let manifest = export_of(source, &signer, out.path()).await.unwrap();
    assert_eq!(
        (manifest.records, manifest.left_out, manifest.removed),
        (9, 12, 12)
    );
    assert!(verify(&signer, out.path()).intact());

    // The trail does not tell of the last one.
    for entry in &mut untold.entries[..13] {
        if let TrailEntry::Record { receipt, record } = entry {
            *entry = TrailEntry::Removed {
                receipt: receipt.clone(),
                id: record.id,
                content: content(record),
            };
        }
    }
    untold.extent.matching = 8;
    let out = tempfile::tempdir().unwrap();
    let manifest = export_of(untold, &signer, out.path()).await.unwrap();
    assert_eq!((manifest.checkpoint, manifest.faults[0].sequence), (None, 13));
}

#[tokio::test]
async fn a_month_within_its_time_stays_whoever_planned_it() {
    let desk = Desk::new(trail().await);
    let evidence = [
        desk.export("a", &tenant(), EvidenceFilter::default()).await,
        desk.export("b", &other(), EvidenceFilter::default()).await,
    ];
    let hasty = retention_on("2027-02-10T00:00:00Z", &desk.audit);
    let plans = hasty.plan(&evidence, &desk.verifier()).await.unwrap();
    let february = plans
        .iter()
        .find(|plan| plan.month.to_string() == "2025-02")
        .unwrap();
    assert!(february.is_ready());
    let refused = desk.prune(february).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");
    assert_eq!(desk.audit.chain(&tenant()).len(), 30, "nothing went");
}

/// Takes everything for something to mask.
#[derive(Debug)]
struct MasksAll;

impl PiiMasker for MasksAll {
    fn mask<'a>(&self, _: &'a str) -> Cow<'a, str> {
        Cow::Borrowed("x")
    }
}

#[tokio::test]
async fn a_removal_is_told_of_whatever_the_masker_takes_for_personal() {
    let desk = Desk::new(trail().await);
    let clock = Arc::new(ManualClock::new(at("2026-02-10T00:00:00Z")));
    let (store, time) = (
        Arc::<InMemoryAudit>::clone(&desk.audit),
        Arc::<ManualClock>::clone(&clock),
    );
    let recorder = Recorder::new(store, Arc::new(MasksAll), time);
    let store = Arc::<InMemoryAudit>::clone(&desk.audit);
    let retention = TrailRetention::new(store, recorder, clock, 365 * DAY);
    let evidence = [
        desk.export("a", &tenant(), EvidenceFilter::default()).await,
        desk.export("b", &other(), EvidenceFilter::default()).await,
    ];
    let plan = &retention.plan(&evidence, &desk.verifier()).await.unwrap()[0];
    retention
        .prune(plan, &Actor::person("kazu").unwrap())
        .await
        .unwrap();
    let report = desk.audit.verify(&tenant()).await.unwrap();
    assert!(report.intact() && report.removed == 15, "{report:?}");
    assert_eq!(desk.audit.chain(&tenant()).last().unwrap().1.actor.id(), "x");
}
