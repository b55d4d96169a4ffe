//! Where evidence is kept.

use super::readiness::need;
use crate::model::Need;

/// A permission on the bucket that keeps evidence.
pub fn need_archive_permission(bucket: &str, permission: &str) -> Need {
    need(
        &format!("permission:{permission}"),
        bucket,
        (
            format!("証跡を保管するための権限 {permission} がある"),
            format!("permission {permission} is granted, so that evidence can be kept"),
        ),
        (
            format!("日常用の資格情報に、バケット {bucket} の {permission} を与える"),
            format!("grant {permission} on the bucket {bucket} to the everyday credential"),
        ),
    )
}
