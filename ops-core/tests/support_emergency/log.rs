use std::sync::{Arc, Mutex};

/// What happened in which order, across journal and targets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Where the first line that is exactly `line` stands.
    #[track_caller]
    pub(crate) fn position(&self, line: &str) -> usize {
        let lines = self.lines();
        let found = lines.iter().position(|found| found == line);
        found.unwrap_or_else(|| panic!("no line {line:?} in {lines:#?}"))
    }
}
