use std::time::Duration;

use crate::model::{Text, Timestamp};

/// What is wrong, and what to do.
type Both = (Text, Text);

fn both(what: (impl Into<String>, impl Into<String>), remedy: (&str, &str)) -> Both {
    (Text::new(what.0, what.1), Text::new(remedy.0, remedy.1))
}

/// A span of time for people, in its two greatest units.
pub fn span(span: Duration) -> Text {
    let seconds = span.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => Text::new(format!("{seconds} 秒"), format!("{seconds} s")),
        (0, 0, _) => Text::new(format!("{minutes} 分"), format!("{minutes} min")),
        (0, _, _) => Text::new(
            format!("{hours} 時間 {minutes} 分"),
            format!("{hours} h {minutes} min"),
        ),
        _ => Text::new(format!("{days} 日 {hours} 時間"), format!("{days} d {hours} h")),
    }
}

fn ja(text: &Text) -> &str {
    text.get(crate::model::Lang::Ja)
}

fn en(text: &Text) -> &str {
    text.get(crate::model::Lang::En)
}

/// What would be lost: the ways are named by whoever asks.
pub fn loss(since: Option<Timestamp>, most: Option<Duration>, exact: bool, by: &Text) -> Text {
    let (by_ja, by_en) = (ja(by), en(by));
    match (since, most) {
        (Some(_), Some(most)) if most.is_zero() => Text::new(
            format!("失われるものはない（{by_ja}）"),
            format!("nothing ({by_en})"),
        ),
        (Some(since), Some(most)) => {
            let most = span(most);
            let (at_ja, at_en) = if exact {
                ("", "")
            } else {
                ("少なくとも ", "at least ")
            };
            Text::new(
                format!(
                    "{at_ja}{} 分のデータ（{} JST 以降、{by_ja}）",
                    ja(&most),
                    since.to_jst()
                ),
                format!("{at_en}{} of data (since {since}, {by_en})", en(&most)),
            )
        }
        _ => Text::new(format!("不明（{by_ja}）"), format!("unknown ({by_en})")),
    }
}

/// How a loss is made good.
pub fn way_archive() -> Text {
    Text::new(
        "ベースバックアップと WAL アーカイブ",
        "base backup and log archive",
    )
}

/// By a copy.
pub fn way_copy(name: &str) -> Text {
    Text::new(format!("コピー {name}"), format!("the copy {name}"))
}

/// By a standby.
pub fn way_standby(name: &str) -> Text {
    Text::new(format!("スタンバイ {name}"), format!("the standby {name}"))
}

/// By nothing.
pub fn way_none() -> Text {
    Text::new(
        "使えるバックアップが見えない",
        "no backup is seen that would help",
    )
}

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

/// More would be lost than may be.
pub fn beyond_rpo(most: Duration, rpo: Duration) -> Both {
    let (most, rpo) = (span(most), span(rpo));
    both(
        (
            format!(
                "失われるデータが目標復旧時点を超える: {}（目標 {}）",
                ja(&most),
                ja(&rpo)
            ),
            format!(
                "more would be lost than may be: {} ({} is allowed)",
                en(&most),
                en(&rpo)
            ),
        ),
        (
            "WAL アーカイブを有効にする、または直す。archive_timeout を目標より短くする",
            "turn the log archive on, or mend it; make archive_timeout shorter than the target",
        ),
    )
}

/// How much would be lost is not known.
pub fn loss_unknown() -> Both {
    both(
        (
            "失われるデータの量が分からない",
            "how much would be lost is not known",
        ),
        (
            "[backup] directory にコピーの場所を書く。接続する役割に pg_monitor を与える",
            "name the place of the copies in [backup] directory; grant pg_monitor to the role that looks",
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

/// The archive is off.
pub fn archive_off() -> Both {
    both(
        (
            "WAL アーカイブが無効。任意の時点への復旧はできない",
            "the log is not archived: there is no restore to a point in time",
        ),
        (
            "archive_mode = on と archive_command を設定して再起動し、ベースバックアップを取る",
            "set archive_mode = on and archive_command, restart, and take a base backup",
        ),
    )
}

/// It is on and has no command.
pub fn archive_unset() -> Both {
    both(
        (
            "archive_mode は有効だが archive_command も archive_library もない。WAL が溜まり続ける",
            "archive_mode is on, and there is neither archive_command nor archive_library: log piles up",
        ),
        (
            "archive_command を設定して再読み込みする",
            "set archive_command and reload",
        ),
    )
}

/// The last attempt failed.
pub fn archive_failing(segment: &str, at: Timestamp, failed: i64) -> Both {
    both(
        (
            format!(
                "WAL アーカイブが失敗している: {segment}、{} JST、計 {failed} 回",
                at.to_jst()
            ),
            format!("the archive fails: {segment} at {at}, {failed} times in all"),
        ),
        (
            "サーバーのログで archive_command の出力を見て直す。直るまで WAL がディスクに溜まる",
            "read what archive_command says in the server's log and mend it: until then log piles up on the disk",
        ),
    )
}

/// It is on, and nothing was archived yet.
pub fn archive_unproven() -> Both {
    both(
        (
            "アーカイブは有効だが、まだ一つも保存されていない",
            "the archive is on, and has nothing yet",
        ),
        (
            "select pg_switch_wal() を実行し、保存されることを確かめる",
            "run select pg_switch_wal() and see that it arrives",
        ),
    )
}

/// A quiet time closes no segment.
pub fn archive_timeout(timeout: Duration, rpo: Duration) -> Both {
    let (timeout, rpo) = (span(timeout), span(rpo));
    both(
        (
            format!(
                "archive_timeout が {} で目標 {} を保証しない。静かな時間の変更は保存されないまま残る",
                ja(&timeout),
                ja(&rpo)
            ),
            format!(
                "archive_timeout is {}, which does not ensure {}: what is written in a quiet time stays unarchived",
                en(&timeout),
                en(&rpo)
            ),
        ),
        (
            "archive_timeout を 60 秒から 5 分にする",
            "set archive_timeout to 60 s up to 5 min",
        ),
    )
}

/// The archive needs a base backup.
pub fn no_base_backup() -> Both {
    both(
        (
            "アーカイブだけでは復旧できない。ベースバックアップが見えない",
            "an archive alone restores nothing, and no base backup is seen",
        ),
        (
            "pg_basebackup で取って [backup] directory に置く。別の場所にあるなら、そこで確認する",
            "take one with pg_basebackup into [backup] directory; if it is elsewhere, look there",
        ),
    )
}

/// A setting that puts data at risk.
pub fn unsafe_setting(name: &str) -> Both {
    both(
        (
            format!("{name} が無効。停電やクラッシュでデータが壊れ、バックアップも壊れ得る"),
            format!("{name} is off: a crash can damage data, and what is copied from it"),
        ),
        ("有効にする", "turn it on"),
    )
}

/// There are no checksums.
pub fn no_checksums() -> Both {
    both(
        (
            "データチェックサムが無効。壊れたページがそのままコピーされる",
            "there are no data checksums: a damaged page is copied as it is",
        ),
        (
            "停止できるときに pg_checksums --enable を実行する",
            "run pg_checksums --enable when the server can be stopped",
        ),
    )
}

/// Pages are damaged.
pub fn checksum_failures(count: i64) -> Both {
    both(
        (
            format!("チェックサムが合わないページを {count} 回検出"),
            format!("{count} pages failed their checksum"),
        ),
        (
            "ディスクを疑う。壊れる前のコピーを残し、pg_amcheck で範囲を調べる",
            "suspect the disk; keep the copies from before, and find out with pg_amcheck what is damaged",
        ),
    )
}

/// The log holds too little.
pub fn wal_level_minimal() -> Both {
    both(
        (
            "wal_level が minimal。ベースバックアップもアーカイブもできない",
            "wal_level is minimal: neither base backups nor an archive are possible",
        ),
        (
            "wal_level = replica にして再起動する",
            "set wal_level = replica and restart",
        ),
    )
}

/// Too few follow.
pub fn few_standbys(follow: usize, wanted: u32) -> Both {
    both(
        (
            format!("追随しているスタンバイは {follow} 台（必要 {wanted} 台）"),
            format!("{follow} standbys follow, and there must be {wanted}"),
        ),
        (
            "スタンバイのログを見て再接続させる",
            "read the standby's log and let it connect again",
        ),
    )
}

/// One is far behind.
pub fn standby_behind(name: &str, lag: Duration) -> Both {
    let lag = span(lag);
    both(
        (
            format!("スタンバイ {name} が {} 遅れている", ja(&lag)),
            format!("the standby {name} is {} behind", en(&lag)),
        ),
        (
            "ネットワークとスタンバイのディスクを調べる",
            "look at the network and at the standby's disk",
        ),
    )
}

/// What it needed is gone.
pub fn slot_lost(name: &str) -> Both {
    both(
        (
            format!("スロット {name} の WAL は失われた。そのスタンバイは追いつけない"),
            format!("the log of slot {name} is gone: its standby cannot catch up"),
        ),
        (
            "スタンバイを作り直し、スロットを作り直す",
            "make the standby anew, and the slot",
        ),
    )
}

/// Nobody reads it, and it fills the disk.
pub fn slot_fills_disk(name: &str, held: i64) -> Both {
    both(
        (
            format!("使われていないスロット {name} が WAL を {held} バイト保持し、上限がない"),
            format!("slot {name}, which nobody reads, holds {held} bytes of log, without a limit"),
        ),
        (
            "要らなければ pg_drop_replication_slot で消す。max_slot_wal_keep_size に上限を書く",
            "drop it if it is not needed (pg_drop_replication_slot); set max_slot_wal_keep_size",
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

/// What cannot be seen without the rights.
pub fn needs_monitor(part: &str) -> Text {
    Text::new(
        format!("{part}: 権限がない。grant pg_monitor to 役割 で見える"),
        format!("{part}: not permitted; grant pg_monitor to the role that looks"),
    )
}
