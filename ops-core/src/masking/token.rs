use std::ops::Range;

use crate::model::PiiType;

/// What stands in place of a masked value, between square brackets: `[EMAIL]`, the pseudonym `[EMAIL:k1:9f86d081…]`, the encrypted
/// value `[EMAIL:sealed:k1:…]`. All of it is ASCII that JSON needs no escape for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: PiiType,
    /// What follows the type and a colon; empty for a placeholder.
    pub(super) rest: &'a str,
}

impl<'a> Token<'a> {
    /// The token that `text` begins with, and its length.
    pub(super) fn read(text: &'a str) -> Option<(Self, usize)> {
        let inside = text.strip_prefix('[')?;
        let length = inside.bytes().take_while(|byte| is_inside(*byte)).count();
        if inside.as_bytes().get(length) != Some(&b']') {
            return None;
        }
        let inside = &inside[..length];
        let (name, rest) = match inside.split_once(':') {
            Some((name, rest)) if is_tag(rest) => (name, rest),
            Some(_) => return None,
            None => (inside, ""),
        };
        let kind = PiiType::ALL.into_iter().find(|kind| kind.as_str() == name)?;
        Some((Self { kind, rest }, length + 2))
    }
}

/// Whether `rest` is what pseudonyms and encrypted values have after their type. Anything else could smuggle a value through.
fn is_tag(rest: &str) -> bool {
    match rest.split(':').collect::<Vec<_>>()[..] {
        ["sealed", id, sealed] => is_key_id(id) && !sealed.is_empty() && sealed.len() % 4 != 1,
        [id, tag] => {
            is_key_id(id)
                && tag.len() == PSEUDONYM
                && tag
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        }
        _ => false,
    }
}

/// How many hexadecimal digits a pseudonym has: 128 bits.
pub(super) const PSEUDONYM: usize = 32;

/// Whether `id` may name a key: 1 to 32 lower-case letters, digits and hyphens, and not `sealed`.
pub(super) fn is_key_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&id.len()) && id.bytes().all(allowed) && id != "sealed"
}

fn is_inside(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-')
}

/// The places of `text` that hold tokens, in order.
pub(super) fn tokens(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut end = 0;
    for at in memchr::memchr_iter(b'[', text.as_bytes()) {
        // Types begin with a capital letter.
        if at >= end
            && text.as_bytes().get(at + 1).is_some_and(u8::is_ascii_uppercase)
            && let Some((_, length)) = Token::read(&text[at..])
        {
            end = at + length;
            found.push(at..end);
        }
    }
    found
}

/// `text` with nothing to read in the places of `masks`: what stands in a mask, perhaps by chance, says nothing about what is beside it.
pub(super) fn blind(text: &str, masks: &[Range<usize>]) -> String {
    let (mut blind, mut done) = (String::with_capacity(text.len()), 0);
    for mask in masks {
        blind.push_str(&text[done..mask.start]);
        blind.push('[');
        let mut stars = mask.len() - 2;
        while stars > STARS.len() {
            blind.push_str(STARS);
            stars -= STARS.len();
        }
        blind.push_str(&STARS[..stars]);
        blind.push(']');
        done = mask.end;
    }
    blind + &text[done..]
}

const STARS: &str = "****************************************************************";

/// What of `range` is no mask yet. Beside a mask, a remainder counts only if it holds something.
pub(super) fn without(text: &str, range: Range<usize>, masked: &[Range<usize>]) -> Vec<Range<usize>> {
    let first = masked.partition_point(|token| token.end <= range.start);
    let tokens = masked[first..].iter().take_while(|token| token.start < range.end);
    let (mut rest, mut at) = (Vec::new(), range.start);
    for token in tokens {
        rest.push(at..token.start.max(at));
        at = token.end;
    }
    if at == range.start {
        return vec![range];
    }
    rest.push(at..range.end.max(at));
    rest.retain(|rest| {
        text[rest.clone()]
            .chars()
            .filter(|c| c.is_alphanumeric())
            .nth(1)
            .is_some()
    });
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_masker_writes_is_a_token() {
        let tag = "0123456789abcdef0123456789abcdef";
        for text in [
            "[EMAIL]",
            "[MY_NUMBER]",
            &format!("[PERSON:k1:{tag}]"),
            "[PHONE:sealed:2026-01:QUJD_-]",
        ] {
            let found = tokens(&format!("a{text}b"));
            assert!(found.len() == 1 && found[0] == (1..1 + text.len()), "{text}");
        }
        for text in [
            "[email]",
            "[EMAIL",
            "[EMAIL:]",
            "[EMAIL:tanaka]",
            "[NAME]",
            "[EMAIL:k1:09012345678]",
            "[EMAIL:sealed:k1:]",
            "[EMAIL:tanaka@example.com]",
            "[EMAIL:K:0123456789abcdef0123456789abcdef]",
        ] {
            assert!(tokens(text).is_empty(), "{text}");
        }
    }
}
