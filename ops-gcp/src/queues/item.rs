//! A vendor's JSON, read by the paths of its fields: each path is one constant, next to where it is read.

use std::time::Duration;

use ops_core::model::Timestamp;
use serde_json::Value;

/// One answer, or one item of a list. What is absent or of another type is `None`.
#[derive(Clone, Debug, Default)]
pub(super) struct Item(Value);

impl Item {
    pub(super) fn new(value: Value) -> Self {
        Self(value)
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.0.pointer(path)?.as_str()
    }

    pub(super) fn flag(&self, path: &str) -> bool {
        self.0.pointer(path).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A number, or 64 bits of one in a string.
    pub(super) fn number(&self, path: &str) -> Option<f64> {
        let value = self.0.pointer(path)?;
        value.as_f64().or_else(|| value.as_str()?.parse().ok())
    }

    pub(super) fn whole(&self, path: &str) -> Option<i64> {
        let value = self.0.pointer(path)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    }

    /// `"3.5s"`
    pub(super) fn duration(&self, path: &str) -> Option<Duration> {
        let seconds = self.text(path)?.strip_suffix('s')?.parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    pub(super) fn time(&self, path: &str) -> Option<Timestamp> {
        self.text(path)?.parse().ok()
    }

    pub(super) fn items(&self, path: &str) -> Vec<Self> {
        let items = self.0.pointer(path).and_then(Value::as_array);
        items.into_iter().flatten().cloned().map(Self).collect()
    }

    pub(super) fn texts(&self, path: &str) -> Vec<String> {
        let items = self.0.pointer(path).and_then(Value::as_array);
        let texts = items.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_durations_are_read_in_each_form_that_the_vendor_has() {
        let item =
            Item::new(json!({"a": "12", "b": 12, "c": 0.5, "d": "3.5s", "e": "-1s", "f": {"g": true}}));
        assert_eq!((item.whole("/a"), item.whole("/b")), (Some(12), Some(12)));
        assert_eq!(item.number("/c"), Some(0.5));
        assert_eq!(item.duration("/d"), Some(Duration::from_millis(3_500)));
        assert_eq!(item.duration("/e"), None);
        assert!(item.flag("/f/g") && !item.flag("/f/h"));
        assert_eq!(item.text("/b"), None);
    }
}
