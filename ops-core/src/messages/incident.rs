use crate::model::{Text, Timestamp};

/// Ending the sessions of a user.
pub fn revoke_sessions(user: &str) -> Text {
    Text::new(
        format!("利用者 {user} のセッションをすべて無効にする"),
        format!("revoke every session of user {user}"),
    )
}

/// The way back from it.
pub fn sessions_begin_anew(user: &str) -> Text {
    Text::new(
        format!("利用者 {user} は再びサインインできる（戻す操作はない）"),
        format!("user {user} signs in again; there is nothing to put back"),
    )
}

/// Tokens that nobody can take back.
pub fn tokens_live_until(until: Timestamp) -> Text {
    Text::new(
        format!("発行済みのトークンは {} まで有効な場合があります", until.to_jst()),
        format!("tokens that were given out before may be accepted until {until}"),
    )
}

/// Exporting evidence.
pub fn preserve_evidence(incident: &str) -> Text {
    Text::new(
        format!("{incident} の監査ログを証拠として保全する"),
        format!("preserve the audit trail as evidence of {incident}"),
    )
}

/// The way back from it.
pub fn evidence_is_kept(incident: &str) -> Text {
    Text::new(
        format!("{incident} の証拠はそのまま残す"),
        format!("the evidence of {incident} is kept"),
    )
}

/// What the export found.
pub fn evidence_has_faults(what: &str) -> Text {
    Text::new(
        format!("証拠に問題があります: {what}"),
        format!("the evidence has a fault: {what}"),
    )
}
