use crate::model::{LockMode, Text, Work};

/// What is wrong, and what is better.
type Both = (Text, Text);

/// Others wait for as long as the work takes.
pub fn long_lock(relation: &str, lock: LockMode, work: Work, bytes: Option<u64>) -> Both {
    let (work_ja, work_en) = match work {
        Work::Scan => ("全行を検査する", "every row is checked"),
        Work::IndexBuild => ("索引を作る", "an index is built"),
        Work::Rewrite => ("全行を書き直す", "every row is written anew"),
    };
    let (who_ja, who_en) = waiting(lock);
    let (size_ja, size_en) = size(bytes);
    let remedy = match work {
        Work::IndexBuild => Text::new(
            "CREATE INDEX CONCURRENTLY で先に索引を作り、制約は USING INDEX で付ける",
            "build the index with CREATE INDEX CONCURRENTLY first; give the constraint with USING INDEX",
        ),
        Work::Scan => Text::new(
            "制約を NOT VALID で付け、別のトランザクションで VALIDATE CONSTRAINT する。NOT NULL は検証済みの CHECK (… IS NOT NULL) の後で付ける",
            "add the constraint NOT VALID and VALIDATE it in a transaction of its own; SET NOT NULL after a validated CHECK (… IS NOT NULL)",
        ),
        Work::Rewrite => Text::new(
            "新しい列を既定値なしで足し、少しずつ埋めてから切り替える（展開・移行・収縮）",
            "add a new column without a default, fill it in batches, then switch over (expand, migrate, contract)",
        ),
    };
    (
        Text::new(
            format!("{relation}: {lock} を保持したまま{work_ja}{size_ja}。{who_ja}"),
            format!("{relation}: {work_en} under {lock}{size_en}; {who_en}"),
        ),
        remedy,
    )
}

/// Others wait for a moment, and for as long as the lock itself is waited for.
pub fn short_lock(relation: &str, lock: LockMode) -> Both {
    let (who_ja, who_en) = waiting(lock);
    (
        Text::new(
            format!("{relation}: {lock} を一瞬取る。取れるまでの間、後続も待つ。{who_ja}"),
            format!("{relation}: takes {lock} for a moment; until it has it, all queue behind it; {who_en}"),
        ),
        Text::new(
            "lock_timeout を 2 秒にして、失敗したら間をおいて繰り返す（opsctl migrations run はそうする）",
            "lock_timeout of 2 s, and try again after a pause (opsctl migrations run does)",
        ),
    )
}

fn waiting(lock: LockMode) -> (&'static str, &'static str) {
    if lock.blocks_reads() {
        ("読み取りも書き込みも待たされる", "reads and writes wait")
    } else {
        ("書き込みが待たされる", "writes wait")
    }
}

fn size(bytes: Option<u64>) -> (String, String) {
    match bytes {
        None => (String::new(), String::new()),
        Some(bytes) => {
            let mebibytes = bytes as f64 / f64::from(1 << 20);
            (
                format!("（{mebibytes:.1} MiB）"),
                format!(" ({mebibytes:.1} MiB)"),
            )
        }
    }
}

/// Not inside a transaction.
pub fn refuses_transaction() -> Both {
    (
        Text::new(
            "トランザクションの中では実行できない",
            "the server refuses it inside a transaction",
        ),
        Text::new(
            "別のファイルに分け、先頭に -- no-transaction と書く",
            "move it to a file of its own that begins with -- no-transaction",
        ),
    )
}

/// It waits for old transactions.
pub fn waits_for_old() -> Both {
    (
        Text::new(
            "古いトランザクションがすべて終わるまで待つ。放置されたトランザクションがあると終わらず、途中で失敗すると INVALID な索引が残る",
            "waits for every older transaction, and for ever for one that is left open; when it fails it leaves an INVALID index",
        ),
        Text::new(
            "先に長いトランザクションがないか確かめ、失敗したら DROP INDEX CONCURRENTLY してやり直す",
            "look for long transactions first; after a failure DROP INDEX CONCURRENTLY and try again",
        ),
    )
}

/// Locks pile up in one transaction.
pub fn several_locks(tables: &str) -> Both {
    (
        Text::new(
            format!(
                "一つのトランザクションで複数の表をロックする（{tables}）。最後の文まで保持され、デッドロックしうる"
            ),
            format!(
                "one transaction locks several tables ({tables}): all until the last statement, and they may deadlock"
            ),
        ),
        Text::new("一文ごとに確定する", "commit after each statement"),
    )
}

/// `NOT VALID` gained nothing.
pub fn validated_at_once() -> Both {
    (
        Text::new(
            "NOT VALID と同じトランザクションで検証している。制約を付けたときの強いロックのまま全行を検査する",
            "validated in the transaction that added it: every row is checked under the strong lock of the ADD",
        ),
        Text::new(
            "VALIDATE CONSTRAINT を別のトランザクションにする",
            "VALIDATE in a transaction of its own",
        ),
    )
}

/// All rows at once.
pub fn whole_table(table: &str) -> Both {
    (
        Text::new(
            format!(
                "{table}: 全行を一文で変更する。行ロック・WAL・レプリケーション遅延・肥大化が確定まで続く"
            ),
            format!(
                "{table}: every row in one statement: row locks, WAL, replication lag and bloat until it commits"
            ),
        ),
        Text::new(
            "主キーの範囲で少しずつ変更し、その都度確定する",
            "change it in batches by key, each its own transaction",
        ),
    )
}

/// What is dropped does not come back.
pub fn loses_rows(what: &str) -> Both {
    (
        Text::new(
            format!("{what}: データが失われる"),
            format!("{what}: its data is lost"),
        ),
        Text::new(
            "使うコードがなくなり、戻す期間が過ぎてから行う。直前のバックアップを確かめる",
            "only after no code uses it and the rollback window has closed; with a fresh backup",
        ),
    )
}

/// More goes than is named.
pub fn cascades() -> Both {
    (
        Text::new(
            "CASCADE で、名前の出ていないものも消える",
            "CASCADE drops what is not named here",
        ),
        Text::new(
            "消えるものをすべて書き、CASCADE を外す",
            "name everything that goes, without CASCADE",
        ),
    )
}

/// The parser gave up.
pub fn unreadable(why: &str) -> Both {
    (
        Text::new(format!("読めない文: {why}"), format!("cannot be read: {why}")),
        Text::new(
            "PostgreSQL の文として書き直す。危険がないという意味ではない",
            "write it as PostgreSQL's SQL; it does not mean that there is no hazard",
        ),
    )
}

/// Only a server can tell.
pub fn unknown(what: &str) -> Both {
    (
        Text::new(
            format!("文だけでは分からない: {what}"),
            format!("not to be told from the text: {what}"),
        ),
        Text::new(
            "実際のスキーマで試す（opsctl migrations check --proof）",
            "try it on a throw-away server with the real schema (opsctl migrations check --proof)",
        ),
    )
}
