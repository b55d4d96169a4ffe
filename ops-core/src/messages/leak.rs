use crate::model::Text;

/// A personal value had to be masked at a last gate; never the value itself.
pub fn pii_leaked(kind: &str, sink: &str, place: &str, count: u64) -> Text {
    Text::new(
        format!("{kind} が {sink} の最終ゲートに {count} 回到達した（マスク済み、発生元 {place}）"),
        format!("{kind} reached the last gate of {sink} {count} times (masked there; from {place})"),
    )
}

/// What the first runbook asks for first when personal data leaks.
pub fn pii_leak_first_action() -> Text {
    Text::new(
        "初動: 漏れた経路の API を止め、監査ログとデータを保全する",
        "first: stop the API that leaks, and preserve the audit log and the data",
    )
}
