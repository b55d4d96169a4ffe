//! Values whose form gives them away: numbers, mail addresses, network addresses, keys.
//!
//! One pass marks the few bytes at which such a value can be recognised ([`marks`]); from there a verifier looks left and right,
//! a bounded distance and never past the line. Lines with escapes or full width letters are read through a [`view`].

mod after_word;
mod card;
mod cell;
mod cluster;
mod command;
mod cookie;
mod email;
mod identity;
mod ip;
mod kana;
mod key;
mod label;
mod label_index;
mod label_table;
mod marks;
mod number;
mod pair;
mod phone;
mod planes;
mod scheme;
mod unit;
mod value;
mod vendor;
mod view;
mod when;

use std::cell::RefCell;
use std::ops::Range;

use self::cluster::Cluster;
use self::marks::{LONG, Marks, STEP};
pub(super) use self::marks::{Stretch, portable};
#[cfg(target_arch = "x86_64")]
pub(super) use self::marks::{wide, widest};
use self::view::{Strings, Text, View};
use super::pem;
use super::vector::{self, Windows};
use crate::model::{PiiSpan, PiiType};

/// Appends what is found in `text`, whose windows these are, in any order. Gives whether two hyphens stand in a row anywhere, as at the beginning of a private key.
pub(super) fn find(text: &str, windows: Windows<'_>, found: &mut Vec<PiiSpan>) -> bool {
    Search::new(Text::plain(text.as_bytes()), found).run(windows, found)
}

thread_local! {
    /// Where lines with escapes are read, kept so that a clean one allocates nothing.
    static VIEW: RefCell<View> = RefCell::default();
}

struct Search<'a> {
    text: Text<'a>,
    /// How many spans were there before.
    base: usize,
    /// The number that is looked at.
    cluster: Cluster,
    /// Where texts in quotes are.
    strings: Strings,
    /// The end of the last secret cookie: no header with cookies begins in one.
    cookie: usize,
}

/// What follows a mark.
enum Next {
    /// The next mark.
    Mark,
    /// The first mark from here.
    From(usize),
    /// The line holds escapes: all of it is to be read through a view.
    Veiled,
}

impl<'a> Search<'a> {
    fn new(text: Text<'a>, found: &[PiiSpan]) -> Self {
        Self {
            text,
            base: found.len(),
            cluster: Cluster::new(),
            strings: Strings::default(),
            cookie: 0,
        }
    }

    /// Looks at all of the text; whether two hyphens stand in a row anywhere.
    fn run(mut self, windows: Windows<'_>, found: &mut Vec<PiiSpan>) -> bool {
        let mut stretch = Stretch::default();
        let (mut at, mut done, mut dashes) = (0, 0, 0);
        while at < windows.length() {
            let count = vector::structured(windows, at, &mut stretch);
            for marks in &stretch[..count] {
                dashes |= marks.dashes;
                done = self.step(*marks, at, done, found);
                at += STEP;
            }
        }
        dashes != 0
    }

    /// Looks at the marks of the step at `at` that are not before `done`; gives up to where the text is done.
    #[inline]
    fn step(&mut self, marked: Marks, at: usize, mut done: usize, found: &mut Vec<PiiSpan>) -> usize {
        let Marks {
            number, long, sign, ..
        } = marked;
        let mut marks = marked.all();
        if marks == 0 {
            return done;
        }
        marks &= after(done, at);
        while marks != 0 {
            let bit = marks.trailing_zeros();
            let place = at + bit as usize;
            marks &= marks - 1;
            let mut step = Next::Mark;
            if long >> bit & 1 == 1 {
                step = self.word(place, found);
            }
            if matches!(step, Next::Mark) && number >> bit & 1 == 1 {
                step = self.number(place, found);
            } else if matches!(step, Next::Mark) && sign >> bit & 1 == 1 {
                step = self.sign(place, found);
            }
            done = match step {
                Next::Mark => continue,
                Next::From(end) => end.max(done),
                Next::Veiled => self.veiled_line(place, found),
            };
            marks &= after(done, at);
        }
        done
    }

    /// A long run of letters, digits, `_` and `-` begins at `at`.
    fn word(&self, at: usize, found: &mut Vec<PiiSpan>) -> Next {
        // What stands before a dot may be the beginning of a key. No key begins like a UUID.
        if self.text.before(at) != b'.' && key::is_uuid(&self.text.bytes[at..]) {
            return Next::From(at + key::UUID);
        }
        let mut end = at + LONG;
        while matches!(self.text.get(end), b'_' | b'-') || self.text.get(end).is_ascii_alphanumeric() {
            end += 1;
        }
        if let Some(range) = key::token(&self.text, at..end) {
            return self.push(range, PiiType::ApiKey, found);
        }
        let word = &self.text.bytes[at..end];
        // No number is within a UUID or a hash; a mail address may go on after one.
        let is_hash = word.len() >= 32
            && word.iter().all(u8::is_ascii_hexdigit)
            && !word.iter().all(u8::is_ascii_digit);
        if key::is_identifier(word) || is_hash {
            Next::From(end)
        } else {
            Next::Mark
        }
    }

    fn number(&mut self, at: usize, found: &mut Vec<PiiSpan>) -> Next {
        if let Some(end) = when::end(&self.text, at) {
            return Next::From(end);
        }
        if self.is_idle(at) {
            return Next::Mark;
        }
        self.cluster.read(&self.text, at);
        let cluster = &self.cluster;
        let groups = cluster.groups();
        let Some(first) = groups.first() else {
            return Next::Mark;
        };
        if self.text.is_plain()
            && groups
                .iter()
                .any(|group| cluster::is_wide_joint(self.text.bytes, group.end))
        {
            return Next::Veiled;
        }
        if let Some(second) = groups.get(1)
            && second.joint == b'.'
            && first.len() <= 3
            && let Some(range) = ip::v4(&self.text, cluster)
        {
            return self.push(range, PiiType::Ip, found);
        }
        match identity::find(&self.text, cluster) {
            Some((range, kind)) => self.push(range, kind, found),
            None => self.behind_dots(),
        }
    }

    /// After a number of groups with dots between them that is nothing: no short group between two dots begins a value.
    fn behind_dots(&self) -> Next {
        let groups = self.cluster.groups();
        let dotted = groups
            .iter()
            .skip(1)
            .take_while(|group| group.joint == b'.')
            .count();
        match groups.get(1..dotted) {
            Some(between) if !between.is_empty() && between.iter().all(|group| group.len() <= 3) => {
                Next::From(groups[dotted].start)
            }
            _ => Next::Mark,
        }
    }

    /// Whether the digits at `at` are one of the many small numbers of a text: few, or with a unit, and without a label.
    fn is_idle(&self, at: usize) -> bool {
        let text = &self.text;
        let mut end = at + 1;
        while text.get(end).is_ascii_digit() && end - at < 8 {
            end += 1;
        }
        let (before, next) = (text.before(at), text.get(end));
        let alone = match next {
            b'-' | b'.' | b'(' | b')' | b' ' => {
                !matches!(text.get(end + 1), b'0'..=b'9' | b'(' | b' ' | b'-')
            }
            0x80.. | b'0'..=b'9' => false,
            _ => true,
        };
        if !alone || before.is_ascii_alphabetic() || matches!(before, b'-' | b'+' | b'(' | 0x80..) {
            return false;
        }
        if next.is_ascii_alphabetic() {
            return next != b'x';
        }
        // Of a label before three digits a sign or another script is left.
        end - at < 3
            || (end - at == 3 && before == b' ' && at >= 2 && text.get(at - 2).is_ascii_alphanumeric())
    }

    fn sign(&mut self, at: usize, found: &mut Vec<PiiSpan>) -> Next {
        let text = &self.text;
        if text.is_plain() && view::is_veiled(text.bytes, at) {
            return Next::Veiled;
        }
        let secret = match text.get(at) {
            b'@' => match email::find(text, at) {
                Some((range, kind)) => return self.push(range, kind, found),
                None => return Next::Mark,
            },
            b':' => match ip::v6(text, at) {
                Some(range) => return self.push(range, PiiType::Ip, found),
                None => key::field(text, at, 1),
            },
            b'=' => key::field(text, at, 1),
            // ：and ＝
            0xef if text.starts(at, "：".as_bytes()) || text.starts(at, "＝".as_bytes()) => {
                key::field(text, at, 3)
            }
            b'-' if text.get(at + 1) == b'-' => {
                pem::in_line(text.bytes, at).or_else(|| command::long_option(text, at))
            }
            b'-' => command::password(text, at),
            b's' | b'S' | 0x83 => after_word::find(text, at),
            _ => None,
        };
        let Some(range) = secret else {
            let width = if text.get(at) == 0xef { 3 } else { 1 };
            if let Some(name) = kana::name(text, at, width) {
                return self.push(name, PiiType::Person, found);
            }
            self.headers(at, found);
            return Next::Mark;
        };
        let range = if text.get(at) == b'-' && text.get(at + 1) == b'-' {
            range
        } else {
            value::whole(text, range)
        };
        // Where a value within quotes meets an escape, only the view tells where it ends.
        if text.is_plain()
            && let Some(escape) = memchr::memchr(b'\\', &text.bytes[range.clone()])
            && (escape == 0 || self.strings.covers(text.bytes, range.start))
        {
            let end = self.veiled_line(at, found);
            // Of `Xy\u3042z9` the view sees too little to find it.
            let behind = &text.bytes[range.start + escape..range.end];
            let seen = |span: &PiiSpan| span.start <= range.start && range.start < span.end;
            let line = memchr::memrchr(b'\n', &text.bytes[..at]).map_or(0, |end| end + 1);
            let mut of_line = found[self.base..]
                .iter()
                .rev()
                .take_while(|span| span.start >= line);
            if escape > 0
                && !of_line.any(seen)
                && !value::is_placeholder(&text.bytes[range.start..range.start + escape])
                && !value::is_field_behind_break(behind, text.get(range.end))
            {
                self.push(range, PiiType::ApiKey, found);
            }
            return Next::From(end);
        }
        if pair::is_first_element(text, &range) {
            return self.elements(range, found);
        }
        // What stands between the option and its password is looked at, too.
        let apart = text.get(at) == b'-' && range.start > at + 2;
        let is_number = text.bytes[range.clone()]
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'(' | b')'));
        let number = self.number_at_end(&range);
        let next = self.push(range, PiiType::ApiKey, found);
        // `+81-90 1234 5678`: a number may go on behind the space, and of two that begin together the longer counts.
        match number {
            _ if is_number || apart => Next::Mark,
            Some(start) => Next::From(start),
            None => next,
        }
    }

    /// The elements of a list of secrets, of which the first is `range`.
    fn elements(&self, range: Range<usize>, found: &mut Vec<PiiSpan>) -> Next {
        let mut range = range;
        while let Some(next) = pair::next_element(&self.text, &range) {
            // Only the view tells where such a one ends.
            if self.text.is_plain() && self.text.bytes[next.clone()].contains(&b'\\') {
                return Next::Veiled;
            }
            self.push(range, PiiType::ApiKey, found);
            range = next;
        }
        self.push(range, PiiType::ApiKey, found)
    }

    /// Where the digits begin that end a secret, if a number may go on behind it: `hunter2&5555 5555 5555 4444`.
    fn number_at_end(&self, range: &Range<usize>) -> Option<usize> {
        let text = &self.text;
        let goes_on = matches!(text.get(range.end), b' ' | b'-' | b'(' | b')')
            && text.get(range.end + 1).is_ascii_digit();
        let digits = text.bytes[range.clone()]
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        (goes_on && digits > 0).then(|| range.end - digits)
    }

    /// The sign at `at` may be that of a header with cookies or a signature. What stands in front of the secrets among them is looked at all the same.
    fn headers(&mut self, at: usize, found: &mut Vec<PiiSpan>) {
        let text = &self.text;
        if text.get(at) == b':'
            && scheme::ends_header(text, at)
            && let Some(range) = scheme::signature(text, at + 1)
        {
            self.push(range, PiiType::ApiKey, found);
        }
        if matches!(text.get(at), b':' | b'=') && at >= self.cookie && cookie::ends_header(text, at) {
            let mut end = self.cookie;
            cookie::secrets(text, at + 1, |range| {
                end = range.end;
                self.push(range, PiiType::ApiKey, found);
            });
            self.cookie = end;
        }
    }

    fn push(&self, range: Range<usize>, kind: PiiType, found: &mut Vec<PiiSpan>) -> Next {
        let end = range.end;
        let given = self.text.given(range);
        found.push(PiiSpan::new(given.start, given.end, kind));
        Next::From(end)
    }

    /// Reads the line around `at` through a view, and gives its end.
    fn veiled_line(&self, at: usize, found: &mut Vec<PiiSpan>) -> usize {
        let bytes = self.text.bytes;
        let start = memchr::memrchr(b'\n', &bytes[..at]).map_or(0, |end| end + 1);
        let end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |length| at + length);
        while found.len() > self.base && found.last().is_some_and(|span| span.start >= start) {
            found.pop();
        }
        VIEW.with_borrow_mut(|view| {
            let text = view.read(&bytes[start..end], start);
            Search::new(text, found).run(Windows::of(text.bytes), found);
            view.clear();
        });
        end
    }
}

/// The marks of the step at `at` that are not before `done`.
#[inline]
fn after(done: usize, at: usize) -> u64 {
    match done.saturating_sub(at) {
        0 => u64::MAX,
        passed if passed < STEP => u64::MAX << passed,
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
