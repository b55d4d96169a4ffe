use std::net::Ipv6Addr;
use std::ops::Range;

use super::cluster::{Cluster, begins_here};
use super::view::Text;

/// The address of version 4 that the cluster begins with.
pub(super) fn v4(text: &Text<'_>, cluster: &Cluster) -> Option<Range<usize>> {
    let [first, rest @ ..] = cluster.groups() else {
        return None;
    };
    let parts = rest.get(..3)?;
    if parts.iter().any(|part| part.joint != b'.') {
        return None;
    }
    let (start, end) = (first.start, parts[2].end);
    let right = std::iter::once(first)
        .chain(parts)
        .all(|part| is_octet(&text.bytes[part.start..part.end]));
    if !right || !is_alone(text, start, end) || is_version(text, start, end) {
        return None;
    }
    Some(start..end)
}

fn is_octet(digits: &[u8]) -> bool {
    match digits {
        [_] => true,
        [b'1'..=b'9', _] | [b'1', _, _] => true,
        [b'2', second, third] => (*second, *third) <= (b'5', b'5') && *second <= b'5',
        _ => false,
    }
}

fn is_alone(text: &Text<'_>, start: usize, end: usize) -> bool {
    let next = text.get(end);
    let after = text.get(end + 1);
    let ends = match next {
        b'.' => !after.is_ascii_alphanumeric(),
        // A range of addresses, but no `1.2.3.4-rc1`.
        b'-' => after.is_ascii_digit() || !after.is_ascii_alphanumeric(),
        b'_' => false,
        _ => !next.is_ascii_alphanumeric(),
    };
    let begins = match text.before(start) {
        b'-' => start < 2 || !text.bytes[start - 2].is_ascii_alphabetic(),
        b'.' => false,
        b',' => true,
        b'P' | b'p' => begins_here(text, start) || is_named_address(text, start),
        _ => begins_here(text, start),
    };
    begins && ends
}

/// Whether the word `IP` stands by itself in front of an address that touches it: 送信元IP192.0.2.1.
fn is_named_address(text: &Text<'_>, start: usize) -> bool {
    let word = start
        .checked_sub(2)
        .filter(|word| text.bytes[*word..start].eq_ignore_ascii_case(b"ip"));
    word.is_some_and(|word| !text.before(word).is_ascii_alphanumeric())
}

/// Whether a version or a section is counted like this.
fn is_version(text: &Text<'_>, start: usize, end: usize) -> bool {
    if text.before(start) == b'/' {
        let product = start.checked_sub(2).map_or(0, |at| text.get(at));
        let mut word = start - 1;
        while text.before(word).is_ascii_alphabetic() && start - word < 24 {
            word -= 1;
        }
        let word = &text.bytes[word..start - 1];
        if product.is_ascii_alphabetic()
            && (text.ends(end, b".0.0") || PRODUCTS.iter().any(|name| word.eq_ignore_ascii_case(name)))
        {
            return true;
        }
    }
    let before = words_before(text, start);
    let named = is_named(before) || earlier(text, start).is_some_and(is_named);
    named
        || ["節", "章", "項", "版"]
            .iter()
            .any(|unit| text.starts(end, unit.as_bytes()))
}

/// What stands before `start` without signs and particles.
fn words_before<'a>(text: &Text<'a>, start: usize) -> &'a [u8] {
    let from = start.saturating_sub(24);
    let mut before = &text.bytes[from..start];
    while let [rest @ .., b' ' | b':' | b'=' | b'"' | b'\'' | b'v' | b'V' | b'('] = before {
        before = rest;
    }
    for sign in ["：", "は", "が", "を", "の", "第"] {
        before = before.strip_suffix(sign.as_bytes()).unwrap_or(before);
    }
    while let [rest @ .., b' '] = before {
        before = rest;
    }
    before
}

/// What stands before the number that the one at `start` takes the place of: `見出し 3.2.1.4 を 3.2.2.1 に`.
fn earlier<'a>(text: &Text<'a>, start: usize) -> Option<&'a [u8]> {
    let mut at = start;
    while text.before(at) == b' ' && start - at < 2 {
        at -= 1;
    }
    at = ["を", "→"]
        .iter()
        .find(|sign| text.ends(at, sign.as_bytes()))
        .map(|sign| at - sign.len())?;
    while text.before(at) == b' ' && start - at < 6 {
        at -= 1;
    }
    let end = at;
    while (text.before(at).is_ascii_digit() || text.before(at) == b'.') && end - at < 16 {
        at -= 1;
    }
    let dots = text.bytes[at..end].iter().filter(|byte| **byte == b'.').count();
    (dots == 3).then(|| words_before(text, at))
}

/// Whether `before` ends with a word for a version or a section. A short one is a whole word: the end of `server` is none.
#[inline]
fn is_named(before: &[u8]) -> bool {
    // Most words end like none of these.
    let ends = |last: u8| ENDS[usize::from(last >> 6)] >> (last & 63) & 1 == 1;
    before.last().is_some_and(|last| ends(*last)) && is_version_word(before)
}

/// The last bytes of the words for versions, also of capital letters.
static ENDS: [u64; 4] = {
    let (mut ends, mut index) = ([0; 4], 0);
    while index < VERSIONS.len() {
        let word = VERSIONS[index].as_bytes();
        let last = word[word.len() - 1];
        ends[(last >> 6) as usize] |= 1 << (last & 63);
        let capital = last.to_ascii_uppercase();
        ends[(capital >> 6) as usize] |= 1 << (capital & 63);
        index += 1;
    }
    ends
};

fn is_version_word(before: &[u8]) -> bool {
    VERSIONS.iter().any(|name| {
        let Some(head) = before.len().checked_sub(name.len()) else {
            return false;
        };
        let (rest, word) = before.split_at(head);
        let within = name.is_ascii()
            && name.len() < 7
            && rest.last().is_some_and(u8::is_ascii_alphabetic)
            && !(word[0].is_ascii_uppercase() && rest.last().is_some_and(u8::is_ascii_lowercase));
        word.eq_ignore_ascii_case(name.as_bytes()) && !within
    })
}

const PRODUCTS: [&[u8]; 14] = [
    b"chrome",
    b"chromium",
    b"edg",
    b"edge",
    b"opr",
    b"firefox",
    b"safari",
    b"version",
    b"electron",
    b"nginx",
    b"curl",
    b"okhttp",
    b"java",
    b"mozilla",
];

const VERSIONS: [&str; 24] = [
    "version",
    "ver",
    "ver.",
    "build",
    "release",
    "firmware",
    "revision",
    "rev",
    "バージョン",
    "ファームウェア",
    "ビルド",
    "リリース",
    "リビジョン",
    "oid",
    "版",
    "wbs",
    "chapter",
    "section",
    "clause",
    "見出し",
    "見出し番号",
    "セクション",
    "項番",
    "条文",
];

/// The address of version 6 around the colon at `colon`.
#[inline]
pub(super) fn v6(text: &Text<'_>, colon: usize) -> Option<Range<usize>> {
    // Most colons are none of an address: another one must be near.
    let double = text.get(colon + 1) == b':';
    let between = || text.before(colon).is_ascii_hexdigit() && text.get(colon + 1).is_ascii_hexdigit();
    let near = double || (between() && goes_on(text, colon));
    if near { v6_around(text, colon) } else { None }
}

fn v6_around(text: &Text<'_>, colon: usize) -> Option<Range<usize>> {
    let part = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let mut start = colon;
    while part(text.before(start)) && colon - start <= LONGEST {
        start -= 1;
    }
    let mut end = colon + 1;
    while part(text.get(end)) && end - colon <= LONGEST {
        end += 1;
    }
    // The end of a sentence, or the colon of a list.
    while end > colon && text.before(end) == b'.' {
        end -= 1;
    }
    if text.before(end) == b':' && !text.ends(end, b"::") {
        end -= 1;
    }
    // `src:2001:db8::1`: a word before it that a colon ends. Of letters that are also digits, nothing is told apart.
    while matches!(text.get(start), b'.') || (text.get(start) == b':' && text.get(start + 1) != b':') {
        start += 1;
    }
    let before = text.before(start);
    let next = text.get(end);
    if before.is_ascii_alphanumeric()
        || matches!(before, b'_' | b':' | b'.')
        || next.is_ascii_alphanumeric()
        || next == b'_'
    {
        return None;
    }
    let address = text.bytes.get(start..end)?;
    if !is_address(address) || !address.iter().any(u8::is_ascii_digit) {
        return None;
    }
    // A slice of a list, `values[::2]`.
    if before == b'[' && start >= 2 && is_name(text.get(start - 2)) && address.starts_with(b"::") {
        return None;
    }
    Some(start..zone(text, end))
}

/// `[0-9a-f:.]` of the longest address.
const LONGEST: usize = 45;

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b']' | b')')
}

fn is_address(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// Whether at most four hexadecimal digits and one more colon follow, and groups of them before the end.
fn goes_on(text: &Text<'_>, colon: usize) -> bool {
    let mut at = colon + 1;
    let mut colons = 1;
    while colons < 4 {
        let start = at;
        while text.get(at).is_ascii_hexdigit() && at - start < 4 {
            at += 1;
        }
        if text.get(at) != b':' {
            return false;
        }
        if text.get(at + 1) == b':' {
            return true;
        }
        colons += 1;
        at += 1;
    }
    true
}

/// The end of the zone after an address, as in `fe80::1%eth0`.
fn zone(text: &Text<'_>, end: usize) -> usize {
    if text.get(end) != b'%' {
        return end;
    }
    let mut at = end + 1;
    while (text.get(at).is_ascii_alphanumeric() || matches!(text.get(at), b'-' | b'_')) && at - end <= 16 {
        at += 1;
    }
    if at > end + 1 { at } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn four(text: &str) -> Option<&str> {
        let view = Text::plain(text.as_bytes());
        let at = text.find(|c: char| c.is_ascii_digit())?;
        let mut cluster = Cluster::new();
        cluster.read(&view, at);
        v4(&view, &cluster).map(|range| &text[range])
    }

    fn six(text: &str) -> Option<&str> {
        let view = Text::plain(text.as_bytes());
        text.match_indices(':')
            .find_map(|(at, _)| v6(&view, at))
            .map(|range| &text[range])
    }

    #[test]
    fn no_word_for_a_version_is_lost_to_its_last_letter() {
        for word in VERSIONS {
            for word in [word.to_owned(), word.to_uppercase()] {
                assert!(
                    is_version_word(word.as_bytes()) && is_named(word.as_bytes()),
                    "{word}"
                );
            }
        }
    }

    #[test]
    fn addresses_of_version_4() {
        for (text, address) in [
            ("10.0.0.1", "10.0.0.1"),
            ("(192.168.1.255)", "192.168.1.255"),
            ("http://10.1.2.3:8080/", "10.1.2.3"),
            ("10.1.2.0/24", "10.1.2.0"),
            ("peer 127.0.0.1.", "127.0.0.1"),
            ("接続元172.16.0.9から", "172.16.0.9"),
            ("localhost/127.0.0.1:80", "127.0.0.1"),
            ("10.0.0.1-10.0.0.9", "10.0.0.1"),
            ("10.0.0.1,10.0.0.2", "10.0.0.1"),
            ("送信元IP192.168.64.86、遮断", "192.168.64.86"),
            ("ip10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(four(text), Some(address));
        }
        for text in [
            "v1.2.3.4",
            "version 1.2.3.4",
            "バージョン：1.2.3.4",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "1.2.3.400",
            "1.02.3.4",
            "1.2.3.4-rc1",
            "Chrome/120.0.0.0",
            "第1.2.3.4節",
            "lib-1.2.3.4",
            "zip10.0.0.1",
            "TCPIP10.0.0.1",
        ] {
            assert_eq!(four(text), None, "{text}");
        }
    }

    #[test]
    fn addresses_of_version_6() {
        for (text, address) in [
            ("fe80::1", "fe80::1"),
            ("[2001:db8::1]:8080", "2001:db8::1"),
            ("peer 9d9b:9021:a91e::c129 connected", "9d9b:9021:a91e::c129"),
            (
                "71E2:D8FE:A10E:CB05:EF0C:7795:BEF7:DC6C",
                "71E2:D8FE:A10E:CB05:EF0C:7795:BEF7:DC6C",
            ),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
            ("fe80::1%eth0", "fe80::1%eth0"),
            ("from ::1.", "::1"),
            ("user@2001:db8::1", "2001:db8::1"),
        ] {
            assert_eq!(six(text), Some(address));
        }
        for text in [
            "12:34:56",
            "aa:bb:cc:dd:ee:ff",
            "std::cout",
            "a::b",
            "x[::2]",
            "2001::db8::1",
            "1:2:3:4",
            "gggg::1",
            "fe80::1text",
            "::",
            "12345:db8::1",
        ] {
            assert_eq!(six(text), None, "{text}");
        }
    }
}
