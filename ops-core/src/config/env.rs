use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// The environment variables: those of this process, or given ones in a test. Nothing else in the library reads them.
///
/// A variable that is empty or not Unicode counts as not set. A line break at the end of a value, which files leave behind,
/// is removed. `Debug` shows names only.
///
/// ```
/// use ops_core::config::Env;
///
/// let env = Env::from_pairs([("RAILWAY_TOKEN", "t0ken\n"), ("EMPTY", "")]);
/// assert!(env.secret("RAILWAY_TOKEN").is_some());
/// assert_eq!(env.text("EMPTY"), None);
/// assert!(!format!("{env:?}").contains("t0ken"));
/// ```
#[derive(Clone)]
pub struct Env(Source);

#[derive(Clone)]
enum Source {
    Process,
    Pairs(BTreeMap<String, SecretString>),
}

impl Env {
    /// The variables of this process, read anew each time.
    pub fn process() -> Self {
        Self(Source::Process)
    }

    /// These variables and no others.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let pairs = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into().into()));
        Self(Source::Pairs(pairs.collect()))
    }

    /// A variable that holds a secret; `None` if it is not set.
    pub fn secret(&self, name: &str) -> Option<SecretString> {
        self.read(name).map(SecretString::from)
    }

    /// A variable that holds no secret; `None` if it is not set.
    pub fn text(&self, name: &str) -> Option<String> {
        self.read(name)
    }

    fn read(&self, name: &str) -> Option<String> {
        let mut value = match &self.0 {
            Source::Process => process_variable(name)?,
            Source::Pairs(pairs) => pairs.get(name)?.expose_secret().to_owned(),
        };
        value.truncate(value.trim_end_matches(['\r', '\n']).len());
        (!value.is_empty()).then_some(value)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the library that reads the environment"
)]
fn process_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Process => f.write_str("Env(process)"),
            Source::Pairs(pairs) => {
                f.write_str("Env")?;
                f.debug_set().entries(pairs.keys()).finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_has_a_path_and_no_variable_with_a_strange_name() {
        let env = Env::process();
        assert!(env.text("PATH").is_some());
        for name in ["", "A=B", "A\0B", "OPS_THERE_IS_NO_SUCH_VARIABLE"] {
            assert_eq!(env.text(name), None, "{name:?}");
        }
    }

    #[test]
    fn values_lose_the_line_break_and_nothing_else() {
        let env = Env::from_pairs([("A", " x y \r\n"), ("B", "\n"), ("C", "")]);
        assert_eq!(env.text("A").as_deref(), Some(" x y "));
        assert_eq!(env.text("B"), None);
        assert!(env.secret("C").is_none());
        assert_eq!(env.secret("A").unwrap().expose_secret(), " x y ");
        assert_eq!(format!("{env:?}"), r#"Env{"A", "B", "C"}"#);
    }
}
