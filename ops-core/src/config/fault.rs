use std::error::Error as StdError;
use std::fmt;

use serde::Serialize;

use crate::error::{Error, ErrorKind};

/// One thing that is wrong with a configuration. Its texts repeat no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConfigFault {
    /// The line, from 1.
    pub line: usize,
    /// The dotted path of the key, tables of one name counted from 1: `service[1].platform`. Empty when the text is not TOML there.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{} — {}", self.problem, self.remedy)
    }
}

/// Everything that is wrong with a configuration, in the order of the lines. Never empty.
///
/// `Display` writes one line per fault. As an [`Error`] it has the kind [`ErrorKind::InvalidConfig`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
#[non_exhaustive]
pub struct ConfigFaults {
    /// The faults.
    pub faults: Vec<ConfigFault>,
}

impl ConfigFaults {
    /// The faults that `error` was made from, if it was made from some.
    pub fn of(error: &Error) -> Option<&Self> {
        StdError::source(error)?.downcast_ref()
    }
}

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, fault) in self.faults.iter().enumerate() {
            if position > 0 {
                writeln!(f)?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl StdError for ConfigFaults {}

impl From<ConfigFaults> for Error {
    fn from(faults: ConfigFaults) -> Self {
        Self::new(ErrorKind::InvalidConfig, "read configuration").source(faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: usize, key: &str) -> ConfigFault {
        ConfigFault {
            line,
            key: key.to_owned(),
            problem: "is wrong".to_owned(),
            remedy: "make it right".to_owned(),
        }
    }

    #[test]
    fn each_fault_is_one_line_with_its_remedy() {
        let faults = ConfigFaults {
            faults: vec![fault(3, ""), fault(12, "service[1].platform")],
        };
        assert_eq!(
            faults.to_string(),
            "line 3: is wrong — make it right\nline 12: service[1].platform: is wrong — make it right"
        );
    }

    #[test]
    fn an_error_keeps_the_faults_it_was_made_from() {
        let faults = ConfigFaults {
            faults: vec![fault(3, "lang")],
        };
        let error = Error::from(faults.clone());
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert_eq!(ConfigFaults::of(&error), Some(&faults));
        assert_eq!(
            ConfigFaults::of(&Error::new(ErrorKind::InvalidConfig, "read configuration")),
            None
        );
    }
}
