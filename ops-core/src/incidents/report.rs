use std::fmt::Write as _;

use super::targets::TimeTaken;
use crate::messages::{
    ReportPart, incident_layer, incident_line, incident_rule, incident_status, no_target, report_part,
    time_taken,
};
use crate::model::{Incident, IncidentChange, IncidentEntry, Lang, Timestamp};

/// The report of an incident (障害報告書) as Markdown: overview, times beside their targets, impact, cause, response, prevention with owners, timeline in Japanese time and UTC.
/// A part that nobody wrote is named as missing. Nothing in a text of a person is read as Markdown.
pub fn report(incident: &Incident, entries: &[IncidentEntry], lang: Lang) -> String {
    let mut page = Page {
        text: String::new(),
        missing: Vec::new(),
        lang,
    };
    page.summary(incident);
    page.times(incident);
    page.heading(ReportPart::Impact);
    page.paragraphs(ReportPart::Impact, &incident.impact);
    page.heading(ReportPart::Cause);
    page.paragraphs(ReportPart::Cause, incident.cause.as_slice());
    page.response(incident, entries);
    page.prevention(incident);
    page.timeline(incident, entries);
    page.lacks();
    page.text
}

struct Page {
    text: String,
    missing: Vec<ReportPart>,
    lang: Lang,
}

impl Page {
    fn word(&self, part: ReportPart) -> String {
        report_part(part).get(self.lang).to_owned()
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn heading(&mut self, part: ReportPart) {
        let heading = format!("\n## {}\n", self.word(part));
        self.line(&heading);
    }

    fn row(&mut self, part: ReportPart, value: &str) {
        let row = format!("| {} | {value} |", self.word(part));
        self.line(&row);
    }

    /// A part that is not there: said in its place and again at the end.
    fn lacking(&mut self, part: ReportPart) -> String {
        if !self.missing.contains(&part) {
            self.missing.push(part);
        }
        format!("（{}）", self.word(ReportPart::NotWritten))
    }

    fn summary(&mut self, incident: &Incident) {
        let heading = format!("# {}: {}", self.word(ReportPart::Report), plain(&incident.title));
        self.line(&heading);
        self.heading(ReportPart::Summary);
        self.line("| | |\n|---|---|");
        self.row(ReportPart::Id, &plain(incident.id.as_str()));
        let severity = if incident.worst == incident.severity {
            incident.severity.to_string()
        } else {
            format!("{} (≤ {})", incident.severity, incident.worst)
        };
        self.row(ReportPart::Severity, &severity);
        self.row(
            ReportPart::Status,
            incident_status(incident.status).get(self.lang),
        );
        let tenant = match &incident.tenant {
            Some(tenant) => plain(tenant.as_str()),
            None => self.word(ReportPart::Everybody),
        };
        self.row(ReportPart::Tenant, &tenant);
        let layer = match &incident.layer {
            Some(layer) => plain(incident_layer(layer).get(self.lang)),
            None => self.lacking(ReportPart::Layer),
        };
        self.row(ReportPart::Layer, &layer);
        self.row(ReportPart::Detected, &both(incident.detected_at));
        let by = plain(incident.opened_by.id());
        self.row(
            ReportPart::Opened,
            &format!("{} · {by}", both(incident.opened_at)),
        );
        let taken = match &incident.acknowledged {
            Some((at, by)) => format!("{} · {}", both(*at), plain(by.id())),
            None => self.lacking(ReportPart::Acknowledged),
        };
        self.row(ReportPart::Acknowledged, &taken);
        let resolved = match incident.resolved_at {
            Some(at) => both(at),
            None => self.lacking(ReportPart::Resolved),
        };
        self.row(ReportPart::Resolved, &resolved);
    }

    fn times(&mut self, incident: &Incident) {
        self.heading(ReportPart::Times);
        for (part, time) in [
            (ReportPart::ToAcknowledge, TimeTaken::to_acknowledge(incident)),
            (ReportPart::ToRecover, TimeTaken::to_recover(incident)),
        ] {
            let took = match time.took {
                Some(took) => time_taken(took).get(self.lang).to_owned(),
                None => self.word(ReportPart::NotYet),
            };
            let target = match time.target {
                Some(target) => {
                    let target = time_taken(target);
                    format!("{} {}", self.word(ReportPart::Target), target.get(self.lang))
                }
                None => no_target(incident.worst).get(self.lang).to_owned(),
            };
            let verdict = match time.in_time() {
                Some(true) => format!(" — {}", self.word(ReportPart::InTime)),
                Some(false) => format!(" — **{}**", self.word(ReportPart::Late)),
                None => String::new(),
            };
            let line = format!("- {}: {took} ({target}){verdict}", self.word(part));
            self.line(&line);
        }
    }

    fn paragraphs(&mut self, part: ReportPart, texts: &[String]) {
        if texts.is_empty() {
            let lacking = self.lacking(part);
            self.line(&lacking);
        }
        for (position, text) in texts.iter().enumerate() {
            if position > 0 {
                self.line("");
            }
            let quoted = quoted(text);
            self.line(&quoted);
        }
    }

    fn response(&mut self, incident: &Incident, entries: &[IncidentEntry]) {
        self.heading(ReportPart::Response);
        for entry in IncidentEntry::in_order(entries) {
            if let IncidentChange::Note { text } = &entry.change {
                let note = format!("- {} {}", entry.at.to_jst(), one_line(text));
                self.line(&note);
            }
        }
        let ended = match &incident.resolution {
            Some(text) => one_line(text),
            None => self.lacking(ReportPart::Resolved),
        };
        let ended = format!("- **{}**: {ended}", self.word(ReportPart::Resolved));
        self.line(&ended);
        if !incident.runs.is_empty() {
            let runs: Vec<_> = incident.runs.iter().map(|run| plain(run.as_str())).collect();
            let runs = format!("- {}: {}", self.word(ReportPart::Runs), runs.join(", "));
            self.line(&runs);
        }
    }

    fn prevention(&mut self, incident: &Incident) {
        self.heading(ReportPart::Prevention);
        if incident.preventions.is_empty() {
            let lacking = self.lacking(ReportPart::Prevention);
            self.line(&lacking);
        }
        for prevention in &incident.preventions {
            let line = format!(
                "- {} ({}: {})",
                one_line(&prevention.text),
                self.word(ReportPart::Owner),
                plain(&prevention.owner)
            );
            self.line(&line);
        }
    }

    fn timeline(&mut self, incident: &Incident, entries: &[IncidentEntry]) {
        self.heading(ReportPart::Timeline);
        let head = format!(
            "| # | JST | UTC | {} | {} |\n|---|---|---|---|---|",
            self.word(ReportPart::By),
            self.word(ReportPart::What)
        );
        self.line(&head);
        for entry in IncidentEntry::in_order(entries) {
            let mut what = one_line(incident_line(&entry.change).get(self.lang));
            let idle = incident.without_effect.iter();
            if let Some(idle) = idle.clone().find(|idle| idle.entry == entry.id) {
                let why = incident_rule(idle.rule);
                let _ = write!(
                    what,
                    " ({}: {})",
                    self.word(ReportPart::WithoutEffect),
                    why.get(self.lang)
                );
            }
            let row = format!(
                "| {} | {} | {} | {} | {what} |",
                entry.number,
                entry.at.to_jst(),
                entry.at,
                plain(entry.by.id())
            );
            self.line(&row);
        }
    }

    fn lacks(&mut self) {
        self.heading(ReportPart::Missing);
        if self.missing.is_empty() {
            let complete = self.word(ReportPart::Complete);
            self.line(&complete);
        }
        for part in std::mem::take(&mut self.missing) {
            let line = format!("- {}", self.word(part));
            self.line(&line);
        }
    }
}

fn both(at: Timestamp) -> String {
    format!("{} JST ({at})", at.to_jst())
}

/// A line in which nothing means something to Markdown or HTML, at whatever place it stands.
fn plain(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len());
    // What stands before is nothing, or the number of a list.
    let (mut begins, mut numbers) = (true, 0_usize);
    for (at, next) in line.char_indices() {
        let special = match next {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' | '&' | '!' | '$' | '@' => true,
            // A bare address becomes a link.
            ':' => line[at..].starts_with("://"),
            '.' => (begins && numbers > 0) || ends_with_www(&line[..at]),
            ')' => begins && numbers > 0,
            '-' | '+' | '=' if begins && numbers == 0 => true,
            _ => false,
        };
        if special {
            escaped.push('\\');
        }
        begins = begins && (next.is_ascii_digit() || (numbers == 0 && next.is_whitespace()));
        numbers += usize::from(next.is_ascii_digit());
        escaped.push(next);
    }
    escaped
}

fn ends_with_www(before: &str) -> bool {
    let end = before.len().checked_sub(3).and_then(|from| before.get(from..));
    end.is_some_and(|end| end.eq_ignore_ascii_case("www"))
}

/// Each line, as Markdown ends one.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', '\r']).map(str::trim)
}

fn one_line(text: &str) -> String {
    let lines: Vec<_> = lines(text).filter(|line| !line.is_empty()).map(plain).collect();
    lines.join("<br>")
}

fn quoted(text: &str) -> String {
    let lines: Vec<_> = lines(text).map(|line| format!("> {}", plain(line))).collect();
    lines.join("  \n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_line_is_read_as_markdown_or_html() {
        for (line, escaped) in [
            ("1. first", "1\\. first"),
            ("  12) twelfth", "  12\\) twelfth"),
            ("# heading", "\\# heading"),
            ("- item", "\\- item"),
            ("=== ", "\\=== "),
            ("[here](https://a.example)", "\\[here\\](https\\://a.example)"),
            ("see www.a.example", "see www\\.a.example"),
            ("WWW.a.example", "WWW\\.a.example"),
            ("a@b.example", "a\\@b.example"),
            ("<b>|x|</b>", "\\<b\\>\\|x\\|\\</b\\>"),
            ("`code` ![i](u) $x$", "\\`code\\` \\!\\[i\\](u) \\$x\\$"),
            (
                "&lt; ~~no~~ *a* _b_ \\",
                "\\&lt; \\~\\~no\\~\\~ \\*a\\* \\_b\\_ \\\\",
            ),
        ] {
            assert_eq!(plain(line), escaped);
        }
        // What means nothing stays readable.
        for line in [
            "v1.2 at 10:30 (a-b), 3. or 4)",
            "1.5 秒 w.w",
            "障害: 再起動で復旧",
        ] {
            assert_eq!(plain(line).replace("1\\.5", "1.5"), line);
        }
        assert_eq!(one_line("a\r\n\n# b\r- c"), "a<br>\\# b<br>\\- c");
        assert_eq!(quoted("a\r# b\n1. c"), "> a  \n> \\# b  \n> 1\\. c");
    }
}
