use std::ops::Range;

use super::cell::{is_before_prefecture, is_behind_company};
use super::cluster::{Cluster, begins_here, ends_here};
use super::label::{self, Label, Meaning};
use super::number::{goes_on_list, is_corporate_number, is_drivers_license, is_my_number};
use super::phone::Phone;
use super::unit::is_counted;
use super::view::Text;
use super::{card, phone};
use crate::model::PiiType;

type Found = (Range<usize>, PiiType);

/// The value that begins with the first group of `cluster`: a number of a person or a company, a card, a telephone number.
///
/// Numbers of equal length are told apart by check digits and by the label nearest before them.
pub(super) fn find(text: &Text<'_>, cluster: &Cluster) -> Option<Found> {
    let number = Number::read(text, cluster)?;
    let phone = phone::find(text, cluster);
    if phone.is_none() && (number.is_small(text) || number.is_nothing()) {
        return None;
    }
    number.told(text, phone)
}

/// Whether the label says that the value at `at` is the number of a thing.
fn is_veto(label: &Label, at: usize) -> bool {
    label.meaning == Meaning::Other && (label.is_key || label.reaches(at))
}

/// How many letters are before an underscore at most: `staff_1234` may be a number of a person, longer ones are names of things.
const UNDERSCORED: usize = 5;

struct Number<'a> {
    cluster: &'a Cluster,
    /// With the letters before the digits, as in `EMP-1234` and `EMP_1234`.
    start: usize,
    /// How many letters.
    letters: usize,
    /// How many groups hyphens join to one.
    joined: usize,
    /// Whether a number may begin there.
    begins: bool,
}

impl<'a> Number<'a> {
    fn read(text: &Text<'_>, cluster: &'a Cluster) -> Option<Self> {
        let first = cluster.groups().first()?;
        let mut start = first.start;
        let underscored = text.before(start) == b'_';
        if (underscored || text.before(start) == b'-')
            && start >= 2
            && text.get(start - 2).is_ascii_alphabetic()
        {
            start -= 1;
        }
        let letters = text.bytes[..start]
            .iter()
            .rev()
            .take(9)
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        start -= letters;
        if letters > 8 || (underscored && letters > UNDERSCORED) {
            return None;
        }
        let joined = cluster.groups()[1..]
            .iter()
            .take_while(|group| group.joint == b'-')
            .count()
            + 1;
        Some(Self {
            cluster,
            start,
            letters,
            joined,
            begins: begins_here(text, start),
        })
    }

    /// Whether it is one of the many numbers of a text that nothing is about: short, or with a unit.
    fn is_small(&self, text: &Text<'_>) -> bool {
        let groups = self.cluster.groups();
        let first = &groups[0];
        if groups.len() == 1 && self.letters == 0 {
            let length = first.len();
            if length < 3 || !ends_here(text, first.end) && !text.get(first.end).is_ascii_alphabetic() {
                return true;
            }
            // A word and a space before three digits is no label that ends with a sign.
            if length == 3
                && text.before(self.start) == b' '
                && text.get(self.start.saturating_sub(2)).is_ascii_alphanumeric()
            {
                return true;
            }
            return text.get(first.end).is_ascii_alphabetic() || (length < 10 && is_counted(text, first.end));
        }
        false
    }

    /// Whether no label could make a value of it that is no telephone number: it begins within a word or a longer number, or its first group
    /// ends at a dot between digits, as in a version.
    fn is_nothing(&self) -> bool {
        let dotted = self
            .cluster
            .groups()
            .get(1)
            .is_some_and(|group| group.joint == b'.');
        dotted || !self.begins
    }

    /// What the label before it, or its own form, says that it is.
    fn told(&self, text: &Text<'_>, phone: Option<Phone>) -> Option<Found> {
        let end = self.cluster.groups()[self.joined - 1].end;
        let label = label::nearest(text, self.start).or_else(|| label::in_brackets(text, end, self.start));
        if let Some(label) = &label
            && let Some(found) = self.labelled(text, label, phone.as_ref())
        {
            return Some(self.card_over(text, &found).unwrap_or(found));
        }
        let Some(phone) = phone else {
            return self.unlabelled(text, label.as_ref());
        };
        let first = self.unlabelled(text, label.as_ref());
        let veto = label.is_some_and(|label| {
            // A country says that it is one.
            text.get(phone.range.start) != b'+'
                && is_veto(&label, phone.range.start)
                && (phone.is_bare || label.is_near(phone.range.start) || label.is_key)
        });
        first.or_else(|| (!phone.is_bare && !veto).then_some((phone.range, PiiType::Phone)))
    }

    /// The card that `found` would hide the front of only, as a telephone number or what else a label announces.
    fn card_over(&self, text: &Text<'_>, found: &Found) -> Option<Found> {
        let right = self.begins && self.letters == 0 && found.1 != PiiType::ApiKey;
        let end = card::end(text, self.cluster, false).filter(|end| right && *end > found.0.end)?;
        Some((self.start..end, PiiType::CreditCard))
    }

    fn range(&self, count: usize) -> Range<usize> {
        self.start..self.cluster.groups()[count - 1].end
    }

    /// The digits alone, without letters before them.
    fn digits(&self, count: usize) -> Range<usize> {
        self.cluster.groups()[0].start..self.cluster.groups()[count - 1].end
    }

    /// How many groups a number of twelve digits takes that is written in a usual way.
    fn twelve(&self, text: &Text<'_>) -> Option<usize> {
        let shapes: [&[usize]; 5] = [&[12], &[4, 4, 4], &[2, 2, 6, 2], &[6, 6], &[3, 3, 3, 3]];
        self.shape(text, &shapes)
    }

    fn shape(&self, text: &Text<'_>, shapes: &[&[usize]]) -> Option<usize> {
        shapes
            .iter()
            .find(|shape| self.is_shaped(shape) && self.cluster.ends(text, shape.len()))
            .map(|shape| shape.len())
    }

    fn is_shaped(&self, shape: &[usize]) -> bool {
        match shape {
            [length] => self.cluster.groups()[0].len() == *length,
            _ => self.cluster.is_shaped(shape),
        }
    }

    fn labelled(&self, text: &Text<'_>, label: &Label, phone: Option<&Phone>) -> Option<Found> {
        let at = self.start;
        let near = label.is_key || label.is_near(at);
        let reaches = near || label.reaches(at);
        match label.meaning {
            Meaning::MyNumber if self.letters == 0 && self.begins => {
                let count = self.twelve(text)?;
                (near || is_my_number(self.cluster.digits(count)))
                    .then(|| (self.digits(count), PiiType::MyNumber))
            }
            Meaning::Licence if self.letters == 0 && self.begins => {
                let count = self.twelve(text)?;
                (reaches || is_drivers_license(self.cluster.digits(count)))
                    .then(|| (self.digits(count), PiiType::DriversLicense))
            }
            Meaning::Corporate => self.corporate(text),
            Meaning::Passport => self.passport(text, near),
            Meaning::Card if self.begins && self.letters == 0 => {
                card::end(text, self.cluster, true).map(|end| (at..end, PiiType::CreditCard))
            }
            Meaning::Health if reaches && (near || phone.is_none()) => self.health(text),
            Meaning::Bank if reaches => self.bank(text, near),
            // 口座番号が1234567から2345678に
            Meaning::Bank
                if at - label.end <= 40
                    && !label.clause_between
                    && (text.ends(at, "から".as_bytes()) || text.ends(at, "→".as_bytes())) =>
            {
                self.bank(text, false)
            }
            Meaning::Symbol => self.symbol(text, label),
            Meaning::Employee if reaches => self.employee(text, near),
            Meaning::Employee if label.digits_between && phone.is_none() && goes_on_list(text, at) => {
                self.employee(text, true)
            }
            Meaning::Postal => self.postal(text, label, near),
            Meaning::Secret if near && !is_length(text, label.end) => self.secret_or_longer(text, phone),
            Meaning::Phone if reaches => self.phone(text, near, phone),
            _ => None,
        }
    }

    fn corporate(&self, text: &Text<'_>) -> Option<Found> {
        let invoice = self.letters == 1 && text.get(self.start) == b'T';
        if !(self.letters == 0 || invoice) || !self.begins {
            return None;
        }
        let count = self.shape(text, &[&[13], &[1, 4, 4, 4], &[1, 12]])?;
        is_corporate_number(self.cluster.digits(count))
            .then(|| (self.digits(count), PiiType::CorporateNumber))
    }

    /// Two letters and seven digits in Japan; elsewhere one and eight, or nine digits.
    fn passport(&self, text: &Text<'_>, near: bool) -> Option<Found> {
        let length = self.cluster.groups()[0].len();
        let own = self.letters == 2 && length == 7;
        let foreign = near && matches!((self.letters, length), (0, 9) | (1, 7 | 8) | (2, 6));
        ((own || foreign) && self.begins && self.cluster.ends(text, 1))
            .then(|| (self.range(1), PiiType::Passport))
    }

    fn health(&self, text: &Text<'_>) -> Option<Found> {
        let total = self.cluster.digits(self.joined).len();
        let right = self.letters == 0
            && matches!(total, 2..=14)
            && self.begins
            && self.cluster.ends(text, self.joined)
            && !is_counted(text, self.cluster.groups()[self.joined - 1].end);
        right.then(|| {
            let range = self.digits(self.joined);
            (
                range.start..second_half(text, range.end),
                PiiType::HealthInsurance,
            )
        })
    }

    fn bank(&self, text: &Text<'_>, near: bool) -> Option<Found> {
        if self.letters != 0 || !self.begins {
            return None;
        }
        let groups = self.cluster.groups();
        // The symbol and number of the post bank, or the number of the branch and the account.
        let count = match groups {
            [first, second, third, ..]
                if self.joined >= 3 && (first.len(), second.len()) == (5, 1) && third.len() >= 6 =>
            {
                3
            }
            [first, second, ..]
                if self.joined >= 2 && matches!(first.len(), 3..=5) && matches!(second.len(), 6..=8) =>
            {
                2
            }
            _ => 1,
        };
        let length = groups[0].len();
        let plausible = count > 1 || matches!(length, 6..=8) || (near && matches!(length, 5..=14));
        let end = groups[count - 1].end;
        (plausible && self.cluster.ends(text, count) && !is_counted(text, end))
            .then(|| (self.digits(count), PiiType::BankAccount))
    }

    /// After 記号, whose number it is stands before; if nowhere, health insurance cards are meant.
    fn symbol(&self, text: &Text<'_>, label: &Label) -> Option<Found> {
        let between = &text.bytes[label.end..self.start];
        let number = "番号".as_bytes();
        let second = memchr::memmem::find(between, number).is_some();
        // 記号 8245、番号 669177
        let near =
            memchr::memmem::rfind(between, number).is_some_and(|at| between.len() - at - number.len() <= 6);
        if label.clause_between && !near || self.start - label.end > 40 || (label.digits_between && !second) {
            return None;
        }
        let owner = label::before(text, label).map(|label| label.meaning);
        let follows = text.bytes[self.start..]
            .iter()
            .take(40)
            .position(|byte| *byte == b'\n')
            .unwrap_or(40);
        let ahead = &text.bytes[self.start..text.bytes.len().min(self.start + follows)];
        match owner {
            Some(Meaning::Bank) => self.bank(text, true),
            Some(Meaning::Health) => self.health(text),
            _ if second || memchr::memmem::find(ahead, "番号".as_bytes()).is_some() => self.health(text),
            _ => None,
        }
    }

    /// Letters, a hyphen, digits, or two groups of digits.
    fn employee(&self, text: &Text<'_>, near: bool) -> Option<Found> {
        let underscored = self.letters > 0 && text.get(self.start + self.letters) == b'_';
        if !self.begins || (!near && (self.letters == 0 || underscored)) {
            return None;
        }
        let mut end = self.cluster.groups()[self.joined - 1].end;
        while text.get(end).is_ascii_alphanumeric() && end - self.start < 24 {
            end += 1;
        }
        let digits = self.cluster.digits(self.joined).len();
        let right = matches!(digits, 2..=12)
            && (digits >= 3 || self.letters > 0)
            && ends_here(text, end)
            && !(self.letters == 0 && is_counted(text, end));
        right.then_some((self.start..end, PiiType::EmployeeId))
    }

    fn postal(&self, text: &Text<'_>, label: &Label, near: bool) -> Option<Found> {
        // 〒の欄に 100-0001: with a hyphen the form is sure enough.
        let mailed = !near
            && label.reaches(self.start)
            && text.bytes[label.start..label.end] == *"〒".as_bytes()
            && self.joined > 1;
        if self.letters != 0 || !self.begins || !(near || mailed) {
            return None;
        }
        let word = &text.bytes[label.start..label.end];
        let address = [
            &b"address"[..],
            "住所".as_bytes(),
            "所在地".as_bytes(),
            "先".as_bytes(),
            "本籍".as_bytes(),
            "居所".as_bytes(),
        ]
        .iter()
        .any(|name| word.len() >= name.len() && word[word.len() - name.len()..].eq_ignore_ascii_case(name));
        let shapes: &[&[usize]] = if address {
            &[&[3, 4]]
        } else {
            &[&[3, 4], &[7], &[5, 4], &[5]]
        };
        let count = self.shape(text, shapes)?;
        Some((self.digits(count), PiiType::PostalCode))
    }

    /// Whether it is the name of a file or of a year's data rather than a number of a person: `EMP_001.csv`, `emp_2024`.
    fn is_file(&self, text: &Text<'_>) -> bool {
        let group = &self.cluster.groups()[0];
        let digits = &text.bytes[group.start..group.end];
        let file =
            digits.len() < 4 && text.get(group.end) == b'.' && text.get(group.end + 1).is_ascii_lowercase();
        let small = text.get(self.start).is_ascii_lowercase();
        let year = small && digits.len() == 4 && (digits.starts_with(b"19") || digits.starts_with(b"20"));
        text.before(group.start) == b'_' && (file || year)
    }

    /// Whether the number of a company stands behind its name in a table. Numbers of goods of Japan begin with 45 and 49.
    fn is_of_company(&self, text: &Text<'_>) -> bool {
        let group = &self.cluster.groups()[0];
        let goods = matches!(text.bytes[group.start..group.end], [b'4', b'5' | b'9', ..]);
        group.len() == 13 && !goods && is_behind_company(text, self.start)
    }

    /// What its form gives away, which may be longer than its first group, before a code.
    fn secret_or_longer(&self, text: &Text<'_>, phone: Option<&Phone>) -> Option<Found> {
        let sure = || phone.filter(|phone| !phone.is_bare);
        self.by_form(text, None)
            .or_else(|| sure().map(|phone| (phone.range.clone(), PiiType::Phone)))
            .or_else(|| self.secret(text))
    }

    /// A code of digits; what has letters too is found from the field.
    fn secret(&self, text: &Text<'_>) -> Option<Found> {
        let length = self.cluster.groups()[0].len();
        let right = self.letters == 0
            && matches!(length, 3..=8)
            && self.begins
            && self.cluster.ends(text, 1)
            && !is_counted(text, self.cluster.groups()[0].end);
        right.then(|| (self.digits(1), PiiType::ApiKey))
    }

    fn phone(&self, text: &Text<'_>, near: bool, phone: Option<&Phone>) -> Option<Found> {
        if let Some(phone) = phone {
            return Some((phone.range.clone(), PiiType::Phone));
        }
        // Without an area code, only right after the label.
        let local = near && self.letters == 0 && self.begins;
        let count = local.then(|| self.shape(text, &[&[4, 4]]))??;
        Some((self.digits(count), PiiType::Phone))
    }

    #[inline]
    fn unlabelled(&self, text: &Text<'_>, label: Option<&Label>) -> Option<Found> {
        // One group of digits has the length of a postal code, of a corporate number or of a card, or is nothing.
        let is_nothing = match self.cluster.groups() {
            [one] => self.letters == 0 && !matches!(one.len(), 7 | 13..),
            _ => false,
        };
        if is_nothing {
            None
        } else {
            self.by_form(text, label)
        }
    }

    /// As [`unlabelled`](Self::unlabelled), by the rules one after another.
    fn by_form(&self, text: &Text<'_>, label: Option<&Label>) -> Option<Found> {
        if !self.begins {
            return None;
        }
        let veto = label.is_some_and(|label| is_veto(label, self.start));
        if self.letters == 0 {
            if !veto
                && (names_companies(text, self.cluster.groups()[0].end) || self.is_of_company(text))
                && let Some(found) = self.corporate(text)
            {
                return Some(found);
            }
            if !veto && let Some(end) = card::end(text, self.cluster, false) {
                return Some((self.start..end, PiiType::CreditCard));
            }
            if !veto
                && let Some(count) = self.shape(text, &[&[4, 4, 4]])
                && is_my_number(self.cluster.digits(count))
            {
                return Some((self.digits(count), PiiType::MyNumber));
            }
            if let Some(count) = self.shape(text, &[&[3, 4], &[7]])
                && is_before_prefecture(text, self.cluster.groups()[count - 1].end, count > 1)
            {
                return Some((self.digits(count), PiiType::PostalCode));
            }
            return None;
        }
        if !veto && self.letters == 1 && text.get(self.start) == b'T' {
            return self.corporate(text);
        }
        let letters = &text.bytes[self.start..self.start + self.letters];
        let small = letters == b"emp" && matches!(text.get(self.start + 3), b'-' | b'_');
        ((letters == b"EMP" || small)
            && !self.is_file(text)
            && matches!(self.cluster.groups()[0].len(), 3..=8)
            && self.cluster.ends(text, 1))
        .then(|| (self.range(1), PiiType::EmployeeId))
    }
}

/// The end of 記号・番号 in one, whose first half ends at `end`: `3696・57643`.
fn second_half(text: &Text<'_>, end: usize) -> usize {
    let joint = "・";
    if !text.starts(end, joint.as_bytes()) {
        return end;
    }
    let from = end + joint.len();
    let mut to = from;
    while text.get(to).is_ascii_digit() && to - from < 9 {
        to += 1;
    }
    if to > from && to - from < 9 && ends_here(text, to) {
        to
    } else {
        end
    }
}

/// Whether a label goes on as `MAX_PASSWORD_LEN` does, which says how long something is.
fn is_length(text: &Text<'_>, end: usize) -> bool {
    let signs = usize::from(matches!(text.get(end), b' ' | b'_' | b'-'));
    let word = text.bytes.get(end + signs..end + signs + 3);
    word.is_some_and(|word| word.eq_ignore_ascii_case(b"len"))
}

/// Whether 法人番号 follows soon: 1234567890123は法人番号です.
fn names_companies(text: &Text<'_>, end: usize) -> bool {
    if text.get(end) < 0x80 {
        return false;
    }
    let behind = &text.bytes[end..text.bytes.len().min(end + 24)];
    let behind = memchr::memchr(b'\n', behind).map_or(behind, |end| &behind[..end]);
    memchr::memmem::find(behind, "法人番号".as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::texts;
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 8_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_nothing_is_nothing_after_any_label(
            label in texts(),
            number in prop::collection::vec("[-. ()A-Z]?[0-9]{1,13}|4111111111111111|7000012050002", 1..5),
            unit in prop::sample::select(vec!["", "", "東京都", "は法人番号", "（法人番号）"]),
            after in texts(),
        ) {
            let text = [label, number.concat(), unit.to_owned(), after].concat();
            let view = Text::plain(text.as_bytes());
            let mut cluster = Cluster::new();
            for at in (0..text.len()).filter(|at| view.get(*at).is_ascii_digit()) {
                cluster.read(&view, at);
                if let Some(number) = Number::read(&view, &cluster)
                    && number.is_nothing()
                {
                    prop_assert_eq!(number.told(&view, None), None, "{} at {}", text, at);
                }
                if let Some(number) = Number::read(&view, &cluster) {
                    let (found, told) = (number.unlabelled(&view, None), number.by_form(&view, None));
                    prop_assert_eq!(found, told, "{} at {}", text, at);
                }
            }
        }
    }
}
