use ops_core::model::{OutcomeStatus, RunId, Snapshot, TargetId, Timestamp};
use ops_core::ports::{Held, Journal, JournalEntry, JournalEvent};
use ops_postgres::{PostgresJournal, PostgresStore};

use super::world::World;

fn wanted(run: &RunId, state: &str) -> Held {
    let target = TargetId::new("cloud-run:api").unwrap();
    let snapshot = Snapshot::new(target, "test/1").with_field("state", state);
    Held::new(run.clone(), Timestamp::from_unix_micros(1), snapshot)
}

#[tokio::test]
async fn eight_processes_hold_at_once_and_all_are_told_the_same_prior_state() {
    let Some(world) = World::new().await else { return };
    for round in 0..5 {
        let mut tasks = Vec::new();
        for task in 0..8 {
            let store = PostgresStore::connect(world.scratch.owner_url()).await.unwrap();
            let run = RunId::new(format!("run_{round}_{task}")).unwrap();
            tasks.push(tokio::spawn(async move {
                PostgresJournal::new(&store)
                    .hold(&wanted(&run, &format!("seen by {task}")))
                    .await
                    .unwrap()
            }));
        }
        let mut told = Vec::new();
        for task in tasks {
            told.push(task.await.unwrap());
        }
        assert!(told.iter().all(|held| *held == told[0]), "{told:?}");
        let journal = PostgresJournal::new(&world.store);
        assert_eq!(journal.held().await.unwrap(), [told[0].clone()]);
        journal
            .release(&told[0].run, told[0].snapshot.target())
            .await
            .unwrap();
    }
    world.close().await;
}

#[tokio::test]
async fn the_journal_goes_on_while_the_database_is_read_only() {
    let Some(world) = World::new().await else { return };
    world.stop().await;
    let run = RunId::new("run_1").unwrap();
    // Another process: its sessions begin while the database's default is read-only.
    let store = PostgresStore::connect(world.scratch.owner_url()).await.unwrap();
    for journal in [PostgresJournal::new(&world.store), PostgresJournal::new(&store)] {
        let status = OutcomeStatus::Verified;
        let entry = JournalEntry::new(run.clone(), Timestamp::UNIX_EPOCH, JournalEvent::Ended { status });
        journal.append(&entry).await.unwrap();
        journal.hold(&wanted(&run, "before")).await.unwrap();
    }
    let journal = PostgresJournal::new(&world.store);
    assert_eq!(journal.entries(&run).await.unwrap().len(), 2);
    assert_eq!(journal.held().await.unwrap().len(), 1);
    store.close().await;
    world.close().await;
}

#[tokio::test]
async fn numbers_and_odd_characters_of_a_snapshot_come_back_byte_for_byte() {
    // jsonb would rewrite numbers and refuse \u0000.
    let Some(world) = World::new().await else { return };
    let run = RunId::new("run_1").unwrap();
    let mut held = wanted(&run, "改行\n\u{0}\"");
    held.snapshot = held
        .snapshot
        .with_field("ratio", 1.0e-7)
        .with_field("big", u64::MAX);
    let journal = PostgresJournal::new(&world.store);
    journal.hold(&held).await.unwrap();
    let found = journal.held().await.unwrap().remove(0);
    assert_eq!(
        found.snapshot.restorable_bytes(),
        held.snapshot.restorable_bytes()
    );
    world.close().await;
}
