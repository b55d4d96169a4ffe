//! Processes with many callers are killed in the middle: nothing that was acknowledged is lost, nothing is stored twice.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "all of this file is test code, and the number of kills is told"
)]

use std::collections::BTreeSet;
use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ops_core::audit::Spool;
use ops_core::config::Env;
use ops_core::memory::InMemoryAudit;
use ops_core::model::{Actor, AuditRecord, TenantId, Timestamp};

const SPOOL: &str = "OPS_TEST_SPOOL_OF_CHILD";
const CALLERS: usize = 64;
const ROUNDS: usize = 20;

fn tenant() -> TenantId {
    TenantId::new("org_a").unwrap()
}

/// What the child does: many callers append for ever, and each says what was acknowledged.
#[test]
fn child() {
    let Some(directory) = Env::process().text(SPOOL) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let spool = Spool::open(directory).unwrap();
        let next = Arc::new(AtomicI64::new(0));
        let callers = (0..CALLERS).map(|_| {
            let (spool, next) = (spool.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    let at = Timestamp::from_unix_micros(1_769_731_200_000_000 + n);
                    let actor = Actor::person("kazu").unwrap();
                    let record = AuditRecord::new(at, tenant(), actor, "export", "audit_log", n.to_string());
                    let id = record.id;
                    spool.append(record).await.unwrap();
                    // One write of a whole line: the parent never sees half of it as an acknowledgement.
                    let line = format!("kept {id}\n");
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
            })
        });
        let callers: Vec<_> = callers.collect();
        // They end by the kill only.
        std::future::pending::<()>().await;
        drop(callers);
    });
}

#[tokio::test]
async fn nothing_that_was_acknowledged_is_lost_and_nothing_comes_twice_when_processes_are_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut kept = BTreeSet::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(SPOOL, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed at another place each time, in the middle of whatever it does.
        let mut left = 1 + round * 37;
        let mut take = |line: String| {
            if let Some(id) = line.split_once("kept ").map(|(_, id)| id.to_owned()) {
                assert_eq!(id.len(), 36, "{line}");
                kept.insert(id);
                return true;
            }
            false
        };
        while left > 0 {
            let line = lines.next().unwrap().unwrap();
            left -= usize::from(take(line));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said before it died counts too; the last line may be cut off.
        let rest: Vec<_> = lines.map_while(Result::ok).collect();
        for line in rest.into_iter().filter(|line| line.len() == "kept ".len() + 36) {
            take(line);
        }
    }
    let store = InMemoryAudit::new();
    // Another process delivers, and is gone before it is done: the first half goes to the store twice.
    let spool = Spool::open(directory.path()).unwrap();
    let half = spool.pending().await.unwrap();
    for record in &half[..half.len() / 2] {
        ops_core::ports::AuditStore::append(&store, record).await.unwrap();
    }
    let delivered = spool.deliver(&store).await.unwrap();
    assert_eq!(
        (
            delivered.missing,
            delivered.damaged,
            delivered.pending,
            delivered.refused
        ),
        (0, 0, 0, 0)
    );
    let stored: Vec<_> = store
        .chain(&tenant())
        .iter()
        .map(|(_, record)| record.id.to_string())
        .collect();
    let known: BTreeSet<_> = stored.iter().cloned().collect();
    assert_eq!(known.len(), stored.len(), "a record was stored twice");
    let lost: Vec<_> = kept.difference(&known).collect();
    assert!(lost.is_empty(), "{} acknowledged records are lost", lost.len());
    assert!(kept.len() >= ROUNDS, "{}", kept.len());
    println!(
        "{ROUNDS} kills, {} acknowledged, {} kept, none lost",
        kept.len(),
        stored.len()
    );
}
