//! The kill-switch read beside its floor (an empty loop) and its peer (a map behind a lock), interleaved in one run.
//!
//! It also disassembles the read as it was compiled into this program, and says whether it is a load and a test.
//!
//! Prints nanoseconds per read, the difference to the floor and the ratio to the peer, as medians over the rounds. Ends with an error when the
//! read is more than a load and a test; with exit code 1 when the bar is missed.

use std::collections::HashMap;
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::sync::RwLock;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use ops_core::guard::{Feature, KillSwitch};

const READS: u32 = 20_000_000;
const ROUNDS: usize = 9;
/// Nanoseconds over the empty loop.
const BAR: f64 = 1.0;

fn main() -> anyhow::Result<ExitCode> {
    let switch = KillSwitch::new(["search", "llm-brain"])?;
    let feature = switch.feature("llm-brain").context("the feature is there")?;
    let map = RwLock::new(HashMap::from([
        ("search".to_owned(), true),
        ("llm-brain".to_owned(), true),
    ]));
    let mut rounds = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        rounds[0].push(time(READS, || true));
        rounds[1].push(time(READS, || switch.allows(black_box(feature))));
        black_box(probe_of_the_read(&switch, feature));
        rounds[2].push(time(READS / 20, || {
            map.read()
                .is_ok_and(|map| map.get(black_box("llm-brain")).copied().unwrap_or(false))
        }));
    }
    let [floor, read, peer] = rounds.map(median);
    println!("empty loop                 {floor:7.3} ns");
    println!(
        "KillSwitch::allows         {read:7.3} ns   {:+.3} ns over the loop (bar: {BAR} ns)",
        read - floor
    );
    println!(
        "RwLock<HashMap> lookup     {peer:7.3} ns   {:.1} x the switch",
        peer / read
    );
    disassemble()?;
    Ok(ExitCode::from(u8::from(read - floor > BAR)))
}

/// The read alone, so that it can be found in the program.
#[inline(never)]
fn probe_of_the_read(switch: &KillSwitch, feature: Feature) -> bool {
    switch.allows(feature)
}

/// What the compiler made of [`probe_of_the_read`]. Needs `objdump`; without it, says that it did not look.
fn disassemble() -> anyhow::Result<()> {
    let output = std::env::current_exe().and_then(|program| {
        Command::new("objdump")
            .args(["-d", "--no-show-raw-insn"])
            .arg(program)
            .output()
    });
    let Ok(output) = output else {
        println!("no objdump here: the compiled read was not looked at");
        return Ok(());
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let body = text
        .lines()
        .skip_while(|line| !(line.contains("probe_of_the_read") && line.ends_with(">:")));
    let instructions: Vec<_> = body
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split('\t').nth(1).map(str::trim))
        .filter(|line| !line.starts_with("int3") && !line.starts_with("nop"))
        .collect();
    ensure!(
        !instructions.is_empty(),
        "the compiled read was inlined or has no symbol: it was not looked at"
    );
    println!("the compiled read:");
    for instruction in &instructions {
        println!("    {instruction}");
    }
    let plain = !instructions.iter().any(|line| {
        ["lock", "call", "xchg", "mfence", "j"]
            .iter()
            .any(|heavy| line.starts_with(heavy))
    });
    println!("no lock, no call, no jump: {plain}");
    ensure!(plain, "the compiled read is more than a load and a test");
    Ok(())
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
