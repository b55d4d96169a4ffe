//! The local limiter beside its floor (one random line of an array and a compare-and-set) and its peers: governor as it comes, governor with
//! foldhash, throttlecrab. One process, interleaved rounds, CPU time of the thread.
//!
//! A *lone* check is one whose key depends on the answer before it, as a request sees it: nothing overlaps. Prints nanoseconds (median of the
//! rounds, and the smallest), ratios to the floor and to governor, and the memory of each table with all keys live.
//!
//! `cargo bench -p ops-benches --bench rate_limit [KEYS…]`; without numbers 10 000 and 1 000 000.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter as Governor};
use ops_core::guard::{LocalLimitOptions, LocalLimiter};
use ops_core::model::{
    EndpointClass, LimitKey, LimitName, LimitRequest, LimitRule, LimitSemantics, LimitTable, Timestamp,
};
use ops_core::ports::{Clock, RateLimiter};
use throttlecrab::PeriodicStore;

const ROUNDS: usize = 9;
const PER_HOUR: u32 = 1_000;

fn main() -> anyhow::Result<()> {
    let given: Vec<u64> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let sizes = if given.is_empty() {
        vec![10_000, 1_000_000]
    } else {
        given
    };
    for keys in sizes {
        one_size(keys)?;
    }
    two_threads(1_000_000)?;
    Ok(())
}

type Check<'a> = Box<dyn FnMut(&str, u64) -> bool + 'a>;

fn one_size(keys: u64) -> anyhow::Result<()> {
    let floor: Vec<AtomicU64> = (0..keys).map(|_| AtomicU64::new(0)).collect();
    let quota = Quota::with_period(Duration::from_secs(3_600) / PER_HOUR)
        .zip(NonZeroU32::new(PER_HOUR))
        .map(|(quota, burst)| quota.allow_burst(burst))
        .ok_or_else(|| anyhow::anyhow!("a quota"))?;
    let burst = ours(LimitSemantics::Burst)?;
    let strict = ours(LimitSemantics::Strict)?;
    let preset = ours_preset()?;
    let standard: DefaultKeyedRateLimiter<String> = Governor::keyed(quota);
    let folded = Governor::dashmap_with_hasher(quota, foldhash::fast::RandomState::default());
    let crab = Mutex::new(throttlecrab::RateLimiter::new(PeriodicStore::new()));
    let mut owned = String::new();
    let mut owned_too = String::new();
    let mut contenders: Vec<(&str, Check<'_>)> = vec![
        ("key only", Box::new(|key, _| !black_box(key).is_empty())),
        (
            "floor: array[i] + CAS",
            Box::new(|key, n| {
                black_box(key);
                cas(&floor[usize::try_from(n).unwrap_or(0)])
            }),
        ),
        (
            "ours, burst",
            Box::new(|key, _| burst.check(&request(key)).is_admitted()),
        ),
        (
            "ours, strict",
            Box::new(|key, _| strict.check(&request(key)).is_admitted()),
        ),
        (
            "ours, preset: two strict",
            Box::new(|key, _| preset.check(&request(key)).is_admitted()),
        ),
        (
            "governor (SipHash)",
            Box::new(|key, _| {
                owned.clear();
                owned.push_str(key);
                standard.check_key(&owned).is_ok()
            }),
        ),
        (
            "governor (foldhash)",
            Box::new(|key, _| {
                owned_too.clear();
                owned_too.push_str(key);
                folded.check_key(&owned_too).is_ok()
            }),
        ),
        (
            "throttlecrab, in a mutex",
            Box::new(|key, _| {
                let mut crab = crab.lock().unwrap_or_else(PoisonError::into_inner);
                let said = crab.rate_limit(key, i64::from(PER_HOUR), i64::from(PER_HOUR), 3_600, 1, now());
                said.is_ok_and(|(admitted, _)| admitted)
            }),
        ),
    ];
    println!("\n{keys} keys of 20 bytes: ns of CPU per lone check");
    let mut memory = BTreeMap::new();
    let mut slowest = BTreeMap::new();
    let mut buffer = [0; 20];
    for (name, check) in &mut contenders {
        let before = resident();
        let mut worst = Duration::ZERO;
        for n in 0..keys {
            let key = write_key(&mut buffer, n);
            let began = clock();
            check(key, n);
            worst = worst.max(began.elapsed());
        }
        memory.insert(*name, resident().saturating_sub(before) as f64 / keys as f64);
        slowest.insert(*name, worst);
    }
    let checks = 300_000;
    let mut rounds: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for round in 0..ROUNDS as u64 {
        for (name, check) in &mut contenders {
            let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ round;
            let began = cpu();
            for _ in 0..checks {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let n = state % keys;
                // The next key depends on the answer.
                state ^= u64::from(check(write_key(&mut buffer, n), n));
            }
            rounds
                .entry(*name)
                .or_default()
                .push((cpu() - began) / f64::from(checks));
        }
    }
    let median = |name: &str| middle(&rounds[name]);
    let (floor_ns, governor, fold) = (
        median("floor: array[i] + CAS"),
        median("governor (SipHash)"),
        median("governor (foldhash)"),
    );
    println!(
        "{:<26}{:>8}{:>8}{:>9}{:>11}{:>11}{:>9}{:>13}",
        "", "median", "least", "/ floor", "governor/", "foldhash/", "B/key", "worst insert"
    );
    for (name, _) in &contenders {
        let least = rounds[name].iter().copied().fold(f64::INFINITY, f64::min);
        let ns = median(name);
        println!(
            "{name:<26}{ns:>8.1}{least:>8.1}{:>9.2}{:>11.2}{:>11.2}{:>9.1}{:>10.2} ms",
            ns / floor_ns,
            governor / ns,
            fold / ns,
            memory[name],
            slowest[name].as_secs_f64() * 1e3
        );
    }
    drop(contenders);
    println!(
        "ours, burst: {:.1} B/key by its own count, {} spilled; strict {:.1} B/key",
        burst.bytes() as f64 / keys as f64,
        burst.spilled(),
        strict.bytes() as f64 / keys as f64
    );
    Ok(())
}

fn request(key: &str) -> LimitRequest<'_> {
    LimitRequest::new(EndpointClass::Llm, LimitKey::user("org_soulsyncs", key))
}

/// CPU time per check of two threads at once, on many keys and on one.
fn two_threads(keys: u64) -> anyhow::Result<()> {
    let burst = ours(LimitSemantics::Burst)?;
    let quota = Quota::per_second(NonZeroU32::MAX);
    let folded = Governor::dashmap_with_hasher(quota, foldhash::fast::RandomState::default());
    println!("\ntwo threads at once: ns of CPU per check, median of {ROUNDS} rounds");
    for (what, keys) in [("many keys", keys), ("one key", 1)] {
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS as u64 {
            times[0].push(both(keys, round, |key, _| {
                burst
                    .check(&LimitRequest::new(
                        EndpointClass::Llm,
                        LimitKey::user("org_soulsyncs", key),
                    ))
                    .is_admitted()
            }));
            times[1].push(both(keys, round, |key, owned| {
                owned.clear();
                owned.push_str(key);
                folded.check_key(&*owned).is_ok()
            }));
        }
        let [ours, theirs] = times.map(|times| middle(&times));
        println!(
            "  {what:<10} ours {ours:7.1}   governor (foldhash) {theirs:7.1}   ratio {:.2}",
            theirs / ours
        );
    }
    Ok(())
}

fn both(keys: u64, round: u64, check: impl Fn(&str, &mut String) -> bool + Sync) -> f64 {
    const CHECKS: u32 = 200_000;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2_u64)
            .map(|thread| {
                let check = &check;
                scope.spawn(move || {
                    let (mut buffer, mut owned) = ([0; 20], String::new());
                    let mut state = 0x2545_f491_4f6c_dd1d_u64 ^ (round << 8) ^ thread;
                    let began = cpu();
                    for _ in 0..CHECKS {
                        state ^= state << 13;
                        state ^= state >> 7;
                        state ^= state << 17;
                        black_box(check(write_key(&mut buffer, state % keys), &mut owned));
                    }
                    (cpu() - began) / f64::from(CHECKS)
                })
            })
            .collect();
        let each: Vec<f64> = threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect();
        each.iter().sum::<f64>() / each.len().max(1) as f64
    })
}

fn ours(semantics: LimitSemantics) -> anyhow::Result<LocalLimiter> {
    let rule = LimitRule::per_minute(LimitName::new("llm")?, EndpointClass::Llm, PER_HOUR)
        .with_period(3_600)
        .with_semantics(semantics);
    Ok(LocalLimiter::with_clock(
        LimitTable::of(vec![rule]),
        LocalLimitOptions::default(),
        Arc::new(Plain(clock())),
    )?)
}

fn ours_preset() -> anyhow::Result<LocalLimiter> {
    let mut table = LimitTable::preset();
    for rule in &mut table.rules {
        (rule.limit, rule.per_seconds) = (PER_HOUR, 3_600);
    }
    Ok(LocalLimiter::with_clock(
        table,
        LocalLimitOptions::default(),
        Arc::new(Plain(clock())),
    )?)
}

/// The clock that governor has too. `SystemClock` reads tokio's, which is slower where its pausing is compiled in, as here.
#[derive(Debug)]
struct Plain(Instant);

#[async_trait]
impl Clock for Plain {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, _: Duration) {}
}

fn cas(word: &AtomicU64) -> bool {
    let seen = word.load(Ordering::Relaxed);
    word.compare_exchange(seen, seen + 1, Ordering::Relaxed, Ordering::Relaxed)
        .is_ok()
}

/// Twenty bytes.
fn write_key(buffer: &mut [u8; 20], mut n: u64) -> &str {
    *buffer = *b"user-000000000000000";
    for digit in buffer.iter_mut().rev() {
        if n == 0 {
            break;
        }
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
    }
    std::str::from_utf8(buffer).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn clock() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Nanoseconds of CPU that this thread has used.
fn cpu() -> f64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    used.tv_sec as f64 * 1e9 + used.tv_nsec as f64
}

/// Bytes of memory that this process has in use.
fn resident() -> u64 {
    let told = fs::read_to_string("/proc/self/statm").ok();
    told.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok())
        .unwrap_or_default()
        * 4_096
}

fn middle(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
