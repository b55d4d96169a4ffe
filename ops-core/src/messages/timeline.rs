use crate::model::{AbortCause, Lang, OutcomeStatus, PlanKind, StepResult, TargetId, Text, Verdict};
use crate::ports::GateMoment;

use super::{abort_cause, step_line};

/// A run has begun.
pub fn run_began(kind: &PlanKind, procedure: &str, actor: &str, approval: &str) -> Text {
    match kind {
        PlanKind::Stop => Text::new(
            format!("{actor} が停止「{procedure}」を開始（{approval}）"),
            format!("{actor} began the stop {procedure} ({approval})"),
        ),
        PlanKind::Restore { of } => Text::new(
            format!("{actor} が {of} の復旧「{procedure}」を開始（{approval}）"),
            format!("{actor} began the restore {procedure} of {of} ({approval})"),
        ),
        PlanKind::Forget { of, .. } => Text::new(
            format!("{actor} が {of} の停止前の状態の破棄を開始（{approval}）"),
            format!("{actor} began to give up what {of} holds ({approval})"),
        ),
    }
}

/// A step is about to act.
pub fn step_began(action: &Text) -> Text {
    Text::new(
        format!("{} … 実行", action.get(Lang::Ja)),
        format!("{} … called", action.get(Lang::En)),
    )
}

/// The provider has answered.
pub fn step_answered(action: &Text, error: Option<&str>) -> Text {
    let (ja, en) = match error {
        None => ("受理".to_owned(), "accepted".to_owned()),
        Some(error) => (format!("エラー: {error}"), format!("error: {error}")),
    };
    Text::new(
        format!("{} … {ja}", action.get(Lang::Ja)),
        format!("{} … {en}", action.get(Lang::En)),
    )
}

/// A step has ended.
pub fn step_ended(action: &Text, result: &StepResult, verdict: &Verdict) -> Text {
    step_line(action, result, verdict)
}

/// A run has ended.
pub fn run_ended(status: OutcomeStatus) -> Text {
    let (ja, en) = match status {
        OutcomeStatus::Verified => ("すべて完了・確認済み", "all done and verified"),
        OutcomeStatus::Unverified => ("受理されたが未確認のものあり", "accepted, not all verified"),
        OutcomeStatus::Partial => ("一部のみ完了", "partly done"),
        OutcomeStatus::Failed => ("失敗", "failed"),
    };
    Text::new(format!("実行終了: {ja}"), format!("the run ended: {en}"))
}

/// A run has been recorded and told.
pub fn run_published(audited: bool) -> Text {
    match audited {
        true => Text::new("監査記録と連絡を実施", "recorded in the audit trail, people told"),
        false => Text::new(
            "連絡を実施。監査記録は未完了（スプールで待機または消失）",
            "people told; the audit records wait in the spool or are lost",
        ),
    }
}

/// Something happened at a gate, counted from 0.
pub fn gate_moment(gate: u32, moment: &GateMoment) -> Text {
    let number = gate + 1;
    let (ja, en) = match moment {
        GateMoment::Waiting => ("確認を開始".to_owned(), "began to look".to_owned()),
        GateMoment::Saw { seen } => match (seen, seen.reason().unwrap_or_default()) {
            (Verdict::Holds, _) => ("正常".to_owned(), "saw: healthy".to_owned()),
            (Verdict::NotYet { .. }, why) => {
                (format!("正常でない: {why}"), format!("saw: not healthy: {why}"))
            }
            (Verdict::Unknown { .. }, why) => (format!("確認できず: {why}"), format!("saw nothing: {why}")),
        },
        GateMoment::Passed => ("通過".to_owned(), "passed".to_owned()),
        GateMoment::Failed { reason } => (format!("通過できず: {reason}"), format!("failed: {reason}")),
    };
    Text::new(format!("確認 {number} … {ja}"), format!("gate {number} … {en}"))
}

/// A restore has begun to go back to stopped.
pub fn run_aborted(cause: &AbortCause) -> Text {
    let cause = abort_cause(cause);
    Text::new(
        format!("中止: {}。開けたものをもう一度止める", cause.get(Lang::Ja)),
        format!(
            "aborted: {}; what was opened is closed again",
            cause.get(Lang::En)
        ),
    )
}

/// A target of an aborted restore was closed again.
pub fn target_closed_again(target: &TargetId, verdict: &Verdict) -> Text {
    let (ja, en) = match (verdict, verdict.reason().unwrap_or_default()) {
        (Verdict::Holds, _) => ("確認済み".to_owned(), "verified".to_owned()),
        (_, why) => (
            format!("停止を確認できず: {why}"),
            format!("not seen to be stopped: {why}"),
        ),
    };
    Text::new(
        format!("{target} をもう一度停止 … {ja}"),
        format!("{target} closed again … {en}"),
    )
}

/// Somebody looked at a run that broke the glass.
pub fn run_reviewed(by: &str, note: &str) -> Text {
    Text::new(
        format!("{by} がレビュー: {note}"),
        format!("reviewed by {by}: {note}"),
    )
}

/// People gave up prior states.
pub fn run_forgotten(by: &str, targets: &[TargetId], persons: &[String], reason: &str) -> Text {
    let targets: Vec<_> = targets.iter().map(TargetId::as_str).collect();
    let (targets, persons) = (targets.join(" "), persons.join(", "));
    Text::new(
        format!("{by} が停止前の状態を破棄: {targets}（承認 {persons}）: {reason}"),
        format!("{by} gave up the prior state of {targets} (approved by {persons}): {reason}"),
    )
}

/// The heading and the columns of a timeline.
pub fn timeline_heading(run: &str, procedure: &str) -> Text {
    Text::new(
        format!(
            "### 経過 {procedure}（{run}）\n\n| 時刻 | 経過 | 段階 | 対象 | 内容 |\n|---|---|---|---|---|"
        ),
        format!(
            "### Timeline of {procedure} ({run})\n\n| time | since start | step | target | what happened |\n|---|---|---|---|---|"
        ),
    )
}
