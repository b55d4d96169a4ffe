//! Due dates in a real database: what the suite of the port cannot see.

use ops_core::model::{Actor, Completion, DueDate, DueKey, DueOutcome, Timestamp};
use ops_core::ports::DueDates;
use ops_postgres::{PostgresDueDates, PostgresStore};

use crate::world::{World, run};

fn done(key: &str, by: &str) -> Completion {
    Completion::new(
        DueKey::new(key).unwrap(),
        DueOutcome::Done,
        Timestamp::UNIX_EPOCH,
        Actor::person(by).unwrap(),
    )
}

#[tokio::test]
async fn of_eight_connections_that_settle_one_date_one_wins_and_the_others_hear_who() {
    let Some(world) = World::new().await else { return };
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..8 {
        let store = PostgresStore::connect(world.scratch.owner_url()).await.unwrap();
        tasks.spawn(async move {
            let dates = PostgresDueDates::new(&store);
            let by = format!("person-{n}");
            let result = dates.complete(&done("restore-test/2026-Q4", &by)).await;
            (by, result.map(|kept| kept.by.id().to_owned()))
        });
    }
    let results = tasks.join_all().await;
    let winners: Vec<_> = results
        .iter()
        .filter_map(|(_, result)| result.as_ref().ok())
        .collect();
    assert_eq!(winners.len(), 1, "{results:?}");
    for (by, result) in &results {
        match result {
            Ok(kept) => assert_eq!(kept, by),
            Err(error) => assert!(error.to_string().contains(winners[0].as_str()), "{error}"),
        }
    }
    let kept = PostgresDueDates::new(&world.store)
        .completions(Timestamp::UNIX_EPOCH)
        .await
        .unwrap();
    assert_eq!(kept.len(), 1);
    world.close().await;
}

#[tokio::test]
async fn a_due_date_that_was_changed_by_hand_is_named() {
    let Some(world) = World::new().await else { return };
    let dates = PostgresDueDates::new(&world.store);
    let now = Timestamp::UNIX_EPOCH;
    let date = DueDate::once("報告", now, Actor::person("alice").unwrap(), now);
    dates.set(&date).await.unwrap();
    dates.complete(&done("reindex/2026-11", "alice")).await.unwrap();
    let mut owner = world.owner().await;
    run(
        &mut owner,
        "update ops.due_date set due = due + 1; update ops.due_completion set key = 'reindex/2026-12'",
    )
    .await
    .unwrap();
    for (error, row) in [
        (dates.dates().await.unwrap_err(), date.key.as_str()),
        (dates.completions(now).await.unwrap_err(), "reindex/2026-12"),
    ] {
        let said = error.to_string();
        assert!(said.contains(row) && said.contains("do not fit"), "{said}");
    }
    world.close().await;
}
