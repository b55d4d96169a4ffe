use std::ops::RangeInclusive;

use super::ConfigFault;

/// Collects the faults of one text.
///
/// After a syntax error the reader goes on, but what it sees on the broken lines is a guess, and what it misses may stand
/// there. So faults on those lines, and [consequences](Self::consequence), are left out until the syntax is right.
#[derive(Debug)]
pub(super) struct Report<'t> {
    text: &'t str,
    /// The offset of each line break.
    breaks: Vec<usize>,
    /// The lines that could not be read.
    broken: Vec<RangeInclusive<usize>>,
    faults: Vec<ConfigFault>,
}

impl<'t> Report<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let breaks = text.match_indices('\n').map(|(at, _)| at).collect();
        Self {
            text,
            breaks,
            broken: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// The line, from 1, of a byte offset.
    pub(super) fn line(&self, at: usize) -> usize {
        self.breaks.partition_point(|line_break| *line_break < at) + 1
    }

    /// Adds a syntax error.
    pub(super) fn syntax(&mut self, at: usize, message: &str) {
        let line = self.line(at);
        let remedy = if message == "duplicate key" {
            "remove one of the two, or write [[double brackets]] for a list of tables"
        } else {
            "correct this line; it is not TOML"
        };
        let until = self.end_of_broken_part(line);
        self.broken.push(line..=until);
        self.faults.push(ConfigFault {
            line,
            key: String::new(),
            problem: message.to_owned(),
            remedy: remedy.to_owned(),
        });
    }

    /// Adds a fault at a byte offset.
    pub(super) fn fault(
        &mut self,
        at: usize,
        key: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let line = self.line(at);
        if self.broken.iter().any(|lines| lines.contains(&line)) {
            return;
        }
        self.faults.push(ConfigFault {
            line,
            key: key.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        });
    }

    /// Adds a fault that a broken line elsewhere may be the cause of: something is missing.
    pub(super) fn consequence(
        &mut self,
        at: usize,
        key: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        if self.broken.is_empty() {
            self.fault(at, key, problem, remedy);
        }
    }

    /// All faults in the order of the lines.
    pub(super) fn finish(mut self) -> Vec<ConfigFault> {
        self.faults.sort_by_key(|fault| fault.line);
        self.faults.dedup();
        self.faults
    }

    /// A broken table header makes its whole table a guess, another broken line only itself.
    fn end_of_broken_part(&self, line: usize) -> usize {
        let mut rest = self.text.lines().skip(line - 1);
        if !rest.next().is_some_and(is_header) {
            return line;
        }
        line + rest.take_while(|line| !is_header(line)).count()
    }
}

fn is_header(line: &str) -> bool {
    line.trim_start().starts_with(['[', ']'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_belongs_to_the_line_it_ends() {
        let report = Report::new("ab\ncd\n");
        let lines: Vec<_> = [0, 1, 2, 3, 5, 6, 99].map(|at| report.line(at)).into();
        assert_eq!(lines, [1, 1, 1, 2, 2, 3, 3]);
    }

    #[test]
    fn guesses_about_a_broken_table_are_left_out() {
        let mut report = Report::new("[a\nb = 1\n[c]\nd = 2\n");
        report.syntax(2, "unclosed table");
        report.fault(3, "b", "unknown key", "remove it");
        report.consequence(9, "c.e", "missing", "add it");
        report.fault(13, "c.d", "unknown key", "remove it");
        let faults = report.finish();
        let found: Vec<_> = faults
            .iter()
            .map(|fault| (fault.line, fault.key.as_str()))
            .collect();
        assert_eq!(found, [(1, ""), (4, "c.d")]);
    }
}
