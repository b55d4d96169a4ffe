//! What was measured of a database that has trouble, and who is called.

use std::time::Duration;

use crate::model::{
    ConnectionUse, DatabaseReach, DatabaseSession, ReplicaFacts, Severity, SlowFacts, TableFacts,
    TargetState, Text,
};

/// What became of the attempt to connect.
pub fn reach_seen(reach: DatabaseReach) -> Text {
    let (ja, en) = match reach {
        DatabaseReach::Answers => ("接続できる", "it answers"),
        DatabaseReach::BadUrl => ("接続文字列を読めない", "the connection string cannot be read"),
        DatabaseReach::UnknownHost => ("ホスト名が見つからない", "the name of the host is not found"),
        DatabaseReach::Refused => (
            "接続を拒否された（誰も待ち受けていない）",
            "the connection is refused: nobody listens",
        ),
        DatabaseReach::NoAnswer => ("3 秒以内に応答がない", "no answer within 3 seconds"),
        DatabaseReach::Tls => ("TLS のハンドシェイクに失敗", "the TLS handshake fails"),
        DatabaseReach::Unauthenticated => {
            ("認証に失敗 (SQLSTATE 28…)", "authentication fails (SQLSTATE 28…)")
        }
        DatabaseReach::NoDatabase => (
            "データベースが存在しない (3D000)",
            "there is no such database (3D000)",
        ),
        DatabaseReach::NotPermitted => ("接続権限がない (42501)", "the role may not connect (42501)"),
        DatabaseReach::TooManyConnections => ("接続数の上限 (53300)", "too many connections (53300)"),
        DatabaseReach::NotReady => ("起動中・停止中 (57P…)", "it starts or stops (57P…)"),
        DatabaseReach::Other => ("その他の失敗", "it fails otherwise"),
    };
    Text::new(ja, en)
}

/// How many connections are taken.
pub fn connections_seen(used: ConnectionUse) -> Text {
    let (taken, most, percent) = (used.used, used.most, used.percent());
    Text::new(
        format!("接続 {taken}/{most} ({percent} %)"),
        format!("connections {taken}/{most} ({percent} %)"),
    )
}

/// Who waits for whom.
pub fn chain_seen(root: i32, waiting: usize, longest: Duration) -> Text {
    let longest = longest.as_secs();
    if root == 0 {
        return Text::new(
            format!("準備済みトランザクションを {waiting} 個のセッションが待つ（最長 {longest} 秒）"),
            format!("{waiting} sessions wait for a prepared transaction, {longest} s at most"),
        );
    }
    Text::new(
        format!("pid {root} を {waiting} 個のセッションが待つ（最長 {longest} 秒）"),
        format!("{waiting} sessions wait for pid {root}, {longest} s at most"),
    )
}

/// Whether writing is stopped, whole or in part.
pub fn read_only_seen(state: TargetState) -> Text {
    match state {
        TargetState::PartlyStopped => Text::new("一部だけ読み取り専用", "only partly read-only"),
        _ => Text::new("読み取り専用", "read-only"),
    }
}

/// A transaction that does nothing.
pub fn idle_seen(session: &DatabaseSession) -> Text {
    let (pid, role, seconds) = (session.pid, &session.role, session.lasting.as_secs());
    Text::new(
        format!("pid {pid} ({role}): 何もせず {seconds} 秒"),
        format!("pid {pid} ({role}): idle in transaction for {seconds} s"),
    )
}

/// A statement that runs for long.
pub fn running_seen(session: &DatabaseSession) -> Text {
    let (pid, role, seconds) = (session.pid, &session.role, session.lasting.as_secs());
    Text::new(
        format!("pid {pid} ({role}): 実行中 {seconds} 秒"),
        format!("pid {pid} ({role}): running for {seconds} s"),
    )
}

/// Prepared transactions.
pub fn prepared_seen(count: u64) -> Text {
    Text::new(
        format!("準備済みトランザクション {count} 件"),
        format!("{count} prepared transactions"),
    )
}

/// A standby that is behind.
pub fn replica_seen(replica: &ReplicaFacts) -> Text {
    let name = &replica.name;
    let seconds = replica
        .lasting
        .map_or_else(|| "?".to_owned(), |lasting| lasting.as_secs().to_string());
    let bytes = replica.bytes.map_or_else(|| "?".to_owned(), mebibytes);
    Text::new(
        format!("レプリカ {name}: {seconds} 秒、{bytes} の遅れ"),
        format!("replica {name}: {seconds} s, {bytes} behind"),
    )
}

/// What a slot keeps.
pub fn slot_seen(bytes: u64) -> Text {
    let bytes = mebibytes(bytes);
    Text::new(
        format!("スロットが WAL を {bytes} 保持"),
        format!("a slot keeps {bytes} of log"),
    )
}

/// A statement that is slow each time.
pub fn slow_seen(slow: &SlowFacts) -> Text {
    let (mean, calls, query) = (slow.mean_ms, slow.calls, &slow.query);
    Text::new(
        format!("平均 {mean:.0} ms × {calls} 回: {query}"),
        format!("{mean:.0} ms on average, {calls} times: {query}"),
    )
}

/// A table that is mostly empty.
pub fn table_seen(table: &TableFacts) -> Text {
    let (name, bytes) = (&table.name, mebibytes(table.bytes));
    let empty = table.bloat_bytes.map_or_else(|| "?".to_owned(), mebibytes);
    Text::new(
        format!("{name}: {bytes} のうち推定 {empty} が空き"),
        format!("{name}: about {empty} of {bytes} are empty"),
    )
}

/// What is done to one session.
pub fn session_step(pid: i32, end: bool) -> Text {
    match end {
        true => Text::new(
            format!("pid {pid} を切断する（その変更は取り消される）"),
            format!("end pid {pid}; what it has changed is undone"),
        ),
        false => Text::new(
            format!("pid {pid} の文を取り消す"),
            format!("cancel the statement of pid {pid}"),
        ),
    }
}

/// Who is called, and by when it must be over: the targets of the severity.
pub fn escalation(severity: Severity) -> Text {
    let (ja, en) = match severity {
        Severity::P1 => (
            "P1: 15 分以内に対応開始、1 時間以内に復旧。すぐに担当開発者とインシデントマネージャーへ",
            "P1: begun within 15 minutes, over within an hour; call the developer in charge and the incident manager at once",
        ),
        Severity::P2 => (
            "P2: 1 時間以内に対応開始、4 時間以内に復旧。暫定対応で直らなければ担当開発者へ",
            "P2: begun within an hour, over within 4 hours; call the developer in charge if the temporary steps do not help",
        ),
        Severity::P3 => (
            "P3: 営業時間内の 4 時間以内に対応開始、1 営業日以内に復旧。広がれば P2 として扱う",
            "P3: begun within 4 working hours, over within a working day; treat it as P2 when it spreads",
        ),
        Severity::P4 => (
            "P4: 1 営業日以内に対応開始、次回リリースまでに解消",
            "P4: begun within a working day, over with the next release",
        ),
    };
    Text::new(ja, en)
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
