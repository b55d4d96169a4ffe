use serde::{Deserialize, Serialize};

/// Asks for users by their ids.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LookupRequest<'a> {
    pub(super) local_id: [&'a str; 1],
}

/// Without the member, nobody was found.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LookupResponse {
    pub(super) users: Vec<User>,
}

/// What is read of a user. Addresses, names and hashes are in the answer too; they are not kept.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct User {
    pub(super) local_id: String,
    /// Absent where the user is of no tenant.
    pub(super) tenant_id: Option<String>,
    /// Seconds since the epoch, in a string.
    pub(super) valid_since: Option<String>,
    /// Absent where nobody ever disabled it.
    pub(super) disabled: bool,
}

/// Changes a user: what is absent stays.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpdateRequest<'a> {
    pub(super) local_id: &'a str,
    /// Seconds since the epoch, in a string. Milliseconds would be taken, for a time in the far future.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) valid_since: Option<String>,
    /// Written under another name than it is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) disable_user: Option<bool>,
}
