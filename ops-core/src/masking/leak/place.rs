use std::fmt;

/// Which gate a value reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LeakSink {
    /// The lines of a log.
    Log,
    /// A request to another machine.
    Http,
    /// A message to people.
    Notice,
}

impl LeakSink {
    /// The name in labels: `log`, `http`, `notice`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Http => "http",
            Self::Notice => "notice",
        }
    }
}

/// Where in the program the value came from, as far as it is known. Never the value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct LeakPlace {
    /// The target of the event, or the host of the request; empty if unknown.
    pub target: String,
    /// The source file.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
}

impl LeakPlace {
    /// A place of which only the target is known.
    pub fn target(target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            file: None,
            line: None,
        }
    }

    /// Adds file and line.
    #[must_use]
    pub fn at(mut self, file: impl Into<String>, line: u32) -> Self {
        self.file = Some(file.into());
        self.line = Some(line);
        self
    }
}

impl fmt::Display for LeakPlace {
    /// `target file:line`, `?` for what is unknown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.target.is_empty() { "?" } else { &self.target })?;
        if let Some(file) = &self.file {
            write!(f, " {file}")?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
        }
        Ok(())
    }
}
