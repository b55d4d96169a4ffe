//! The kill-switch read beside its floor (an empty loop) and its peer (a map behind a lock), interleaved in one run.
//!
//! Prints nanoseconds per read, the difference to the floor and the ratio to the peer, as medians over the rounds.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::RwLock;
use std::time::Instant;

use ops_core::guard::KillSwitch;

const READS: u32 = 20_000_000;
const ROUNDS: usize = 9;

fn main() {
    let Ok(switch) = KillSwitch::new(["search", "llm-brain"]) else {
        return;
    };
    let Some(feature) = switch.feature("llm-brain") else {
        return;
    };
    let map = RwLock::new(HashMap::from([
        ("search".to_owned(), true),
        ("llm-brain".to_owned(), true),
    ]));
    let mut rounds = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        rounds[0].push(time(READS, || true));
        rounds[1].push(time(READS, || switch.allows(black_box(feature))));
        rounds[2].push(time(READS / 20, || {
            map.read()
                .is_ok_and(|map| map.get(black_box("llm-brain")).copied().unwrap_or(false))
        }));
    }
    let [floor, read, peer] = rounds.map(median);
    println!("empty loop                 {floor:7.3} ns");
    println!(
        "KillSwitch::allows         {read:7.3} ns   {:+.3} ns over the loop (bar: 1 ns)",
        read - floor
    );
    println!(
        "RwLock<HashMap> lookup     {peer:7.3} ns   {:.1} x the switch",
        peer / read
    );
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn time(count: u32, work: impl Fn() -> bool) -> f64 {
    let began = Instant::now();
    for _ in 0..count {
        black_box(work());
    }
    began.elapsed().as_secs_f64() * 1e9 / f64::from(count)
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
