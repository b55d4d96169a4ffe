use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::TargetId;

use super::PROVIDER;

/// Project, region and name of a service, each safe to put into a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceName {
    pub(crate) project: String,
    pub(crate) region: String,
    pub(crate) service: String,
}

impl ServiceName {
    /// Checks the three parts and names every one that is wrong.
    pub(crate) fn new(project: &str, region: &str, service: &str) -> Result<Self> {
        let number = !project.is_empty() && project.bytes().all(|byte| byte.is_ascii_digit());
        let checks = [
            ("project", number || is_segment(project), PROJECT_RULE),
            ("region", is_segment(region), NAME_RULE),
            ("service", is_segment(service), NAME_RULE),
        ];
        let mut faults = checks.into_iter().filter(|(_, good, _)| !good).peekable();
        if faults.peek().is_none() {
            return Ok(Self {
                project: project.to_owned(),
                region: region.to_owned(),
                service: service.to_owned(),
            });
        }
        Err(faults.fold(invalid(), |error, (part, _, rule)| error.context(part, rule)))
    }

    /// Reads `cloud-run:{project}/{region}/{service}`.
    pub(crate) fn of(target: &TargetId) -> Result<Self> {
        let parts: Vec<_> = target.name().split('/').collect();
        match parts[..] {
            [project, region, service] if target.system() == PROVIDER => Self::new(project, region, service),
            _ => Err(invalid().context("target", "must be cloud-run:{project}/{region}/{service}")),
        }
    }

    pub(crate) fn target(&self) -> Result<TargetId> {
        TargetId::new(format!(
            "{PROVIDER}:{}/{}/{}",
            self.project, self.region, self.service
        ))
    }

    /// `projects/{project}/locations/{region}/services/{service}`
    pub(crate) fn path(&self) -> String {
        format!(
            "projects/{}/locations/{}/services/{}",
            self.project, self.region, self.service
        )
    }
}

fn invalid() -> Error {
    Error::new(ErrorKind::InvalidInput, "read target").provider(PROVIDER)
}

fn is_segment(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

const NAME_RULE: &str =
    "must be 1 to 63 lower-case letters, digits and hyphens, first a letter, last no hyphen";
const PROJECT_RULE: &str = "must be a project number, or 1 to 63 lower-case letters, digits and hyphens, first a letter, last no hyphen";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_three_parts_and_reads_back() {
        let name = ServiceName::new("soul-kun", "asia-northeast1", "api").unwrap();
        let target = name.target().unwrap();
        assert_eq!(target.as_str(), "cloud-run:soul-kun/asia-northeast1/api");
        assert_eq!(ServiceName::of(&target).unwrap(), name);
        assert!(ServiceName::new("1234567", "asia-northeast1", "api").is_ok());
    }

    #[test]
    fn no_part_can_leave_its_place_in_the_path() {
        for text in [
            "cloud-run:p/r",
            "cloud-run:p/r/s/t",
            "cloud-run:p/r/..",
            "cloud-run:p/r/s?x=1",
            "cloud-run:p/r/s%2F",
            "cloud-run:p/r/S",
            "cloud-run:p//s",
            "cloud-run:p/r/s:wait",
            "cloud-run:p/r/s-",
            "railway:p/r/s",
            "p/r/s",
        ] {
            let error = ServiceName::of(&TargetId::new(text).unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
        }
    }

    #[test]
    fn every_wrong_part_is_named() {
        let text = ServiceName::new("P", "", "a/b").unwrap_err().to_string();
        for part in ["project:", "region:", "service:"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
