use std::time::Duration;

use crate::model::{IncidentChange, IncidentLayer, IncidentRule, IncidentStatus, Severity, Text};

/// How far an incident is.
pub fn incident_status(status: IncidentStatus) -> Text {
    match status {
        IncidentStatus::Open => Text::new("対応中（原因不明）", "open, the cause is not known"),
        IncidentStatus::CauseFound => Text::new("対応中（原因判明）", "open, the cause is known"),
        IncidentStatus::Resolved => Text::new("解決済み", "resolved"),
    }
}

/// Where a fault is.
pub fn incident_layer(layer: &IncidentLayer) -> Text {
    match layer {
        IncidentLayer::LlmBrain => Text::new("LLM Brain", "LLM brain"),
        IncidentLayer::Guardian => Text::new("Guardian Layer", "guardian layer"),
        IncidentLayer::Database => Text::new("データベース", "database"),
        IncidentLayer::ExternalApi => Text::new("外部API", "external API"),
        IncidentLayer::FrontEnd => Text::new("フロントエンド", "front end"),
        IncidentLayer::BackEnd => Text::new("バックエンド", "back end"),
        IncidentLayer::Infrastructure => Text::new("インフラ", "infrastructure"),
        IncidentLayer::Newer(name) => Text::new(name, name),
    }
}

/// Why a change cannot be made to an incident.
pub fn incident_rule(rule: IncidentRule) -> Text {
    match rule {
        IncidentRule::NotOpened => Text::new("まだ登録されていません", "it has not been opened"),
        IncidentRule::OpenedAlready => Text::new("すでに登録されています", "it is opened already"),
        IncidentRule::AcknowledgedAlready => {
            Text::new("すでに対応が開始されています", "somebody has taken it on already")
        }
        IncidentRule::ResolvedAlready => Text::new(
            "すでに解決済みです。まだ続いているなら reopen してください",
            "it is resolved already; if it goes on, reopen it",
        ),
        IncidentRule::NotResolved => Text::new("まだ解決していません", "it is not resolved, so it is open"),
        IncidentRule::SameSeverity => Text::new("すでにこの重大度です", "it has this severity already"),
        IncidentRule::LinkedAlready => Text::new(
            "この実行はすでに関連付けられています",
            "the run belongs to it already",
        ),
        IncidentRule::UnknownChange => Text::new(
            "このバージョンが知らない変更です。内容は保持しています",
            "this version does not know the change; it is kept as it is",
        ),
    }
}

/// What an entry of an incident says. The texts in it are the people's own.
pub fn incident_line(change: &IncidentChange) -> Text {
    match change {
        IncidentChange::Opened { title, severity, .. } => Text::new(
            format!("登録（{severity}）: {title}"),
            format!("opened ({severity}): {title}"),
        ),
        IncidentChange::Acknowledged => Text::new("対応開始", "taken on"),
        IncidentChange::Layer { layer } => {
            let layer = incident_layer(layer);
            Text::new(
                format!("切り分け: {}", layer.get(crate::model::Lang::Ja)),
                format!("layer: {}", layer.get(crate::model::Lang::En)),
            )
        }
        IncidentChange::Note { text } => Text::new(format!("記録: {text}"), format!("note: {text}")),
        IncidentChange::Severity { severity, why } => Text::new(
            format!("重大度を {severity} に変更: {why}"),
            format!("severity is now {severity}: {why}"),
        ),
        IncidentChange::Linked { run } => Text::new(format!("実行を関連付け: {run}"), format!("run: {run}")),
        IncidentChange::Impact { text } => Text::new(format!("影響: {text}"), format!("impact: {text}")),
        IncidentChange::Cause { text } => Text::new(format!("原因: {text}"), format!("cause: {text}")),
        IncidentChange::Resolved { text } => Text::new(format!("解決: {text}"), format!("resolved: {text}")),
        IncidentChange::Reopened { text } => Text::new(format!("再開: {text}"), format!("reopened: {text}")),
        IncidentChange::Prevention { text, owner } => Text::new(
            format!("再発防止策（担当 {owner}）: {text}"),
            format!("prevention ({owner}): {text}"),
        ),
        IncidentChange::Unknown(unknown) => {
            let kind = unknown.kind();
            Text::new(
                format!("新しいバージョンが書いた変更「{kind}」"),
                format!("a change that a newer version wrote: {kind}"),
            )
        }
    }
}

/// How long something took, for people.
pub fn time_taken(took: Duration) -> Text {
    let seconds = took.as_secs();
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => Text::new(format!("{seconds} 秒"), format!("{seconds} s")),
        (0, _) => Text::new(format!("{minutes} 分"), format!("{minutes} min")),
        _ => Text::new(
            format!("{hours} 時間 {minutes} 分"),
            format!("{hours} h {minutes} min"),
        ),
    }
}

/// Beside a time that has no target.
pub fn no_target(severity: Severity) -> Text {
    Text::new(
        format!("{severity} の目標は営業時間で数えるため、まだ計算しません"),
        format!("the target of {severity} counts business time, which is not computed yet"),
    )
}

/// The parts of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the catalogue has a text for each")]
pub enum ReportPart {
    /// The heading.
    Report,
    /// The overview.
    Summary,
    /// Id.
    Id,
    /// Severity.
    Severity,
    /// How far it is.
    Status,
    /// Whose it is.
    Tenant,
    /// Nobody's in particular.
    Everybody,
    /// Where the fault was.
    Layer,
    /// When it was noticed.
    Detected,
    /// When it was opened.
    Opened,
    /// When it was taken on.
    Acknowledged,
    /// When it was over.
    Resolved,
    /// The times.
    Times,
    /// From detection until it was taken on.
    ToAcknowledge,
    /// From detection until it was over.
    ToRecover,
    /// What a time may be.
    Target,
    /// In time.
    InTime,
    /// Too late.
    Late,
    /// Not yet.
    NotYet,
    /// Who was hit.
    Impact,
    /// Why.
    Cause,
    /// What was done.
    Response,
    /// The runs that belong to it.
    Runs,
    /// What keeps it from happening again.
    Prevention,
    /// Who sees to it.
    Owner,
    /// What happened when.
    Timeline,
    /// By whom.
    By,
    /// What.
    What,
    /// What the report lacks.
    Missing,
    /// Nothing is missing.
    Complete,
    /// A part that is not there.
    NotWritten,
    /// An entry that changed nothing.
    WithoutEffect,
}

/// What a part of a report is called.
pub fn report_part(part: ReportPart) -> Text {
    let (ja, en) = match part {
        ReportPart::Report => ("障害報告書", "Incident report"),
        ReportPart::Summary => ("概要", "Summary"),
        ReportPart::Id => ("ID", "Id"),
        ReportPart::Severity => ("重大度", "Severity"),
        ReportPart::Status => ("状態", "Status"),
        ReportPart::Tenant => ("対象テナント", "Tenant"),
        ReportPart::Everybody => ("全体", "everybody"),
        ReportPart::Layer => ("障害の層", "Layer"),
        ReportPart::Detected => ("検知", "Detected"),
        ReportPart::Opened => ("登録", "Opened"),
        ReportPart::Acknowledged => ("対応開始", "Taken on"),
        ReportPart::Resolved => ("解決", "Resolved"),
        ReportPart::Times => ("所要時間と目標", "Times and targets"),
        ReportPart::ToAcknowledge => ("検知から対応開始まで", "From detection until taken on"),
        ReportPart::ToRecover => ("検知から復旧まで", "From detection until recovered"),
        ReportPart::Target => ("目標", "target"),
        ReportPart::InTime => ("目標内", "in time"),
        ReportPart::Late => ("目標超過", "too late"),
        ReportPart::NotYet => ("まだ", "not yet"),
        ReportPart::Impact => ("影響", "Impact"),
        ReportPart::Cause => ("原因", "Cause"),
        ReportPart::Response => ("対応", "Response"),
        ReportPart::Runs => ("関連する実行", "Runs"),
        ReportPart::Prevention => ("再発防止策", "Prevention"),
        ReportPart::Owner => ("担当", "owner"),
        ReportPart::Timeline => ("経過", "Timeline"),
        ReportPart::By => ("記録者", "By"),
        ReportPart::What => ("内容", "What"),
        ReportPart::Missing => ("この報告書に足りないもの", "What this report lacks"),
        ReportPart::Complete => ("なし", "nothing"),
        ReportPart::NotWritten => ("未記入", "not written"),
        ReportPart::WithoutEffect => ("効果なし", "without effect"),
    };
    Text::new(ja, en)
}
