//! Common calls have scripts of their own, which must leave and find the states of the one for all calls.

use std::sync::Arc;
use std::time::Duration;

use ops_core::model::{
    EndpointClass, LimitDigest, LimitKey, LimitName, LimitRule, LimitSemantics, LimitTable, Standing,
};
use ops_core::ports::{CountedLimit, LimitCheck, LimitStamp, LimitStore, LimitsChecked, Published};
use ops_core::resilience::LimitCounts;
use ops_core::testkit::{RedisServer, redis_url};
use ops_railway::redis::RedisLimits;

use crate::stage::{say, store};

async fn with_table(store: &RedisLimits) -> LimitStamp {
    let table = LimitTable::preset();
    assert_eq!(store.publish(&table).await.unwrap(), Published::Taken);
    LimitStamp::of_version(table.version)
}

fn key(semantics: LimitSemantics, name: &str, user: usize) -> LimitDigest {
    let name = LimitName::new(name).unwrap();
    let rule = LimitRule::per_minute(name, EndpointClass::Api, 1).with_semantics(semantics);
    LimitKey::user("org", &user.to_string()).digest(&rule, &[7; 32])
}

/// One limit, or for every other user of those with strict limits two.
fn check(semantics: LimitSemantics, user: usize, cost: u32, per: Duration) -> LimitCheck {
    let mut check = LimitCheck::new(cost);
    check.push(CountedLimit::new(key(semantics, "all", user), semantics, 12, per));
    if semantics == LimitSemantics::Strict && user % 2 == 1 {
        check.push(CountedLimit::new(
            key(semantics, "class", user),
            semantics,
            7,
            per,
        ));
    }
    check
}

/// What makes a call one for the script for all calls: a look.
fn look(semantics: LimitSemantics) -> LimitCheck {
    check(semantics, 1_000, 0, Duration::from_secs(64))
}

/// Decides `checks` and compares each answer with that of the model at the store's own time.
async fn decide(
    store: &RedisLimits,
    stamp: LimitStamp,
    checks: &[LimitCheck],
    model: &mut LimitCounts,
) -> Vec<Standing> {
    let LimitsChecked::Decided { at, standings } = store.check(stamp, checks).await.unwrap() else {
        panic!("the table holds");
    };
    let mut wanted = Vec::new();
    for check in checks {
        model.decide(check, at, &mut wanted);
    }
    let other = standings
        .iter()
        .zip(&wanted)
        .find(|(told, wanted)| told != wanted);
    assert_eq!(other, None, "told and wanted, at {at:?}");
    assert_eq!(standings.len(), wanted.len());
    standings
}

fn random(mut seed: usize) -> impl FnMut(usize) -> usize {
    move |below| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    }
}

#[tokio::test]
async fn all_scripts_decide_alike_on_the_same_states() {
    const USERS: usize = 40;
    let Some(url) = redis_url().await else { return };
    // Slots of 30 ms, so that in the time of the test some begin and some end.
    let per = Duration::from_millis(900);
    for semantics in [LimitSemantics::Burst, LimitSemantics::Strict] {
        let store = store(&url);
        let stamp = with_table(&store).await;
        let (mut model, mut next) = (LimitCounts::new(usize::MAX), random(7));
        let (mut by_script, mut told) = ([0; 2], [0; 2]);
        for round in 0..400 {
            let (first, many) = (next(USERS), 1 + next(if round % 3 == 0 { 1 } else { USERS }));
            let same = [1, 2, 3, 12][next(4)];
            let mut checks: Vec<_> = (first..first + many)
                .map(|user| {
                    let cost = if semantics == LimitSemantics::Burst {
                        same
                    } else {
                        1 + next(3)
                    };
                    check(semantics, user % USERS, u32::try_from(cost).unwrap(), per)
                })
                .collect();
            let whole = next(2);
            if whole == 1 {
                checks.push(look(semantics));
            }
            by_script[whole] += 1;
            for standing in decide(&store, stamp, &checks, &mut model).await {
                told[usize::from(standing.admitted)] += 1;
            }
            tokio::time::sleep(Duration::from_millis(next(12) as u64)).await;
        }
        assert!(by_script.iter().all(|calls| *calls > 100), "{by_script:?}");
        assert!(
            told.iter().all(|answers| *answers > 1_000),
            "{semantics:?}: {told:?}"
        );
    }
}

/// A slot that is newer than the time, as where a server's clock was put back, counts as the newest.
#[tokio::test]
async fn a_strict_state_of_a_later_time_is_used_on_by_all_scripts() {
    let Some(server) = RedisServer::for_test(&[]).await else {
        return;
    };
    let minute = Duration::from_secs(64);
    let store = store(&server.url());
    let stamp = with_table(&store).await;
    let ask = async |whole: bool| {
        let mut checks = vec![check(LimitSemantics::Strict, 2, 1, minute)];
        if whole {
            checks.push(look(LimitSemantics::Strict));
        }
        let LimitsChecked::Decided { standings, .. } = store.check(stamp, &checks).await.unwrap() else {
            panic!("the table holds");
        };
        (standings[0].admitted, standings[0].remaining)
    };
    let later = "EVAL \"for _, key in ipairs(redis.call('KEYS', '*states:*')) do \
         for _, field in ipairs(redis.call('HKEYS', key)) do if #field == 16 then \
         local state = redis.call('HGET', key, field); \
         local slot = struct.unpack('<I6', state); \
         redis.call('HSET', key, field, struct.pack('<I6', slot + 4) .. state:sub(7)) end end end return 'later'\" 0";
    for left in (0..12).rev() {
        assert_eq!(ask(left % 2 == 0).await, (true, left));
        if left % 3 == 0 {
            assert!(say(server.port(), later).contains("later"));
        }
    }
    for whole in [false, true] {
        assert_eq!(ask(whole).await, (false, 0));
    }
}

#[tokio::test]
async fn a_call_of_as_many_states_as_a_script_takes_is_decided() {
    let Some(url) = redis_url().await else { return };
    let store: Arc<RedisLimits> = store(&url);
    let stamp = with_table(&store).await;
    let minute = Duration::from_secs(60);
    for semantics in [LimitSemantics::Burst, LimitSemantics::Strict] {
        let mut model = LimitCounts::new(usize::MAX);
        let checks: Vec<_> = (0..1_000)
            .map(|user| check(semantics, 2 * user, 5, minute))
            .collect();
        for admitted in [true, true, false] {
            let standings = decide(&store, stamp, &checks, &mut model).await;
            assert!(standings.iter().all(|standing| standing.admitted == admitted));
        }
    }
}
