use std::time::Duration;

use super::{Both, both, en, ja, span};
use crate::model::Timestamp;

/// There is none.
pub fn no_backup() -> Both {
    both(
        ("使えるバックアップが一つもない", "there is no backup at all"),
        (
            "今すぐ pg_dump -Fc で取り、毎日の取得と WAL アーカイブを設定する",
            "take one now with pg_dump -Fc; then set up daily copies and the log archive",
        ),
    )
}

/// The newest is too old.
pub fn stale(name: &str, age: Duration, every: Duration) -> Both {
    let (age, every) = (span(age), span(every));
    both(
        (
            format!(
                "最新の完全なコピー {name} は {} 前のもの（許容 {}）",
                ja(&age),
                ja(&every)
            ),
            format!(
                "the newest complete copy {name} is {} old ({} is allowed)",
                en(&age),
                en(&every)
            ),
        ),
        (
            "取得のジョブが動いているか確認し、今すぐ一つ取る",
            "see whether the job that takes them runs, and take one now",
        ),
    )
}

/// No place with copies was looked into.
pub fn copies_not_looked_at() -> Both {
    both(
        (
            "コピーの置き場所を見ていない",
            "no place with copies was looked into",
        ),
        (
            "ops.toml の [backup] directory に書くか、--directory で指定する",
            "name it in [backup] directory of ops.toml, or with --directory",
        ),
    )
}

/// The archive needs a base backup.
pub fn no_base_backup() -> Both {
    both(
        (
            "アーカイブだけでは復旧できない。保存期間内のこのサーバーのベースバックアップが見えない",
            "an archive alone restores nothing, and no base backup of this server is seen that is new enough to be kept",
        ),
        (
            "pg_basebackup で取って [backup] directory に置く。別の場所にあるなら、そこで確認する",
            "take one with pg_basebackup into [backup] directory; if it is elsewhere, look there",
        ),
    )
}

/// It may be of another server.
pub fn base_backup_unproven() -> Both {
    both(
        (
            "ベースバックアップが完全で、このサーバーのものかは確かめられない",
            "a base backup is seen, and not known to be complete and of this server",
        ),
        (
            "pg_verifybackup で確かめる。-Fp か圧縮しない -Ft で取れば、ここでも分かる",
            "check it with pg_verifybackup; taken with -Fp, or -Ft without compression, it is known here",
        ),
    )
}

/// It was cut off.
pub fn copy_damaged(name: &str, fault: &str) -> Both {
    both(
        (
            format!("{name} はバックアップとして使えない: {fault}"),
            format!("{name} is no backup: {fault}"),
        ),
        (
            "取り直す。ディスクの空きと取得のジョブの終了コードを確認する",
            "take it again; look at the free disk and at the exit code of the job",
        ),
    )
}

/// Whether it is complete cannot be told.
pub fn copy_unknown(name: &str, fault: &str) -> Both {
    both(
        (
            format!("{name} が完全か判断できない: {fault}"),
            format!("whether {name} is complete cannot be told: {fault}"),
        ),
        (
            "opsctl backups test で復元してみる",
            "restore it with opsctl backups test",
        ),
    )
}

/// It is of another database.
pub fn copy_of_another(name: &str, of: &str, wanted: &str) -> Both {
    both(
        (
            format!("{name} は別のデータベース {of} のもの（必要なのは {wanted}）"),
            format!("{name} is of another database, {of} (wanted: {wanted})"),
        ),
        (
            "取得のジョブの接続先を確認する",
            "see which database the job takes",
        ),
    )
}

/// It is much smaller than the one before.
pub fn copy_shrank(name: &str, bytes: u64, before: u64) -> Both {
    both(
        (
            format!("{name} は前のものの半分未満: {bytes} バイト（前 {before}）"),
            format!("{name} is less than half of the one before: {bytes} bytes ({before} before)"),
        ),
        (
            "大量の削除がなかったか、権限や対象の指定が変わっていないか調べる",
            "see whether much was deleted, or rights or the choice of tables have changed",
        ),
    )
}

/// Copies do not reach far back.
pub fn short_history(reach: Duration, keep: Duration) -> Both {
    let (reach, keep) = (span(reach), span(keep));
    both(
        (
            format!(
                "最も古い完全なコピーは {} 前（保持期間 {}）",
                ja(&reach),
                ja(&keep)
            ),
            format!(
                "the oldest complete copy is {} old ({} are to be kept)",
                en(&reach),
                en(&keep)
            ),
        ),
        (
            "始めたばかりでなければ、消す間隔を延ばす",
            "unless they began lately, delete them later",
        ),
    )
}

/// A day is missing.
pub fn gap(from: Timestamp, until: Timestamp) -> Both {
    both(
        (
            format!(
                "コピーの間が空いている: {} から {} JST",
                from.to_jst(),
                until.to_jst()
            ),
            format!("there is no copy between {from} and {until}"),
        ),
        (
            "その間の取得のジョブのログを調べる",
            "read what the job said in that time",
        ),
    )
}

/// A restore is due to be tried.
pub fn test_due(last: Option<Timestamp>) -> Both {
    let what = match last {
        None => (
            "復元を試した記録がない".to_owned(),
            "no restore has been tried".to_owned(),
        ),
        Some(last) => (
            format!("最後に復元を試したのは {} JST", last.to_jst()),
            format!("a restore was tried last at {last}"),
        ),
    };
    both(
        what,
        (
            "opsctl backups test で最新のコピーを復元してみる",
            "restore the newest copy with opsctl backups test",
        ),
    )
}

/// The last try failed.
pub fn test_failed(dump: &str, at: Timestamp) -> Both {
    both(
        (
            format!("最後の復元テストは失敗した: {dump}、{} JST", at.to_jst()),
            format!("the last restore failed: {dump} at {at}"),
        ),
        (
            "opsctl backups test をもう一度実行し、原因を直す",
            "run opsctl backups test again, and mend the cause",
        ),
    )
}
