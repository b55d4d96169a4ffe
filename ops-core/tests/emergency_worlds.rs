//! Random worlds, random operators, crashes and drift: a restore is byte-equal, or refused with the drift named.
//!
//! 10,000 worlds in all, in memory and in virtual time; each kind is a test of its own, so that they run side by side, and draws its own. They are
//! the same in each run; `PROPTEST_RNG_SEED=N` draws others.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;
mod support_worlds;

use std::collections::BTreeMap;
use std::sync::Arc;

use ops_core::error::Result;
use ops_core::model::{RunId, TargetId};
use ops_core::ports::{Held, Journal, JournalEntry, JournalEvent};
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestCaseError, TestError, TestRng, TestRunner};
use serde_json::json;
use support_emergency::{LastWriterWins, Moment, SharedJournal};
use support_worlds::{Deed, Machines, Seen, Story, Trouble, play, story};

#[test]
fn a_number_is_restored_to_its_last_digit() {
    // Without its feature `float_roundtrip`, `serde_json` reads this one back as 4.818089349244125e-95.
    let fields = BTreeMap::from([("scaling".to_owned(), json!(4.818_089_349_244_124_6e-95))]);
    run(&Story::of_one_stop(fields), Arc::new(SharedJournal::new())).unwrap();
}

/// The dead run's call has stopped the target by half when the restore is planned, and wholly when the restore acts.
#[test]
fn a_stop_that_a_late_call_completes_is_no_change_by_others() {
    let mode = || BTreeMap::from([("mode".to_owned(), json!("automatic"))]);
    for markers in [false, true] {
        let story = Story {
            trouble: Trouble::LateCalls,
            priors: vec![mode(), mode()],
            latency: 2,
            markers,
            deeds: vec![Deed::DieStopping {
                machine: 0,
                at: 4,
                moment: Moment::AfterTheWrite,
                lands: Some(0),
                outage: false,
            }],
            ..Story::of_one_stop(mode())
        };
        let seen = run(&story, Arc::new(SharedJournal::new())).unwrap();
        assert_eq!((seen.exact, seen.refused), (1, 0));
    }
}

/// Nobody stops what was put back by a restore that died, so what is changed there by hand afterwards stays.
#[test]
fn a_stop_that_is_taken_up_after_its_restore_leaves_what_it_finds() {
    let story = Story {
        trouble: Trouble::LateCalls,
        markers: true,
        deeds: vec![
            Deed::DieStopping {
                machine: 0,
                at: 3,
                moment: Moment::BeforeTheWrite,
                lands: None,
                outage: false,
            },
            Deed::DieRestoring {
                machine: 0,
                at: 5,
                moment: Moment::AfterTheWrite,
                lands: 0,
            },
            Deed::TakeUp {
                machine: 0,
                dies_at: None,
            },
            Deed::ChangeByHand {
                target: 0,
                field: "mode",
                value: json!("by hand"),
            },
        ],
        ..Story::of_one_stop(BTreeMap::from([("mode".to_owned(), json!("automatic"))]))
    };
    run(&story, Arc::new(SharedJournal::new())).unwrap();
}

fn in_virtual_time<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(work)
}

fn run(story: &Story, journal: Arc<dyn Journal>) -> std::result::Result<Seen, TestCaseError> {
    in_virtual_time(async { play(story, &Machines::of(story, journal)).await })
}

#[test]
fn a_restore_is_exact_or_refused_in_every_world_without_markers() {
    exact_or_refused(Trouble::Nothing, false, 1_250);
}

#[test]
fn a_restore_is_exact_or_refused_in_every_world_with_markers() {
    exact_or_refused(Trouble::Nothing, true, 1_250);
}

#[test]
fn a_restore_is_exact_or_refused_whatever_lands_late_and_whatever_the_clocks_say_without_markers() {
    exact_or_refused(Trouble::LateCalls, false, 1_250);
}

#[test]
fn a_restore_is_exact_or_refused_whatever_lands_late_and_whatever_the_clocks_say_with_markers() {
    exact_or_refused(Trouble::LateCalls, true, 1_250);
}

#[test]
fn a_restore_is_exact_or_refused_after_outages_of_the_journal_without_markers() {
    exact_or_refused(Trouble::Outages, false, 1_250);
}

#[test]
fn a_restore_is_exact_or_refused_after_outages_of_the_journal_with_markers() {
    exact_or_refused(Trouble::Outages, true, 1_250);
}

#[test]
fn a_restore_is_exact_or_refused_by_machines_with_a_journal_each_without_markers() {
    exact_or_refused(Trouble::Apart, false, 1_250);
}

#[test]
fn a_restore_is_exact_or_refused_by_machines_with_a_journal_each_with_markers() {
    exact_or_refused(Trouble::Apart, true, 1_250);
}

fn exact_or_refused(trouble: Trouble, markers: bool, cases: u32) {
    let seen = std::cell::RefCell::new(Seen::default());
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let random = random(&config, trouble, markers);
    let outcome = TestRunner::new_with_rng(config, random).run(&story(trouble, markers), |story| {
        let one = run(&story, Arc::new(SharedJournal::new()))?;
        let mut seen = seen.borrow_mut();
        seen.exact += one.exact;
        seen.refused += one.refused;
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let seen = seen.into_inner();
    assert!(seen.exact > 100, "{seen:?}");
    // Marks tell whose half it is: then nothing need be refused between machines that change nothing by hand.
    let refuses = trouble != Trouble::Apart || !markers;
    assert!(!refuses || seen.refused > 0, "both ends must be met: {seen:?}");
}

/// Other draws for each kind of world.
fn random(config: &Config, trouble: Trouble, markers: bool) -> TestRng {
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => 0,
    };
    let mut bytes = [2 * trouble as u8 + u8::from(markers); 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

/// A negative control: some world must be restored to something that it was not.
fn is_caught(trouble: Trouble, run: impl Fn(&Story) -> std::result::Result<Seen, TestCaseError>, says: &str) {
    let config = Config {
        cases: 2_000,
        failure_persistence: None,
        max_shrink_iters: 0,
        ..Config::default()
    };
    let random = random(&config, trouble, false);
    let outcome =
        TestRunner::new_with_rng(config, random).run(&story(trouble, false), |story| run(&story).map(drop));
    match outcome {
        Err(TestError::Fail(reason, _)) => {
            assert!(reason.message().contains(says), "must fail for {says}: {reason}");
        }
        other => panic!("the property must notice it: {other:?}"),
    }
}

#[test]
fn a_journal_in_which_the_last_writer_wins_is_caught() {
    is_caught(
        Trouble::Nothing,
        |story| run(story, Arc::new(LastWriterWins::default())),
        "\\\"mode\\\"",
    );
}

#[test]
fn what_is_already_stopped_taken_for_a_prior_state_is_caught() {
    let run = |story: &Story| {
        in_virtual_time(async {
            let mut machines = Machines::of(story, Arc::new(SharedJournal::new()));
            machines.stopped_is_a_prior = true;
            play(story, &machines).await
        })
    };
    is_caught(Trouble::Apart, run, "stopped");
}

#[test]
fn a_journal_that_forgets_announced_calls_is_caught() {
    let run = |story: &Story| run(story, Arc::new(ForgetsCalls::default()));
    is_caught(Trouble::LateCalls, run, "stopped");
}

/// A journal without intents: nobody knows of a call that may land late.
#[derive(Debug, Default)]
struct ForgetsCalls(SharedJournal);

#[async_trait::async_trait]
impl Journal for ForgetsCalls {
    async fn append(&self, entry: &JournalEntry) -> Result<()> {
        self.0.append(entry).await
    }

    async fn entries(&self, run: &RunId) -> Result<Vec<JournalEntry>> {
        let mut entries = self.0.entries(run).await?;
        for entry in &mut entries {
            if let JournalEvent::Intent { timeout, .. } = &mut entry.event {
                *timeout = Some(std::time::Duration::ZERO);
            }
        }
        Ok(entries)
    }

    async fn runs(&self) -> Result<Vec<RunId>> {
        self.0.runs().await
    }

    async fn hold(&self, wanted: &Held) -> Result<Held> {
        self.0.hold(wanted).await
    }

    async fn held(&self) -> Result<Vec<Held>> {
        self.0.held().await
    }

    async fn release(&self, run: &RunId, target: &TargetId) -> Result<()> {
        self.0.release(run, target).await
    }
}
