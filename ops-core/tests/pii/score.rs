use std::collections::BTreeMap;

use ops_core::masking::Detector;
use ops_core::model::{PiiSpan, PiiType};

/// A text and where its values are.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) text: String,
    pub(crate) spans: Vec<PiiSpan>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) right: usize,
    pub(crate) found: usize,
    pub(crate) there: usize,
    /// Values of which at least a part is within a span of any type.
    pub(crate) touched: usize,
}

impl Counts {
    pub(crate) fn precision(&self) -> f64 {
        ratio(self.right, self.found)
    }

    pub(crate) fn recall(&self) -> f64 {
        ratio(self.right, self.there)
    }

    pub(crate) fn f1(&self) -> f64 {
        ratio(2 * self.right, self.found + self.there)
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        1.0
    } else {
        part as f64 / whole as f64
    }
}

/// What the detector made of a set of texts.
#[derive(Debug, Default)]
pub(crate) struct Score {
    pub(crate) counts: BTreeMap<PiiType, Counts>,
    pub(crate) clean: usize,
    pub(crate) clean_touched: usize,
    wrong: Vec<String>,
}

impl Score {
    /// Only spans of `kinds` count, and texts without any value are clean.
    pub(crate) fn of(cases: &[Case], kinds: &[PiiType]) -> Self {
        let detector = Detector::new();
        let mut score = Self::default();
        for case in cases {
            let found: Vec<_> = detector.detect(&case.text);
            let mine: Vec<_> = found.iter().filter(|span| kinds.contains(&span.kind)).collect();
            if case.spans.is_empty() {
                score.clean += 1;
                score.clean_touched += usize::from(!mine.is_empty());
            }
            for span in &mine {
                let counts = score.counts.entry(span.kind).or_default();
                counts.found += 1;
                let right = case.spans.contains(span);
                counts.right += usize::from(right);
                if !right {
                    score.wrong.push(format!(
                        "+ {} {:?} in {}",
                        span.kind,
                        &case.text[span.start..span.end],
                        case.text
                    ));
                }
            }
            for span in case.spans.iter().filter(|span| kinds.contains(&span.kind)) {
                let counts = score.counts.entry(span.kind).or_default();
                counts.there += 1;
                let touched = found
                    .iter()
                    .any(|other| other.start < span.end && span.start < other.end);
                counts.touched += usize::from(touched);
                if !found.contains(span) {
                    score.wrong.push(format!(
                        "- {} {:?} in {}",
                        span.kind,
                        &case.text[span.start..span.end],
                        case.text
                    ));
                }
            }
        }
        score
    }

    pub(crate) fn print(&self, name: &str) {
        eprintln!("{name}: precision, recall, F1, part recall, number");
        for (kind, counts) in &self.counts {
            eprintln!(
                "{:18} {:.3} {:.3} {:.3} {:.3} {:5}",
                kind.as_str(),
                counts.precision(),
                counts.recall(),
                counts.f1(),
                ratio(counts.touched, counts.there),
                counts.there
            );
        }
        eprintln!("clean texts touched: {} of {}", self.clean_touched, self.clean);
        for wrong in self.wrong.iter().take(60) {
            eprintln!("{wrong}");
        }
    }

    /// Fails for a type below its floor.
    pub(crate) fn hold(&self, floors: &[(PiiType, f64)]) {
        for (kind, floor) in floors {
            let counts = self.counts.get(kind).copied().unwrap_or_default();
            assert!(counts.there > 0, "no {kind} in the set");
            assert!(
                counts.f1() >= *floor,
                "{kind}: F1 {:.3} is below {floor}",
                counts.f1()
            );
        }
    }

    /// The part of the values of `kinds` that no span touches.
    pub(crate) fn leaked(&self) -> f64 {
        let (touched, there) = self.counts.values().fold((0, 0), |(touched, there), counts| {
            (touched + counts.touched, there + counts.there)
        });
        1.0 - ratio(touched, there)
    }
}
