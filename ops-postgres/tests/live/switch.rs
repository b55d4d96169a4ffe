use std::collections::BTreeMap;

use ops_core::error::ErrorKind;
use ops_core::model::{Actor, Timestamp};
use ops_core::ports::{SwitchStore, SwitchedOff};
use ops_postgres::{PostgresStore, PostgresSwitchStore};

use super::world::World;

#[tokio::test]
async fn one_of_eight_processes_wins_the_race_and_the_others_are_told() {
    let Some(world) = World::new().await else { return };
    let mut tasks = Vec::new();
    for task in 0..8 {
        let store = PostgresStore::connect(world.scratch.owner_url()).await.unwrap();
        let off = SwitchedOff::new(
            Timestamp::UNIX_EPOCH,
            Actor::person(format!("p{task}")).unwrap(),
            None,
        );
        let stopped = BTreeMap::from([("llm".to_owned(), off)]);
        tasks.push(tokio::spawn(async move {
            PostgresSwitchStore::new(&store).write(0, &stopped).await
        }));
    }
    let mut won = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(generation) => {
                assert_eq!(generation, 1);
                won += 1;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
        }
    }
    assert_eq!(won, 1);
    let state = PostgresSwitchStore::new(&world.store).read().await.unwrap();
    assert_eq!((state.generation, state.stopped.len()), (1, 1));
    world.close().await;
}

#[tokio::test]
async fn switches_can_be_written_while_the_database_is_read_only() {
    let Some(world) = World::new().await else { return };
    world.stop().await;
    let switches = PostgresSwitchStore::new(&world.store);
    assert_eq!(switches.write(0, &BTreeMap::new()).await.unwrap(), 1);
    world.close().await;
}
