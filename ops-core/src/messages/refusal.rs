//! Why a plan is not made or not carried out.

use crate::error::Error;
use crate::model::{RunId, Text};

/// Not enough valid approvals; `faults` says what is wrong with the others.
pub fn not_approved(needed: usize, valid: usize, faults: &[String]) -> Text {
    let listed: String = faults.iter().map(|fault| format!("; {fault}")).collect();
    Text::new(
        format!("{needed} 人の承認が必要ですが、有効なものは {valid} 人分です{listed}"),
        format!("{needed} persons must approve, {valid} did{listed}"),
    )
}

/// The approval has run out.
pub fn approval_expired() -> Text {
    Text::new("承認の期限が切れています", "the approval has run out")
}

/// Somebody changed targets since the stop. Targets as errors name them, here and below.
pub fn changed_since_stop(targets: impl Iterator<Item = String>) -> Text {
    let listed = spaced(targets);
    Text::new(
        format!("停止後に変更されています:{listed}"),
        format!("changed since the stop:{listed}"),
    )
}

/// What was approved is not what is there.
pub fn changed_since_approval(targets: impl Iterator<Item = String>) -> Text {
    let listed = spaced(targets);
    Text::new(
        format!("承認後に変更されています:{listed}"),
        format!("changed since it was approved:{listed}"),
    )
}

/// A run has no prior state left to restore.
pub fn nothing_held(run: &RunId, held_by: &[RunId]) -> Text {
    if held_by.is_empty() {
        return Text::new(
            format!("{run} は停止前の状態を保持していません: 復旧済みか、何も停止していません"),
            format!("{run} holds no prior state: it was restored already, or stopped nothing"),
        );
    }
    let listed = spaced(held_by.iter());
    Text::new(
        format!("{run} は停止前の状態を保持していません。復旧の対象:{listed}"),
        format!("{run} holds no prior state; restore{listed}"),
    )
}

/// The journal does not know the run.
pub fn unknown_run(run: &RunId) -> Text {
    Text::new(
        format!("{run} はジャーナルにありません"),
        format!("the journal does not know {run}"),
    )
}

/// The procedure at hand is not the one of the run.
pub fn wrong_procedure(what: &str) -> Text {
    Text::new(
        format!("この実行の手順ではありません: {what}"),
        format!("not the procedure of this run: {what}"),
    )
}

/// Automation wanted to restore.
pub fn automation_may_not_restore() -> Text {
    Text::new(
        "自動処理は停止だけができ、復旧はできません",
        "automation may stop, never restore",
    )
}

/// A later run has restored.
pub fn superseded(by: &RunId) -> Text {
    Text::new(
        format!("その後 {by} が復旧しています。新しくやり直してください"),
        format!("{by} has restored since; begin anew instead"),
    )
}

/// An approval was used before.
pub fn approvals_used(by: &RunId) -> Text {
    Text::new(
        format!("この承認は {by} で使用済みです。新しい承認を依頼してください"),
        format!("{by} has used these approvals already; ask for new ones"),
    )
}

/// The stop would break rules.
pub fn breaks_rules(rules: &[String]) -> Text {
    let listed = spaced(rules.iter());
    Text::new(format!("規則違反:{listed}"), format!("breaks a rule:{listed}"))
}

/// A broken glass names a rule that there is not.
pub fn unknown_rule(name: &str, known: &[String]) -> Text {
    let listed = spaced(known.iter());
    Text::new(
        format!("規則 {name} はありません。規則の一覧:{listed}"),
        format!("there is no rule {name}; the rules are{listed}"),
    )
}

/// The run has no review that this actor may close.
pub fn no_review(what: &str) -> Text {
    Text::new(
        format!("レビューできません: {what}"),
        format!("cannot be reviewed: {what}"),
    )
}

/// A stop was to be aborted.
pub fn not_a_restore(run: &RunId) -> Text {
    Text::new(
        format!("{run} は復旧ではありません。中止できるのは復旧だけです"),
        format!("{run} is no restore; only a restore is aborted"),
    )
}

/// A restore that has ended was to be aborted.
pub fn restore_completed(run: &RunId) -> Text {
    Text::new(
        format!("{run} はすべて元に戻しています。あらためて停止してください"),
        format!("{run} has put everything back; stop anew instead"),
    )
}

/// It could not be found out whether it may be done.
pub fn undecided(error: &Error) -> Text {
    Text::new(
        format!("確認できませんでした: {error}"),
        format!("could not find out: {error}"),
    )
}

fn spaced<T: std::fmt::Display>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| format!(" {item}")).collect()
}
