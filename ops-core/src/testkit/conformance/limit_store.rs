use std::time::Duration;

use super::{fresh, ok};
use crate::model::{
    EndpointClass, LimitChange, LimitDigest, LimitKey, LimitName, LimitRule, LimitSemantics, LimitTable,
    LimitTime, Standing,
};
use crate::ports::{CountedLimit, DenialCount, LimitCheck, LimitStamp, LimitStore, LimitsChecked, Published};
use crate::resilience::LimitCounts;

/// The contract of [`LimitStore`]. Nobody else may publish a table meanwhile; keys are the suite's own. Takes a second or two.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn limit_store(port: &dyn LimitStore) {
    let version = tables(port).await;
    let stamp = LimitStamp::of_version(version);
    stamps(port, version).await;
    limits(port, stamp).await;
    all_or_nothing(port, stamp).await;
    many_checks_in_a_call(port, stamp).await;
    decides_like_the_model(port, stamp).await;
    denials(port, version).await;
}

async fn tables(port: &dyn LimitStore) -> u64 {
    let before = ok("table", port.table().await);
    let mut table = LimitTable::preset();
    table.version = before.map_or(1, |table| table.version + 1);
    assert_eq!(
        ok("publish", port.publish(&table).await),
        Published::Taken,
        "a table of a greater version must be taken"
    );
    assert_eq!(
        ok("publish", port.publish(&table).await),
        Published::Taken,
        "publishing the same table again must change nothing"
    );
    assert_eq!(
        ok("table", port.table().await).as_ref(),
        Some(&table),
        "what was published must be read back"
    );

    let mut other = table.clone();
    other.rules[0].limit = 7;
    let kept = Published::Kept {
        version: table.version,
    };
    assert_eq!(
        ok("publish", port.publish(&other).await),
        kept,
        "another table of the same version must not replace one"
    );
    let next = table.reset(|_| false, super::at(0));
    assert_eq!(ok("publish", port.publish(&next).await), Published::Taken);
    assert_eq!(
        ok("publish", port.publish(&table).await),
        Published::Kept {
            version: next.version
        },
        "an older table must not come back"
    );
    let changed = ok(
        "changed",
        next.changed(LimitChange::new(50).by("日本語"), super::at(0)),
    );
    assert_eq!(ok("publish", port.publish(&changed).await), Published::Taken);
    assert_eq!(ok("table", port.table().await), Some(changed.clone()));
    changed.version
}

async fn stamps(port: &dyn LimitStore, version: u64) {
    let limit = strict(1, MINUTE);
    let check = check(1, &[limit]);
    let mut now = LimitTime::ZERO;
    for wrong in [version - 1, version + 1, 0] {
        match ok("check", port.check(LimitStamp::of_version(wrong), &[check]).await) {
            LimitsChecked::Superseded { version: told, at } => {
                assert_eq!(told, version, "the version that holds must be told");
                now = at;
            }
            decided => panic!("a call under version {wrong} must not be decided: {decided:?}"),
        }
    }
    let (early, late) = (LimitTime::ZERO, LimitTime::from_micros(LimitStamp::MAX_MICROS));
    for (from, until) in [
        (early, now),
        (LimitTime::from_micros(now.as_micros() + HOUR), late),
    ] {
        let stamp = LimitStamp::of_version(version).between(from, until);
        let told = ok("check", port.check(stamp, &[check]).await);
        assert!(
            matches!(told, LimitsChecked::Superseded { .. }),
            "a call outside its time must not be decided: {told:?}"
        );
    }
    let within = LimitStamp::of_version(version).between(now, LimitTime::from_micros(now.as_micros() + HOUR));
    let standing = decided(port, within, &[check]).await[0];
    assert!(
        standing.admitted,
        "a call that was not decided must count nothing"
    );
    let none = decided(port, within, &[]).await;
    assert!(none.is_empty(), "a call without checks must be decided");
}

async fn limits(port: &dyn LimitStore, stamp: LimitStamp) {
    for semantics in [LimitSemantics::Strict, LimitSemantics::Burst] {
        let limit = counted(semantics, 5, MINUTE);
        let peek = decided(port, stamp, &[check(0, &[limit])]).await[0];
        assert!(
            peek.admitted && peek.remaining == 5,
            "{semantics:?}: a fresh key has all: {peek:?}"
        );
        for left in (0..5).rev() {
            let standing = decided(port, stamp, &[check(1, &[limit])]).await[0];
            assert!(
                standing.admitted,
                "{semantics:?}: {left} must be left: {standing:?}"
            );
            assert_eq!(standing.remaining, left, "{semantics:?}");
            assert_eq!(standing.retry_after, Some(Duration::ZERO));
        }
        for _ in 0..3 {
            let denied = decided(port, stamp, &[check(1, &[limit])]).await[0];
            assert!(!denied.admitted, "{semantics:?}: the limit must hold");
            let wait = denied.retry_after.unwrap_or_default();
            let longest = if semantics == LimitSemantics::Strict {
                62
            } else {
                12
            };
            assert!(
                wait > Duration::ZERO && wait <= Duration::from_secs(longest),
                "{semantics:?}: a denial must say when to come back: {wait:?}"
            );
            let peek = decided(port, stamp, &[check(0, &[limit])]).await[0];
            assert_eq!(peek.remaining, 0, "{semantics:?}: a cost of 0 only looks");
        }
        let never = decided(port, stamp, &[check(6, &[limit])]).await[0];
        assert!(
            !never.admitted && never.retry_after.is_none(),
            "{semantics:?}: more than the limit: never"
        );

        if semantics == LimitSemantics::Strict {
            let mut more = limit;
            more.limit = 20;
            let standing = decided(port, stamp, &[check(7, &[more])]).await[0];
            assert!(
                standing.admitted,
                "a greater limit holds at once for the same key: {standing:?}"
            );
        }
        let mut less = limit;
        less.limit = 2;
        let again = decided(port, stamp, &[check(1, &[less])]).await[0];
        assert!(!again.admitted, "{semantics:?}: a smaller one too");
        let other = decided(port, stamp, &[check(5, &[counted(semantics, 5, MINUTE)])]).await[0];
        assert!(
            other.admitted,
            "{semantics:?}: keys are independent of each other"
        );
    }
}

async fn all_or_nothing(port: &dyn LimitStore, stamp: LimitStamp) {
    for semantics in [LimitSemantics::Strict, LimitSemantics::Burst] {
        let (many, few) = (
            counted(semantics, 10, MINUTE),
            counted(LimitSemantics::Strict, 2, MINUTE),
        );
        for _ in 0..2 {
            let both = decided(port, stamp, &[check(1, &[many, few])]).await;
            assert!(both.iter().all(|standing| standing.admitted), "{both:?}");
        }
        for _ in 0..3 {
            let both = decided(port, stamp, &[check(1, &[many, few])]).await;
            assert!(
                both[0].admitted && !both[1].admitted,
                "each limit speaks for itself: {both:?}"
            );
            assert_eq!(both[0].remaining, 8, "{semantics:?}: as without the request");
        }
        let rest = decided(port, stamp, &[check(0, &[many])]).await[0];
        assert_eq!(
            rest.remaining, 8,
            "{semantics:?}: what one limit denies uses up nothing of the other"
        );
    }
}

async fn many_checks_in_a_call(port: &dyn LimitStore, stamp: LimitStamp) {
    for semantics in [LimitSemantics::Strict, LimitSemantics::Burst] {
        let (hot, cold) = (counted(semantics, 3, MINUTE), counted(semantics, 50, MINUTE));
        let mut checks = Vec::new();
        for _ in 0..5 {
            checks.push(check(1, &[hot, cold]));
            checks.push(check(2, &[cold]));
        }
        let standings = decided(port, stamp, &checks).await;
        let admitted: Vec<_> = standings.chunks(3).map(|three| three[0].admitted).collect();
        assert_eq!(
            admitted,
            [true, true, true, false, false],
            "{semantics:?}: one after the other"
        );
        let rest = decided(port, stamp, &[check(0, &[cold])]).await[0];
        assert_eq!(rest.remaining, 50 - 3 - 10, "{semantics:?}");

        // As many as a call may have.
        let different: Vec<_> = (0..250)
            .map(|_| check(1, &[(); 4].map(|()| counted(semantics, 1, MINUTE))))
            .collect();
        for admitted in [true, false] {
            let all = decided(port, stamp, &different).await;
            assert!(
                all.len() == 1_000 && all.iter().all(|standing| standing.admitted == admitted),
                "{semantics:?}: 1000 keys"
            );
        }
    }
}

/// Many decisions within short periods, each compared with that of the model at the store's own time.
async fn decides_like_the_model(port: &dyn LimitStore, stamp: LimitStamp) {
    let mut model = LimitCounts::new(usize::MAX);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap_or(0)
    };
    let periods = [1_000, 30_000, 333_333, 60_000_000, HOUR].map(Duration::from_micros);
    let keys = || -> Vec<Vec<_>> {
        let own = |per| {
            let semantics = [LimitSemantics::Strict, LimitSemantics::Burst];
            (0..6)
                .map(|number| counted(semantics[number % 2], 0, per))
                .collect()
        };
        periods.into_iter().map(own).collect()
    };
    let (keys, crowds) = (keys(), keys());
    for _ in 0..300 {
        let checks = match next(4) {
            0 => alike(&keys, 1, 7, &mut next),
            // None is denied: a store may ask a second time about those that are, and time passes meanwhile.
            1 => alike(&crowds, 3, 10_000, &mut next),
            _ => different(&keys, &mut next),
        };
        let LimitsChecked::Decided { at, standings } = ok("check", port.check(stamp, &checks).await) else {
            panic!("a call under the version that holds must be decided");
        };
        let mut wanted = Vec::new();
        for check in &checks {
            model.decide(check, at, &mut wanted);
        }
        assert_eq!(
            standings, wanted,
            "it must decide as the model does at {at:?}: {checks:?}"
        );
    }
}

/// Checks of one limit that differ in the caller.
fn alike(
    keys: &[Vec<CountedLimit>],
    many: usize,
    limit: usize,
    next: &mut impl FnMut(usize) -> usize,
) -> Vec<LimitCheck> {
    let (own, semantics) = (&keys[next(keys.len())], next(2));
    let (limit, cost) = (small(limit - next(7)), small(1 + next(2)));
    let callers = own.iter().skip(semantics).step_by(2).take(1 + next(many));
    callers
        .map(|caller| {
            let mut caller = *caller;
            caller.limit = limit;
            check(cost, &[caller])
        })
        .collect()
}

fn different(keys: &[Vec<CountedLimit>], next: &mut impl FnMut(usize) -> usize) -> Vec<LimitCheck> {
    let checks = 1 + next(4);
    (0..checks)
        .map(|_| {
            let mut check = LimitCheck::new(small(next(3)));
            let first = next(keys.len());
            for place in 0..=next(3) {
                // No key twice within a check.
                let own = &keys[(first + place) % keys.len()];
                let mut limit = own[next(own.len())];
                limit.limit = small(1 + next(7));
                check.push(limit);
            }
            check
        })
        .collect()
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(1)
}

async fn denials(port: &dyn LimitStore, version: u64) {
    let key = key();
    let count = |denied| [DenialCount::new(key, denied, 100, MINUTE)];
    let empty = ok("count_denials", port.count_denials(&[]).await);
    assert_eq!(
        empty.version, version,
        "the version that holds is told with every count"
    );
    let first = ok("count_denials", port.count_denials(&count(60)).await);
    assert_eq!((first.totals[0].total, first.totals[0].raised), (60, false));
    let before = ok("count_denials", port.count_denials(&count(39)).await).totals[0];
    assert_eq!((before.total, before.raised), (99, false), "99 raise no alarm");
    let edge = ok("count_denials", port.count_denials(&count(1)).await).totals[0];
    assert_eq!((edge.total, edge.raised), (100, true), "100 do");
    let after = ok("count_denials", port.count_denials(&count(500)).await).totals[0];
    assert_eq!((after.total, after.raised), (600, false), "once");
    let other = DenialCount::new(self::key(), 100, 100, MINUTE);
    let both = ok("count_denials", port.count_denials(&[count(1)[0], other]).await).totals;
    assert!(
        !both[0].raised && both[1].raised,
        "callers are independent of each other: {both:?}"
    );

    let short = DenialCount::new(self::key(), 2, 3, Duration::from_millis(60));
    let mut raised = 0;
    let mut within = 0;
    for _ in 0..400 {
        let total = ok("count_denials", port.count_denials(&[short]).await).totals[0];
        raised += u32::from(total.raised);
        within = within.max(total.total);
        if raised > 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(
        raised > 1 && within >= 3,
        "a new window raises a new alarm: {raised}, {within}"
    );
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: u64 = 3_600_000_000;

fn key() -> LimitDigest {
    let name = ok("name", LimitName::new("suite"));
    let rule = LimitRule::per_minute(name, EndpointClass::Api, 1);
    LimitKey::user("suite", &fresh("user")).digest(&rule, &[7; 32])
}

fn counted(semantics: LimitSemantics, limit: u32, per: Duration) -> CountedLimit {
    CountedLimit::new(key(), semantics, limit, per)
}

fn strict(limit: u32, per: Duration) -> CountedLimit {
    counted(LimitSemantics::Strict, limit, per)
}

fn check(cost: u32, limits: &[CountedLimit]) -> LimitCheck {
    let mut check = LimitCheck::new(cost);
    limits.iter().for_each(|limit| check.push(*limit));
    check
}

async fn decided(port: &dyn LimitStore, stamp: LimitStamp, checks: &[LimitCheck]) -> Vec<Standing> {
    match ok("check", port.check(stamp, checks).await) {
        LimitsChecked::Decided { standings, .. } => standings,
        superseded => panic!("a call under the version that holds must be decided: {superseded:?}"),
    }
}
