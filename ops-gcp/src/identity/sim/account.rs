use serde_json::{Value, json};

/// One user.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) email: String,
    created_at: i64,
    last_login_at: Option<i64>,
    pub(super) valid_since: Option<i64>,
    /// `None`: nobody ever said.
    pub(super) disabled: Option<bool>,
}

/// One sign-in of a user: a refresh token, and the newest ID token that it gave.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimSession {
    /// When the user signed in, in seconds since the epoch; `auth_time` of every token of it.
    pub auth_time: i64,
    /// When the newest ID token was given out.
    pub issued_at: i64,
}

impl SimSession {
    /// An ID token lives for an hour.
    pub(super) fn is_fresh(&self, now: i64) -> bool {
        now < self.issued_at + 3_600
    }
}

impl Account {
    pub(super) fn new(email: &str, now: i64) -> Self {
        Self {
            email: email.to_owned(),
            created_at: now,
            last_login_at: None,
            valid_since: Some(now),
            disabled: None,
        }
    }

    pub(super) fn sign_in(&mut self, now: i64) -> Option<SimSession> {
        if self.disabled == Some(true) {
            return None;
        }
        self.last_login_at = Some(now);
        Some(SimSession {
            auth_time: now,
            issued_at: now,
        })
    }

    pub(super) fn renews(&self, session: &SimSession) -> bool {
        let revoked = self.valid_since.is_some_and(|since| session.auth_time < since);
        self.disabled != Some(true) && !revoked
    }

    /// As an administrator sees it. What was never said is absent.
    pub(super) fn json(&self, id: &str, tenant: Option<&str>) -> Value {
        let mut user = json!({
            "localId": id,
            "email": self.email,
            "emailVerified": true,
            "passwordHash": "UkVEQUNURUQ=",
            "createdAt": (self.created_at * 1_000).to_string(),
            "providerUserInfo": [{"providerId": "password", "email": self.email, "rawId": self.email}],
        });
        if let Some(tenant) = tenant {
            user["tenantId"] = json!(tenant);
        }
        if let Some(at) = self.last_login_at {
            user["lastLoginAt"] = json!((at * 1_000).to_string());
        }
        if let Some(since) = self.valid_since {
            user["validSince"] = json!(since.to_string());
        }
        if let Some(disabled) = self.disabled {
            user["disabled"] = json!(disabled);
        }
        user
    }
}
