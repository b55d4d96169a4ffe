//! Lists that come in pages.

use std::fmt::Write as _;

/// The address of the page of `url` that `token` names; the first without one.
pub(crate) fn page_url(url: &str, page_size: u32, token: Option<&str>) -> String {
    let mark = if url.contains('?') { '&' } else { '?' };
    let mut page = format!("{url}{mark}pageSize={page_size}");
    if let Some(token) = token {
        page += "&pageToken=";
        page += &encoded(token);
    }
    page
}

/// Escapes what is not plain: a page token is the vendor's text.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

/// How many pages are read before a list is given up as endless.
pub(crate) const PAGES: u32 = 100;
