//! The one catalogue of texts for people, Japanese and English.
//!
//! Plan, audit record, notice and report take their words from here, so they cannot drift apart.

mod account;
mod archive;
/// What is wrong with backups, and what to do.
pub mod backup;
mod erasure;
mod incident;
mod incident_report;
mod leak;
mod limit;
mod measured;
/// What migrations do to others, and what is better.
pub mod migration;
/// Why a migration is not taken back.
#[cfg(feature = "migrations")]
pub mod migration_back;
mod migration_state;
mod queue;
mod readiness;
mod refusal;
mod rollback;
mod tenant;
mod timeline;
mod triage;
pub use self::account::*;
pub use self::archive::need_archive_permission;
pub use self::erasure::{disposal, erasure_report};
pub use self::incident::*;
pub use self::incident_report::*;
pub use self::leak::{pii_leak_first_action, pii_leaked};
pub use self::limit::{feature_stopped, rate_limit_exceeded, rate_limit_first_action, too_many_requests};
pub use self::measured::*;
pub use self::queue::*;
pub use self::readiness::*;
pub use self::refusal::*;
pub use self::rollback::{component, rollback_phases, rollback_rule};
pub use self::tenant::*;
pub use self::timeline::{
    gate_moment, run_aborted, run_began, run_ended, run_forgotten, run_published, run_reviewed,
    step_answered, step_began, step_ended, target_closed_again, timeline_heading,
};
pub use self::triage::*;
use crate::model::{
    AbortCause, Aborted, GateReport, GateResult, Lang, OutcomeStatus, PlanKind, Prior, ReadOnlyStrength,
    RunId, Share, StepResult, TargetId, Text, Timestamp, Verdict,
};
use std::time::Duration;

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
pub fn read_only(name: &str, strength: ReadOnlyStrength) -> Text {
    let (ja, en) = match strength {
        ReadOnlyStrength::Brake => ("（brake: 新しい接続のみ）", " (brake: new sessions only)"),
        ReadOnlyStrength::Strict => (
            "（strict: 他の接続を切断し、書き込みの終了を確認）",
            " (strict: other sessions ended, writes proven to be over)",
        ),
        ReadOnlyStrength::Wall => ("", ""),
    };
    Text::new(
        format!("データベース {name} を読み取り専用にする{ja}"),
        format!("make database {name} read-only{en}"),
    )
}

/// Letting a database be written again.
pub fn read_write(name: &str) -> Text {
    Text::new(
        format!("データベース {name} の書き込みを元の設定に戻す"),
        format!("let database {name} be written again as before"),
    )
}

/// Giving a database tight timeouts: for a statement, for a lock, for a transaction in which nothing runs.
pub fn tighten_timeouts(name: &str, statement: Duration, lock: Duration, idle: Duration) -> Text {
    let [statement, lock, idle] = [statement, lock, idle].map(|limit| limit.as_secs_f64());
    Text::new(
        format!(
            "データベース {name} のタイムアウトを短くする（文 {statement} 秒、ロック {lock} 秒、待機中トランザクション {idle} 秒）"
        ),
        format!(
            "tighten the timeouts of database {name} (statement {statement} s, lock {lock} s, idle transaction {idle} s)"
        ),
    )
}

/// Putting the timeouts of a database back.
pub fn restore_timeouts(name: &str) -> Text {
    Text::new(
        format!("データベース {name} のタイムアウトを元の設定に戻す"),
        format!("put the timeouts of database {name} back as they were"),
    )
}

/// Stopping a feature by its kill switch.
pub fn switch_off(feature: &str) -> Text {
    Text::new(
        format!("機能 {feature} を停止スイッチで止める"),
        format!("switch feature {feature} off"),
    )
}

/// What the registry of processes cannot tell.
pub fn silent_processes_expire() -> Text {
    Text::new(
        "60 分を超えて応答のないプロセス（凍結・通信断）は一覧から消え、未適用として表示されない。復帰すると次の読み取りで停止を適用する",
        "a process that was silent for more than 60 minutes (frozen, cut off) is listed no more and not named as one that has not applied the \
         stop; when it comes back it applies it with its next read",
    )
}

/// Opening a feature's kill switch.
pub fn switch_on(feature: &str) -> Text {
    Text::new(
        format!("機能 {feature} の停止スイッチを元に戻す"),
        format!("put the switch of feature {feature} back"),
    )
}

/// The limitation of a step that is rehearsed.
pub fn only_recorded() -> Text {
    Text::new(
        "確認のみ: 対象は読み取っただけで、停止も復旧も実行していない",
        "probes only: the target was read, and nothing was stopped or restored",
    )
}

/// Opening for a part of the users only.
pub fn in_part(action: &Text, share: Share) -> Text {
    Text::new(
        format!("{}（まず利用者の {share} に）", action.get(Lang::Ja)),
        format!("{} for {share} of the users", action.get(Lang::En)),
    )
}

/// What a gate of a restore waits for.
pub fn gate(checks: &[String], hold: Duration, patience: Duration) -> Text {
    let names = checks.join(", ");
    let (hold, patience) = (hold.as_secs_f64(), patience.as_secs_f64());
    Text::new(
        format!(
            "{names} が {hold} 秒間続けて正常であることを確認する（{patience} 秒以内に確認できなければ、もう一度止める）"
        ),
        format!(
            "wait until {names} is healthy for {hold} s without a break (if not within {patience} s: stop again)"
        ),
    )
}

/// One line per gate of a notice or report.
pub fn gate_line(gate: &GateReport) -> Text {
    let (ja, en) = match &gate.result {
        GateResult::Passed => ("通過".to_owned(), "passed".to_owned()),
        GateResult::Failed { reason } => (format!("通過できず: {reason}"), format!("failed: {reason}")),
        GateResult::Interrupted => ("途中で中止".to_owned(), "cut short".to_owned()),
        GateResult::NotReached => ("未到達".to_owned(), "not reached".to_owned()),
    };
    Text::new(
        format!("{} … {ja}", gate.action.get(Lang::Ja)),
        format!("{} … {en}", gate.action.get(Lang::En)),
    )
}

/// Why a restore went back to stopped.
pub fn abort_cause(cause: &AbortCause) -> Text {
    match cause {
        AbortCause::Gate { gate, reason } => {
            let number = gate + 1;
            Text::new(
                format!("確認 {number} を通過できなかった: {reason}"),
                format!("gate {number} failed: {reason}"),
            )
        }
        AbortCause::Stopped { by } => Text::new(
            format!("{by} が対象を新たに停止した"),
            format!("stopped anew by {by}"),
        ),
        AbortCause::Asked { by, reason } => Text::new(
            format!("{} が中止した: {reason}", by.id()),
            format!("aborted by {}: {reason}", by.id()),
        ),
    }
}

/// A restore that went back to stopped, in one line.
pub fn aborted(aborted: &Aborted) -> Text {
    let cause = abort_cause(&aborted.cause);
    let (ja, en) = (cause.get(Lang::Ja), cause.get(Lang::En));
    let open: Vec<_> = aborted
        .closed
        .iter()
        .filter(|closed| !closed.verdict.holds())
        .map(|closed| closed.target.as_str())
        .collect();
    if open.is_empty() {
        return Text::new(
            format!("中止: {ja}。開けたものはすべて、もう一度止めて確認済み"),
            format!("aborted: {en}; everything that was opened is closed again and verified"),
        );
    }
    let open = open.join(", ");
    Text::new(
        format!("中止: {ja}。停止を確認できていない: {open}"),
        format!("aborted: {en}; not seen to be closed again: {open}"),
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
        PlanKind::Forget { .. } => Text::new(
            format!("【停止前の状態の破棄】{procedure}: {ja}"),
            format!("[FORGET] {procedure}: {en}"),
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
        (StepResult::Skipped, verdict)
            if verdict
                .reason()
                .is_some_and(|reason| reason.starts_with(WITHHELD)) =>
        {
            let reason = verdict.reason().unwrap_or_default();
            (format!("安全規則のため未実行: {reason}"), reason.to_owned())
        }
        (StepResult::ClosedAgain { reason }, _) => (
            format!("開けたあと、もう一度止めた: {reason}"),
            format!("opened, and closed again: {reason}"),
        ),
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

/// That the rules were broken on purpose, and until when somebody has to look at it.
pub fn broken_glass(approval: &str, due: Timestamp) -> Text {
    let due = due.to_jst();
    Text::new(
        format!("規則を破って停止しました ({approval})。{due} JST までに別の人のレビューが必要です"),
        format!("stopped against the rules ({approval}); another person has to review it by {due} JST"),
    )
}

/// How the reason of a step begins that a safety rule held back.
pub(crate) const WITHHELD: &str = "not attempted, it would break ";

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
