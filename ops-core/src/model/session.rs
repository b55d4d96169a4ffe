use serde::{Deserialize, Serialize};

/// Sessions of a database, by who they are. What is not given matches all; a rule without anything matches nothing.
///
/// An application names itself as it likes: a match by `application` alone is no proof of anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SessionMatch {
    /// The role that logged in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The name that the application gave itself; a `*` at the end stands for any rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
}

impl SessionMatch {
    /// Sessions of `role`.
    pub fn role(role: impl Into<String>) -> Self {
        Self {
            role: Some(role.into()),
            application: None,
        }
    }

    /// Sessions of an application; a `*` at the end stands for any rest.
    pub fn application(application: impl Into<String>) -> Self {
        Self {
            role: None,
            application: Some(application.into()),
        }
    }

    /// Whether a session of `role` by `application` is one of these.
    pub fn matches(&self, role: &str, application: &str) -> bool {
        let named = match self.application.as_deref() {
            None => true,
            Some(wanted) => match wanted.strip_suffix('*') {
                Some(start) => application.starts_with(start),
                None => application == wanted,
            },
        };
        (self.role.is_some() || self.application.is_some())
            && self.role.as_deref().is_none_or(|wanted| wanted == role)
            && named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_given_must_match_and_nothing_given_matches_nothing() {
        let both = SessionMatch {
            role: Some("exporter".to_owned()),
            application: Some("pg_dump*".to_owned()),
        };
        assert!(both.matches("exporter", "pg_dumpall"));
        assert!(!both.matches("app", "pg_dump"));
        assert!(!both.matches("exporter", "psql"));
        assert!(SessionMatch::role("app").matches("app", ""));
        assert!(SessionMatch::application("pg_dump").matches("app", "pg_dump"));
        assert!(!SessionMatch::application("pg_dump").matches("app", "pg_dumpall"));
        assert!(!SessionMatch::default().matches("app", "psql"));
    }
}
