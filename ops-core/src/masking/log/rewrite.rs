use std::error::Error;
use std::fmt::{self, Debug, Write as _};

use tracing::Event;
use tracing::field::{Field, Value, Visit, display};

use crate::masking::FieldRules;
use crate::masking::scrub::{DROPPED, Withheld};

/// Calls `with` with `event`, or, if it has fields to drop or bytes, with an event in which only those are other.
///
/// Formatters read an event's fields by themselves (that of JSON more than once), so that a field can be kept from all of them
/// only in the event.
pub(super) fn rewritten<T>(event: &Event<'_>, rules: &FieldRules, with: impl FnOnce(&Event<'_>) -> T) -> T {
    let mut probe = Probe { rules, found: false };
    event.record(&mut probe);
    if !probe.found {
        return with(event);
    }
    let fields = event.metadata().fields();
    let mut copy = Copy {
        rules,
        values: fields.iter().map(|_| None).collect(),
    };
    event.record(&mut copy);
    let values: Vec<_> = copy.values.iter().map(|value| value.as_deref()).collect();
    let values = fields.value_set_all(&values);
    let metadata = event.metadata();
    if event.is_contextual() {
        with(&Event::new(metadata, &values))
    } else {
        with(&Event::new_child_of(event.parent().cloned(), metadata, &values))
    }
}

/// What stands for bytes: they may spell anything.
pub(super) fn bytes_text(bytes: &[u8]) -> String {
    format!("<{} bytes>", bytes.len())
}

/// An error with its sources.
pub(super) fn error_text(error: &(dyn Error + 'static)) -> String {
    let mut text = text(format_args!("{error}"));
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&self::text(format_args!("{error}")));
        source = error.source();
    }
    text
}

/// As `format!`, but a value that cannot be written is no panic.
pub(super) fn text(arguments: fmt::Arguments<'_>) -> String {
    let mut text = String::new();
    match text.write_fmt(arguments) {
        Ok(()) => text,
        Err(fmt::Error) => Withheld::Unformatted.to_string(),
    }
}

struct Probe<'a> {
    rules: &'a FieldRules,
    found: bool,
}

impl Probe<'_> {
    fn look(&mut self, field: &Field) {
        self.found |= self.rules.drops(field.name());
    }
}

impl Visit for Probe<'_> {
    fn record_bytes(&mut self, _: &Field, _: &[u8]) {
        self.found = true;
    }

    fn record_debug(&mut self, field: &Field, _: &dyn Debug) {
        self.look(field);
    }

    fn record_str(&mut self, field: &Field, _: &str) {
        self.look(field);
    }

    fn record_error(&mut self, field: &Field, _: &(dyn Error + 'static)) {
        self.look(field);
    }
}

struct Copy<'a> {
    rules: &'a FieldRules,
    values: Vec<Option<Box<dyn Value>>>,
}

impl Copy<'_> {
    fn keep(&mut self, field: &Field, value: impl FnOnce() -> Box<dyn Value>) {
        let value = if self.rules.drops(field.name()) {
            Box::new(DROPPED)
        } else {
            value()
        };
        if let Some(place) = self.values.get_mut(field.index()) {
            *place = Some(value);
        }
    }
}

impl Visit for Copy<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, || Box::new(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, || Box::new(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, || Box::new(value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.keep(field, || Box::new(value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.keep(field, || Box::new(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, || Box::new(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, || Box::new(value.to_owned()));
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.keep(field, || Box::new(display(bytes_text(value))));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.keep(field, || Box::new(display(error_text(value))));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.keep(field, || Box::new(display(text(format_args!("{value:?}")))));
    }
}
