use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{self, Debug, Write};
use std::sync::Arc;

use tracing::Event;
use tracing::field::{Field, Visit};
use tracing_subscriber::field::{MakeVisitor, VisitFmt, VisitOutput};

use super::rewrite::{bytes_text, error_text, text};
use crate::masking::scrub::{DROPPED, Scrub};

/// Writes the fields of spans as `N` does, but for the values of dropped fields and for bytes.
///
/// It masks nothing else: a formatter of events reads what it wrote, and [`MaskedFormat`](super::MaskedFormat) masks the line.
#[derive(Clone, Debug)]
pub struct MaskedFields<N> {
    inner: N,
    scrub: Arc<Scrub>,
}

/// The visitor of [`MaskedFields`].
#[derive(Debug)]
pub struct MaskedVisitor<V> {
    inner: V,
    scrub: Arc<Scrub>,
}

impl<N> MaskedFields<N> {
    pub(super) fn new(inner: N, scrub: Arc<Scrub>) -> Self {
        Self { inner, scrub }
    }
}

impl<T, N: MakeVisitor<T>> MakeVisitor<T> for MaskedFields<N> {
    type Visitor = MaskedVisitor<N::Visitor>;

    fn make_visitor(&self, target: T) -> Self::Visitor {
        MaskedVisitor {
            inner: self.inner.make_visitor(target),
            scrub: Arc::clone(&self.scrub),
        }
    }
}

impl<V: Visit> MaskedVisitor<V> {
    fn unless_dropped(&mut self, field: &Field, record: impl FnOnce(&mut V)) {
        if self.scrub.fields.drops(field.name()) {
            self.inner.record_debug(field, &format_args!("{DROPPED}"));
        } else {
            record(&mut self.inner);
        }
    }
}

impl<V: Visit> Visit for MaskedVisitor<V> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.unless_dropped(field, |inner| inner.record_f64(field, value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.unless_dropped(field, |inner| inner.record_i64(field, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.unless_dropped(field, |inner| inner.record_u64(field, value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.unless_dropped(field, |inner| inner.record_i128(field, value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.unless_dropped(field, |inner| inner.record_u128(field, value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.unless_dropped(field, |inner| inner.record_bool(field, value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.unless_dropped(field, |inner| inner.record_str(field, value));
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.unless_dropped(field, |inner| {
            inner.record_debug(field, &format_args!("{}", bytes_text(value)))
        });
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.unless_dropped(field, |inner| inner.record_error(field, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.unless_dropped(field, |inner| inner.record_debug(field, value));
    }
}

impl<V: VisitOutput<fmt::Result>> VisitOutput<fmt::Result> for MaskedVisitor<V> {
    fn finish(self) -> fmt::Result {
        self.inner.finish()
    }
}

impl<V: VisitFmt> VisitFmt for MaskedVisitor<V> {
    fn writer(&mut self) -> &mut dyn Write {
        self.inner.writer()
    }
}

/// The masked fields of an event by name.
pub(super) fn collect(scrub: &Scrub, event: &Event<'_>) -> BTreeMap<&'static str, String> {
    let mut collected = Collected {
        scrub,
        fields: BTreeMap::new(),
    };
    event.record(&mut collected);
    collected.fields
}

struct Collected<'a> {
    scrub: &'a Scrub,
    fields: BTreeMap<&'static str, String>,
}

impl Collected<'_> {
    fn add(&mut self, field: &Field, value: &str) {
        let masked = match self.scrub.scrub_value(field.name(), value) {
            Ok(masked) => masked.into_owned(),
            Err(withheld) => withheld.to_string(),
        };
        self.fields.insert(field.name(), masked);
    }
}

impl Visit for Collected<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.add(field, &bytes_text(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.add(field, &error_text(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, &text(format_args!("{value:?}")));
    }
}
