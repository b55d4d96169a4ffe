use crate::model::Text;

/// What a caller over the limit is told, in the words of the first runbook.
pub fn too_many_requests() -> Text {
    Text::new(
        "リクエスト数が上限を超えました。しばらくお待ちください。",
        "Too many requests. Please wait a while.",
    )
}

/// What a caller of a stopped feature is told.
pub fn feature_stopped() -> Text {
    Text::new(
        "この機能は現在停止しています。しばらくしてからもう一度お試しください。",
        "This feature is stopped at the moment. Please try again later.",
    )
}

/// One caller was denied often. `who` is a masked id or address.
pub fn rate_limit_exceeded(scope_is_user: bool, who: &str, count: usize, seconds: u64) -> Text {
    let (ja, en) = match scope_is_user {
        true => ("ユーザー", "user"),
        false => ("アドレス", "address"),
    };
    Text::new(
        format!("{ja} {who} が {seconds} 秒以内に {count} 回レート制限を超過した"),
        format!("{en} {who} was over the rate limit {count} times within {seconds} s"),
    )
}

/// What the first runbook asks for first when a caller goes on beyond the limit.
pub fn rate_limit_first_action() -> Text {
    Text::new(
        "初動: 該当ユーザー/IP を特定し、アクセスログを確認する",
        "first: find out who the user or address is, and look at the access log",
    )
}
