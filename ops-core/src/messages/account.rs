//! Users of a directory.

use crate::model::{Need, Text};

use super::readiness::need;

/// Suspending the account of a user.
pub fn suspend_account(user: &str) -> Text {
    Text::new(
        format!("利用者 {user} のアカウントを停止する"),
        format!("suspend the account of user {user}"),
    )
}

/// The way back from it.
pub fn restore_account(user: &str) -> Text {
    Text::new(
        format!("利用者 {user} のアカウントを停止前の状態に戻す"),
        format!("put the account of user {user} back as it was"),
    )
}

/// A permission on users.
pub fn need_user_permission(subject: &str, permission: &str) -> Need {
    need(
        &format!("permission:{permission}"),
        subject,
        (
            format!("利用者のセッションを無効にし、アカウントを停止するための権限 {permission} がある"),
            format!(
                "permission {permission} is granted, so that sessions can be ended and accounts suspended"
            ),
        ),
        (
            format!("資格情報に {permission} を与える"),
            format!("grant {permission} to the credential"),
        ),
    )
}

/// The service of the users does what is asked, not only grants it.
pub fn need_user_lookup(subject: &str) -> Need {
    need(
        "user-lookup",
        subject,
        ("利用者を探せる", "users can be looked up"),
        (
            "プロジェクトで Identity Toolkit が有効か、プロジェクトとテナントが正しいかを確認する",
            "check that Identity Toolkit is enabled in the project, and the project and the tenant",
        ),
    )
}

/// The user is there.
pub fn need_known_user(subject: &str) -> Need {
    need(
        "user",
        subject,
        ("利用者がディレクトリに存在する", "the user is in the directory"),
        (
            "利用者の ID、プロジェクト、テナントを確認する",
            "check the id of the user, the project and the tenant",
        ),
    )
}
