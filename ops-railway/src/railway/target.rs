use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::TargetId;

use super::PROVIDER;
use crate::error::is_plain_id;

/// The service that a target id names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServiceRef {
    pub(super) project: String,
    pub(super) environment: String,
    pub(super) service: String,
}

impl ServiceRef {
    /// Reads `railway:{project_id}/{environment_id}/{service_id}`; `None` for any other form.
    pub(super) fn parse(target: &TargetId) -> Option<Self> {
        let parts: Vec<&str> = target.as_str().strip_prefix("railway:")?.split('/').collect();
        let [project, environment, service] = parts[..] else {
            return None;
        };
        if ![project, environment, service].into_iter().all(is_plain_id) {
            return None;
        }
        Some(Self {
            project: project.to_owned(),
            environment: environment.to_owned(),
            service: service.to_owned(),
        })
    }

    /// The service that the caller of a port means.
    ///
    /// # Errors
    /// `NotFound` for an id of another form: no service can have it. The id itself is not repeated.
    pub(super) fn of(target: &TargetId) -> Result<Self> {
        Self::parse(target).ok_or_else(|| wrong_form(ErrorKind::NotFound))
    }
}

pub(super) fn wrong_form(kind: ErrorKind) -> Error {
    Error::new(kind, "read target").provider(PROVIDER).context(
        "target",
        "must be railway:PROJECT_ID/ENVIRONMENT_ID/SERVICE_ID, ids of letters, digits, - and _",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_three_ids_and_nothing_else() {
        let service = ServiceRef::parse(&TargetId::new("railway:p-1/e_2/s3").unwrap()).unwrap();
        assert_eq!(
            (
                service.project.as_str(),
                service.environment.as_str(),
                service.service.as_str()
            ),
            ("p-1", "e_2", "s3")
        );
        for wrong in [
            "vercel:p/e/s",
            "railway:p/e",
            "railway:p/e/s/x",
            "railway:p//s",
            "railway:p/e/..",
            "railway:p/e/s?x",
            "p/e/s",
            "RAILWAY:p/e/s",
        ] {
            let error = ServiceRef::of(&TargetId::new(wrong).unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{wrong}");
        }
    }
}
