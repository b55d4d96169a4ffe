use std::fmt::Write as _;

use crate::masking::scrub::{Scrub, Withheld};

/// A form or the query of a URL (`a=1&b=2`) with its values masked; `None` if nothing changes.
///
/// With `credentials`, values of dropped fields stay: they let the request in.
pub(super) fn masked(form: &str, scrub: &Scrub, credentials: bool) -> Result<Option<String>, Withheld> {
    let mut changed = false;
    let mut parts = Vec::new();
    for part in form.split('&') {
        let (name, value) = part
            .split_once('=')
            .map_or(("", part), |(name, value)| (name, value));
        let (plain_name, plain) = (decoded(name), decoded(value));
        if credentials && scrub.fields.drops(&plain_name) {
            parts.push(part.to_owned());
            continue;
        }
        let masked = scrub.scrub_value(&plain_name, &plain)?;
        let masked_name = scrub.scrub(&plain_name)?;
        if masked == plain && masked_name == plain_name {
            parts.push(part.to_owned());
            continue;
        }
        changed = true;
        let name = if masked_name == plain_name {
            name.to_owned()
        } else {
            encoded(&masked_name)
        };
        let value = if masked == plain {
            value.to_owned()
        } else {
            encoded(&masked)
        };
        parts.push(if part.contains('=') {
            format!("{name}={value}")
        } else {
            value
        });
    }
    Ok(changed.then(|| parts.join("&")))
}

/// `text` with `%40` and `+` read; what is no escape stays.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        let escape = match (byte, behind) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match (byte, escape) {
            (_, Some((high, low))) => {
                bytes.push(high * 16 + low);
                rest = &behind[2..];
            }
            (b'+', None) => bytes.push(b' '),
            (byte, None) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~*".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}
