//! The one catalogue of texts for people, Japanese and English.
//!
//! Plan, audit record, notice and report take their words from here, so they cannot drift apart.

use std::time::Duration;

use crate::model::{Lang, OutcomeStatus, PlanKind, Prior, RunId, StepResult, TargetId, Text, Verdict};

/// Stopping all traffic to a service.
pub fn stop_service(name: &str) -> Text {
    Text::new(
        format!("サービス {name} を停止する"),
        format!("stop service {name}"),
    )
}

/// Putting a service back.
pub fn restore_service(name: &str) -> Text {
    Text::new(
        format!("サービス {name} を停止前の状態に戻す"),
        format!("restore service {name}"),
    )
}

/// A restore that must let the call of another run pass by.
pub fn waits_for_call(target: &TargetId, run: &RunId, longest: Duration) -> Text {
    let seconds = longest.as_secs_f64().ceil();
    Text::new(
        format!("{target}: {run} の呼び出しがまだ効く可能性があるため、最長 {seconds} 秒待つ"),
        format!("{target}: waits up to {seconds} s for a call of {run} that may still land"),
    )
}

/// Making a database read-only.
pub fn read_only(name: &str) -> Text {
    Text::new(
        format!("データベース {name} を読み取り専用にする"),
        format!("make database {name} read-only"),
    )
}

/// Letting a database be written again.
pub fn read_write(name: &str) -> Text {
    Text::new(
        format!("データベース {name} の書き込みを元の設定に戻す"),
        format!("let database {name} be written again as before"),
    )
}

/// Stopping a feature by its kill switch.
pub fn switch_off(feature: &str) -> Text {
    Text::new(
        format!("機能 {feature} を停止スイッチで止める"),
        format!("switch feature {feature} off"),
    )
}

/// Opening a feature's kill switch.
pub fn switch_on(feature: &str) -> Text {
    Text::new(
        format!("機能 {feature} の停止スイッチを元に戻す"),
        format!("put the switch of feature {feature} back"),
    )
}

/// The subject of the notice after a run. It claims no more than the outcome does.
pub fn notice_subject(kind: &PlanKind, procedure: &str, status: OutcomeStatus) -> Text {
    let (ja, en) = match status {
        OutcomeStatus::Verified => ("完了・確認済み", "done and verified"),
        OutcomeStatus::Unverified => ("受理されたが未確認", "accepted, not verified"),
        OutcomeStatus::Partial => ("一部のみ完了", "partly done"),
        OutcomeStatus::Failed => ("失敗", "failed"),
    };
    match kind {
        PlanKind::Stop => Text::new(
            format!("【緊急停止】{procedure}: {ja}"),
            format!("[EMERGENCY STOP] {procedure}: {en}"),
        ),
        PlanKind::Restore { .. } => Text::new(
            format!("【復旧】{procedure}: {ja}"),
            format!("[RESTORE] {procedure}: {en}"),
        ),
    }
}

/// One line per step of a notice or report.
pub fn step_line(action: &Text, result: &StepResult, verdict: &Verdict) -> Text {
    let (ja, en) = match (result, verdict) {
        (StepResult::Done, Verdict::Holds) => ("完了・確認済み".to_owned(), "done and verified".to_owned()),
        (StepResult::AlreadyDone, Verdict::Holds) => (
            "すでにその状態・確認済み".to_owned(),
            "was so before, verified".to_owned(),
        ),
        (StepResult::Done | StepResult::AlreadyDone, verdict) => {
            let reason = verdict.reason().unwrap_or("");
            (
                format!("受理されたが未確認: {reason}"),
                format!("accepted but not verified: {reason}"),
            )
        }
        (StepResult::Failed { error }, _) => (format!("失敗: {error}"), format!("failed: {error}")),
        (StepResult::Unknown { reason }, _) => (format!("不明: {reason}"), format!("unknown: {reason}")),
        (StepResult::Skipped, _) => (
            "前の失敗のため未実行".to_owned(),
            "not attempted after an earlier failure".to_owned(),
        ),
    };
    Text::new(
        format!("{} … {ja}", action.get(Lang::Ja)),
        format!("{} … {en}", action.get(Lang::En)),
    )
}

/// The prior state in one line.
pub fn prior_line(prior: &Prior) -> Text {
    match prior {
        Prior::Observed { snapshot } => {
            let fields = serde_json::to_string(snapshot.fields()).unwrap_or_default();
            Text::new(format!("現在の状態: {fields}"), format!("state now: {fields}"))
        }
        Prior::AlreadyStopped { by: Some(run) } => Text::new(
            format!("すでに停止済み ({run})"),
            format!("already stopped by {run}"),
        ),
        Prior::AlreadyStopped { by: None } => Text::new("すでに停止済み", "already stopped"),
        Prior::Unknown { reason } => Text::new(
            format!("現在の状態は不明 ({reason})。停止は実行できるが、復旧は手作業"),
            format!("state unknown ({reason}): it can be stopped, but must be restored by hand"),
        ),
    }
}
