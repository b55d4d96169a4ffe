use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::gate::as_text;
use super::report::Report;
use super::rule::path;
use super::section::Section;
use crate::model::BackupPolicy;

/// `[backup]`: where copies of the database are, and what backups have to be like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BackupConfig {
    /// The directory with dumps and base backups, each a file or a folder of its own. Default: none is looked into.
    /// [`OpsConfig::load`](super::OpsConfig::load) takes it relative to the file's directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// How much may be lost. In the file a text such as `"15m"`, the default; 1 s to 30 days, as the next two.
    #[serde(serialize_with = "as_text")]
    pub rpo: Duration,
    /// How old the newest copy may be. Default: `"24h"`.
    #[serde(serialize_with = "as_text")]
    pub every: Duration,
    /// How long a restore may take. Default: `"1h"`.
    #[serde(serialize_with = "as_text")]
    pub rto: Duration,
    /// How many days back copies reach, 1 to 3650. Default: 30.
    pub keep_days: u32,
    /// After how many days a restore is to be tried again, 1 to 3650. Default: 92.
    pub test_every_days: u32,
    /// How many standbys follow at least, up to 100. Default: 0.
    pub min_standbys: u32,
}

impl Default for BackupConfig {
    fn default() -> Self {
        Self {
            directory: None,
            rpo: MINUTE * 15,
            every: DAY,
            rto: MINUTE * 60,
            keep_days: 30,
            test_every_days: 92,
            min_standbys: 0,
        }
    }
}

impl BackupConfig {
    pub(super) fn read(section: &Section<'_>, report: &mut Report<'_>) -> Self {
        let range = Duration::from_secs(1)..=DAY * 30;
        let otherwise = Self::default();
        let backup = Self {
            directory: section.optional("directory", path, report).map(Into::into),
            rpo: section.duration("rpo", otherwise.rpo, range.clone(), report),
            every: section.duration("every", otherwise.every, range.clone(), report),
            rto: section.duration("rto", otherwise.rto, range, report),
            keep_days: section.number("keep_days", otherwise.keep_days, 1..=3650, report),
            test_every_days: section.number("test_every_days", otherwise.test_every_days, 1..=3650, report),
            min_standbys: section.number("min_standbys", otherwise.min_standbys, 0..=100, report),
        };
        if DAY * backup.keep_days < backup.every {
            report.fault(
                section.place_of("keep_days"),
                section.path_of("keep_days"),
                "is shorter than every: there would be times without a copy",
                "keep copies for longer than one is apart from the next",
            );
        }
        backup
    }

    /// What backups have to be like.
    pub fn policy(&self) -> BackupPolicy {
        BackupPolicy {
            rpo: self.rpo,
            every: self.every,
            keep: DAY * self.keep_days,
            min_standbys: self.min_standbys,
            rto: self.rto,
            test_every: DAY * self.test_every_days,
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OpsConfig;

    #[test]
    fn a_backup_table_has_the_runbooks_defaults_and_is_the_policy_without_a_table() {
        assert_eq!(OpsConfig::parse("").unwrap().backup, None);
        let config = OpsConfig::parse("[backup]").unwrap().backup.unwrap();
        assert_eq!(config, BackupConfig::default());
        assert_eq!(config.policy(), BackupPolicy::default());
        let text = "[backup]\ndirectory = '/srv/dumps'\nrpo = '5m'\nkeep_days = 7\nmin_standbys = 1";
        let config = OpsConfig::parse(text).unwrap();
        let policy = config.backup.as_ref().unwrap().policy();
        assert_eq!((policy.rpo, policy.keep), (MINUTE * 5, DAY * 7));
        assert_eq!(OpsConfig::parse(&config.to_toml().unwrap()).unwrap(), config);
    }

    #[test]
    fn what_a_backup_table_cannot_mean_is_reported_with_line_and_remedy() {
        for (wrong, fault) in [
            ("rpo = '0s'", "line 2: backup.rpo: is out of range"),
            ("every = 5", "line 2: backup.every: "),
            (
                "directory = ''",
                "line 2: backup.directory: is not a directory name",
            ),
            ("keep_days = 0", "line 2: backup.keep_days: "),
            (
                "every = '48h'\nkeep_days = 1",
                "line 3: backup.keep_days: is shorter than every",
            ),
            (
                "directry = 'x'",
                "line 2: backup.directry: is not a known key — did you mean `directory`?",
            ),
        ] {
            let faults = OpsConfig::parse(&format!("[backup]\n{wrong}")).unwrap_err();
            assert!(faults.to_string().contains(fault), "{wrong}: {faults}");
        }
    }
}
