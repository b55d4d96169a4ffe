//! What delivers to a target that is stopped.

use std::time::Duration;

use crate::model::{Burst, FeedingQueue, GivenUp, Need, QueueKind, QueueMatch, Text};

use super::readiness::need;

/// What kind of queue it is.
pub fn queue_kind(kind: QueueKind) -> Text {
    match kind {
        QueueKind::PushSubscription => Text::new("プッシュ購読", "push subscription"),
        QueueKind::TaskQueue => Text::new("タスクキュー", "task queue"),
        QueueKind::ScheduledJob => Text::new("定期ジョブ", "scheduled job"),
    }
}

/// How much waits, for how long, and how fast it comes.
pub fn queue_backlog(queue: &FeedingQueue) -> Text {
    if let (QueueKind::ScheduledJob, Some(schedule)) = (queue.kind, &queue.schedule) {
        let (ja, en) = queue.next.map_or_else(Default::default, |next| {
            (
                format!("、次回 {} JST", next.to_jst()),
                format!(", next at {next}"),
            )
        });
        return Text::new(format!("{schedule}{ja}"), format!("{schedule}{en}"));
    }
    let (mut ja, mut en) = match queue.waiting {
        Some(waiting) => (format!("滞留 {waiting} 件"), format!("{waiting} waiting")),
        None => ("滞留は不明".to_owned(), "backlog unknown".to_owned()),
    };
    if let Some(oldest) = queue.oldest.filter(|_| queue.waiting != Some(0)) {
        let oldest = span(oldest);
        ja += &format!("（最古 {} 前）", oldest.0);
        en += &format!(" (oldest {} ago)", oldest.1);
    }
    match (queue.paused, queue.per_second) {
        (true, _) => {
            ja += "、一時停止中";
            en += ", paused";
        }
        (false, Some(rate)) => {
            ja += &format!("、毎秒最大 {rate} 件");
            en += &format!(", {rate} a second at most");
        }
        (false, None) => {
            ja += "、速度の上限なし";
            en += ", at no limited pace";
        }
    }
    Text::new(ja, en)
}

/// What is lost if the target is stopped for long.
pub fn queue_losses(queue: &FeedingQueue) -> Text {
    let (limit_ja, limit_en) = match (queue.attempts, queue.keeps.map(span)) {
        (Some(1), _) => ("再試行なしで、".to_owned(), "it is not tried again".to_owned()),
        (Some(attempts), Some((ja, en))) => (
            format!("{attempts} 回の試行（遅くとも {ja}）で"),
            format!("after {attempts} attempts, {en} at the latest"),
        ),
        (Some(attempts), None) => (
            format!("{attempts} 回の試行で"),
            format!("after {attempts} attempts"),
        ),
        (None, Some((ja, en))) => (format!("{ja} で"), format!("after {en}")),
        (None, None) => (
            "期限は不明、過ぎると".to_owned(),
            "after a time that is not known".to_owned(),
        ),
    };
    let (ja, en) = match &queue.after {
        GivenUp::Lost => ("失われる".to_owned(), "it is lost".to_owned()),
        GivenUp::SetAside { to } => (
            format!("{to} に退避される（自動では戻らない）"),
            format!("it is set aside in {to} and does not come back by itself"),
        ),
        GivenUp::RunMissed => (
            "その回は実行されない（後から補われない）".to_owned(),
            "the run is missed and not made up for".to_owned(),
        ),
    };
    let (mut ja, mut en) = (format!("{limit_ja}{ja}"), format!("{limit_en}, {en}"));
    if let Some((left_ja, left_en)) = queue.first_given_up().map(span) {
        ja += &format!("。最初の期限まで {left_ja}");
        en += &format!("; the first in {left_en}");
    }
    Text::new(ja, en)
}

/// How it is known that a queue delivers to the target.
pub fn queue_match(matched: QueueMatch) -> Text {
    match matched {
        QueueMatch::Host => Text::new("宛先ホスト", "by host"),
        QueueMatch::Audience => Text::new("トークンの audience", "by the audience of its token"),
    }
}

/// What arrives when the targets are back, in one line.
pub fn burst(burst: &Burst) -> Text {
    let Burst { messages, .. } = burst;
    let (least_ja, least_en) = match burst.whole {
        true => ("", ""),
        false => ("少なくとも ", "at least "),
    };
    let (pace_ja, pace_en) = match (burst.lasts.map(span), burst.paced) {
        _ if *messages == 0 && burst.whole => (String::new(), String::new()),
        (Some((ja, en)), _) => (
            format!("（毎秒最大 {} 件、{ja}以内）", burst.per_second),
            format!(" within {en} ({} a second at most)", burst.per_second),
        ),
        (None, true) => (
            format!("（毎秒最大 {} 件）", burst.per_second),
            format!(" ({} a second at most)", burst.per_second),
        ),
        (None, false) => (
            "（速度に上限のないものがあり、一度に届きうる）".to_owned(),
            ", at no limited pace: possibly all at once".to_owned(),
        ),
    };
    Text::new(
        format!("再開時に {least_ja}{messages} 件が届く{pace_ja}。停止中に増えた分は加算"),
        format!("on return {least_en}{messages} messages will arrive{pace_en}, and what comes in meanwhile"),
    )
}

/// A permission that only the list of queues needs.
pub fn need_queue_permission(subject: &str, permission: &str) -> Need {
    need(
        &format!("permission:{permission}"),
        subject,
        (
            format!("停止中も配送を続けるキューを計画に表示するための権限 {permission} がある"),
            format!(
                "permission {permission} is granted, so that a plan can list the queues that go on delivering"
            ),
        ),
        (
            format!("日常用の資格情報に {permission} を与える（停止そのものには不要）"),
            format!("grant {permission} to the everyday credential; a stop goes ahead without it"),
        ),
    )
}

/// Rounded to what people read at a glance, in both languages.
fn span(duration: Duration) -> (String, String) {
    let seconds = duration.as_secs();
    let tenth = |unit: u64| {
        let tenths = (seconds * 10 + unit / 2) / unit;
        match tenths % 10 {
            0 => format!("{}", tenths / 10),
            rest => format!("{}.{rest}", tenths / 10),
        }
    };
    match seconds {
        0..120 => {
            let whole = duration.as_secs_f64().ceil();
            (format!("{whole} 秒"), format!("{whole} s"))
        }
        120..7_200 => (format!("{} 分", tenth(60)), format!("{} min", tenth(60))),
        7_200..172_800 => (format!("{} 時間", tenth(3_600)), format!("{} h", tenth(3_600))),
        _ => (format!("{} 日", tenth(86_400)), format!("{} days", tenth(86_400))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Lang, TargetId};

    #[test]
    fn spans_are_read_at_a_glance() {
        for (seconds, en) in [
            (0, "0 s"),
            (119, "119 s"),
            (150, "2.5 min"),
            (7_200, "2 h"),
            (604_800, "7 days"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)).1, en);
        }
    }

    #[test]
    fn a_line_says_what_waits_what_is_lost_and_what_arrives() {
        let target = TargetId::new("memory:api").unwrap();
        let mut queue = FeedingQueue::new("tasks", QueueKind::TaskQueue, target, QueueMatch::Host);
        let en = |text: Text| text.get(Lang::En).to_owned();
        assert_eq!(en(queue_backlog(&queue)), "backlog unknown, at no limited pace");
        assert_eq!(
            en(queue_losses(&queue)),
            "after a time that is not known, it is lost"
        );
        (queue.waiting, queue.per_second) = (Some(1_200), Some(10.0));
        (queue.oldest, queue.keeps) = (Some(Duration::from_secs(60)), Some(Duration::from_secs(360)));
        queue.attempts = Some(5);
        assert_eq!(
            en(queue_backlog(&queue)),
            "1200 waiting (oldest 60 s ago), 10 a second at most"
        );
        assert_eq!(
            en(queue_losses(&queue)),
            "after 5 attempts, 6 min at the latest, it is lost; the first in 5 min"
        );
        assert_eq!(
            en(burst(&queue.burst())),
            "on return 1200 messages will arrive within 2 min (10 a second at most), and what comes in meanwhile"
        );
        assert_eq!(
            burst(&queue.burst()).get(Lang::Ja),
            "再開時に 1200 件が届く（毎秒最大 10 件、2 分以内）。停止中に増えた分は加算"
        );
        queue.waiting = None;
        assert_eq!(
            en(burst(&queue.burst())),
            "on return at least 0 messages will arrive (10 a second at most), and what comes in meanwhile"
        );
    }
}
