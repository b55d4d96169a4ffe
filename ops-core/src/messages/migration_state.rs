//! What the state of a database is said to be.

use crate::model::Text;

/// What is wrong, and what is better.
type Both = (Text, Text);

/// A tool's table that may not be read.
pub fn ledger_unreadable(table: &str) -> Both {
    (
        Text::new(
            format!("{table} を読む権限がない"),
            format!("{table} may not be read"),
        ),
        Text::new(
            format!("GRANT SELECT ON {table} を与える"),
            format!("GRANT SELECT ON {table}"),
        ),
    )
}

/// No tool has a table.
pub fn no_ledger() -> Both {
    (
        Text::new(
            "どのツールの適用記録も見つからない",
            "no tool's table of applied migrations was found, in no schema",
        ),
        Text::new(
            "接続先のデータベースを確かめる",
            "check that it is the right database",
        ),
    )
}

/// Several tables say what is applied, and none is more likely to be the one.
pub fn several_tables(tables: &str) -> Both {
    (
        Text::new(
            format!("適用記録の表が複数あり、どれを使うのか分からない: {tables}"),
            format!("several tables of a tool fit, and which is meant cannot be told: {tables}"),
        ),
        Text::new(
            "使っていない表を片付けるか、使っている表だけを読めるロールで接続する",
            "take away the one that is not in use, or connect with a role that may read only the one that is",
        ),
    )
}

/// A migration that the tool gave up.
pub fn dirty(table: &str, version: &str) -> Both {
    (
        Text::new(
            format!("{version}: {table} によると途中で失敗している"),
            format!("{version}: {table} says that it failed half-way"),
        ),
        Text::new(
            "どこまで進んだかを確かめ、手で終わらせるか戻してから、ツールの修復手順で記録を直す",
            "see how far it came, finish or undo it by hand, then correct the record with the tool's own command",
        ),
    )
}

/// Branches that nothing merged.
pub fn several_heads(heads: &str) -> Both {
    (
        Text::new(
            format!("先頭が複数ある（{heads}）。正しい状態だが、downgrade -1 はあいまいになる"),
            format!("several heads ({heads}): legal, but downgrade -1 is ambiguous"),
        ),
        Text::new("戻すときは版を名指しする", "name the revision when you go back"),
    )
}

/// The schema is ahead of the code.
pub fn unknown_version(version: &str) -> Both {
    (
        Text::new(
            format!("{version}: 適用済みだが、このリリースにはない（コードの方が古い）"),
            format!("{version}: applied, and unknown to this release: the code is older than the schema"),
        ),
        Text::new(
            "この版を知るリリースを使う。戻す場合は先に互換性を確かめる（opsctl migrations check --code）",
            "use a release that knows it; before going back, check whether the code can live with it (opsctl migrations check --code)",
        ),
    )
}

/// The file is not the one that was applied.
pub fn changed(version: &str) -> Both {
    (
        Text::new(
            format!("{version}: 適用後にファイルが変更された"),
            format!("{version}: the file was changed after it was applied"),
        ),
        Text::new(
            "ファイルを元に戻し、変更は新しい版にする",
            "put the file back, and make the change a new migration",
        ),
    )
}

/// The same file from another system.
pub fn line_ends(version: &str) -> Both {
    (
        Text::new(
            format!("{version}: 改行コードだけが違う（CRLF と LF）。ツールは変更とみなして止まる"),
            format!(
                "{version}: only the line ends differ (CRLF and LF); the tool takes it for a change and stops"
            ),
        ),
        Text::new(
            ".gitattributes に *.sql text eol=lf と書く",
            "write `*.sql text eol=lf` into .gitattributes",
        ),
    )
}

/// A number below one that is applied.
pub fn out_of_order(version: &str) -> Both {
    (
        Text::new(
            format!("{version}: 未適用だが、より新しい版が適用済み"),
            format!("{version}: not applied, although newer ones are"),
        ),
        Text::new(
            "番号を付け直すか、順序を問わないことを確かめてから適用する",
            "give it a new number, or make sure that the order does not matter",
        ),
    )
}

/// An index that serves nobody.
pub fn invalid_index(index: &str, table: &str, being_built: bool) -> Both {
    if being_built {
        return (
            Text::new(
                format!("{table}: 索引 {index} を作成中"),
                format!("{table}: index {index} is being built"),
            ),
            Text::new("終わるのを待つ", "wait until it is done"),
        );
    }
    (
        Text::new(
            format!(
                "{table}: 索引 {index} は INVALID（作成に失敗した残り。検索に使われず、書き込みは遅くなる）"
            ),
            format!(
                "{table}: index {index} is INVALID: left over by a failure; no query uses it and every write pays for it"
            ),
        ),
        Text::new(
            format!("DROP INDEX CONCURRENTLY {index} してから作り直す"),
            format!("DROP INDEX CONCURRENTLY {index}, then build it again"),
        ),
    )
}

/// A constraint that old rows may break.
pub fn not_valid_constraint(constraint: &str, table: &str) -> Both {
    (
        Text::new(
            format!("{table}: 制約 {constraint} は NOT VALID（既存の行は検査されていない）"),
            format!("{table}: constraint {constraint} is NOT VALID: older rows were never checked"),
        ),
        Text::new(
            format!(
                "ALTER TABLE {table} VALIDATE CONSTRAINT {constraint} を単独のトランザクションで実行する"
            ),
            format!("ALTER TABLE {table} VALIDATE CONSTRAINT {constraint}, in a transaction of its own"),
        ),
    )
}

/// Half of a detach.
pub fn pending_detach(partition: &str) -> Both {
    (
        Text::new(
            format!("{partition}: DETACH CONCURRENTLY が途中で終わっている"),
            format!("{partition}: its DETACH CONCURRENTLY did not end"),
        ),
        Text::new(
            "ALTER TABLE … DETACH PARTITION … FINALIZE を実行する",
            "ALTER TABLE … DETACH PARTITION … FINALIZE",
        ),
    )
}
