mod copies;

use std::time::Duration;

use crate::model::{Text, Timestamp};

pub use self::copies::{
    base_backup_unproven, copies_not_looked_at, copy_damaged, copy_of_another, copy_shrank, copy_unknown,
    gap, no_backup, no_base_backup, short_history, stale, test_due, test_failed,
};

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

/// What cannot be seen without the rights.
pub fn needs_monitor(part: &str) -> Text {
    Text::new(
        format!("{part}: 権限がない。grant pg_monitor to 役割 で見える"),
        format!("{part}: not permitted; grant pg_monitor to the role that looks"),
    )
}
