use serde::de::IgnoredAny;

use crate::masking::scrub::{DROPPED, Scrub, Withheld};
use crate::masking::text::Edits;

/// Whether `text` is one whole JSON object or array.
pub(super) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// JSON with its texts, names and long numbers masked; every other byte as it was. `None` if nothing changes.
///
/// Escapes are read before masking, so that `\u0040` hides nothing. The name of a field is a label of its value, and that of a
/// list of each of its values.
pub(super) fn masked(json: &str, scrub: &Scrub) -> Result<Option<String>, Withheld> {
    let mut edits = Edits::default();
    let mut label = String::new();
    let mut at = 0;
    while let Some(byte) = json.as_bytes().get(at) {
        match byte {
            b'"' => {
                let end = string_end(json, at);
                let text: String =
                    serde_json::from_str(&json[at..end]).unwrap_or_else(|_| json[at..end].to_owned());
                let value = json[end..].trim_start();
                let Some(value) = value.strip_prefix(':') else {
                    let masked = scrub.scrub_value(&label, &text)?;
                    if masked != text {
                        edits.replace(at..end, quoted(&masked));
                    }
                    at = end;
                    continue;
                };
                let masked = scrub.scrub(&text)?;
                if masked != text {
                    edits.replace(at..end, quoted(&masked));
                }
                at = end;
                let start = json.len() - value.trim_start().len();
                if scrub.fields.drops(&text) {
                    let end = value_end(json, start);
                    if !matches!(&json[start..end], "null" | "\"\"" | "\"***\"") {
                        edits.replace(start..end, quoted(DROPPED));
                    }
                    at = end;
                }
                label = text;
            }
            b'-' | b'0'..=b'9' => {
                let end = scalar_end(json, at);
                let number = &json[at..end];
                let digits = number.split(['.', 'e', 'E']).next().unwrap_or(number);
                if digits.len() >= SHORTEST_NUMBER {
                    let masked = scrub.scrub_value(&label, digits)?;
                    if masked != digits {
                        edits.replace(at..end, quoted(&masked));
                    }
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    Ok(edits.apply(json))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Behind the closing quote of the string at `start`.
fn string_end(json: &str, start: usize) -> usize {
    let mut escaped = false;
    for (at, byte) in json.bytes().enumerate().skip(start + 1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    json.len()
}

fn scalar_end(json: &str, start: usize) -> usize {
    let scalar = json[start..]
        .bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    start + scalar.count()
}

fn value_end(json: &str, start: usize) -> usize {
    match json.as_bytes().get(start) {
        Some(b'"') => string_end(json, start),
        Some(b'{' | b'[') => {
            let (mut depth, mut at) = (0_usize, start);
            while let Some(byte) = json.as_bytes().get(at) {
                match byte {
                    b'"' => {
                        at = string_end(json, at);
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => {
                        depth = depth.saturating_sub(1);
                        if depth == 0 {
                            return at + 1;
                        }
                    }
                    _ => {}
                }
                at += 1;
            }
            json.len()
        }
        _ => scalar_end(json, start),
    }
}

/// Shorter numbers are counts, years, ports.
const SHORTEST_NUMBER: usize = 9;
