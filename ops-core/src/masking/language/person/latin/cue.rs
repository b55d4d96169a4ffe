//! Words in front of a name, and the name behind them: `Mr.`, `Dear`, `from`.

use super::super::super::lexicon::Entry;
use super::super::super::scan::Scan;
use super::super::words::{Word, read};
use super::bare::{bare, is_brand, is_no_name, is_organisation};
use super::honorific::is_addressed;

/// What a word in front of a name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cue {
    /// `Mr.`: a name, whatever it looks like.
    Title,
    /// `Dear`: a name of one word or more.
    Greeting,
    /// `from`: perhaps a name.
    Preposition,
    /// `Officer`: a name that is known.
    Rank,
    /// `I'm`: one's own name, in full or the given name alone.
    Introduction,
}

pub(super) fn cue(entry: Entry) -> Option<Cue> {
    if !entry.is(Entry::CUE) {
        None
    } else if entry.is(Entry::TITLE) {
        Some(Cue::Title)
    } else if entry.is(Entry::GREETING) {
        Some(Cue::Greeting)
    } else {
        Some(Cue::Preposition)
    }
}

/// Words behind which a name stands.
pub(in super::super::super) const TITLES: &str = "mr mrs ms dr prof mx professor attn capt sgt mme";

/// Words behind which a name of one word or more stands.
pub(in super::super::super) const GREETINGS: &str =
    "dear hi hello hey regards sincerely thanks attention madam contact";

/// Words behind which a name may stand.
pub(in super::super::super) const PREPOSITIONS: &str = "from by to with for cc via customer employee patient manager user named called client and name is \
    met ask asked told emailed reminded invited thanked informed messaged tell notify assigned engineer director colleague applicant candidate recipient doctor nurse \
    author owner member that when said please between guest passenger tenant agent new former our the";

/// What a word in front of a name tells that is looked at by itself: `Officer`; `name is`, `I am`.
pub(super) fn own_cue(bytes: &[u8], start: usize, word: &[u8]) -> Option<Cue> {
    match word {
        b"Miss" | b"Sir" | b"Officer" | b"Judge" | b"Senator" | b"Coach" | b"Captain" | b"Sergeant"
        | b"Nurse" | b"Cheers" | b"Ping" | b"ping" | b"morning" | b"afternoon" | b"evening" => {
            Some(Cue::Rank)
        }
        b"is" if is_name_of_person(&bytes[..start]) => Some(Cue::Introduction),
        b"is" if bytes[..start].ends_with(b"This ") => Some(Cue::Introduction),
        b"am" if bytes[..start].ends_with(b"I ") => Some(Cue::Introduction),
        _ => None,
    }
}

/// Whether `before` ends with the word name, and not that of a thing: `hostname`, `the brand name`.
fn is_name_of_person(before: &[u8]) -> bool {
    const THINGS: [&[u8]; 22] = [
        b"brand",
        b"product",
        b"project",
        b"company",
        b"file",
        b"host",
        b"domain",
        b"code",
        b"table",
        b"bucket",
        b"branch",
        b"class",
        b"package",
        b"service",
        b"server",
        b"cluster",
        b"device",
        b"field",
        b"column",
        b"function",
        b"module",
        b"if",
    ];
    let Some(before) = before.strip_suffix(b"name ") else {
        return false;
    };
    let start = before.len() - before.len().min(24);
    let mut words = before[start..].split(|byte| *byte == b' ').rev();
    words.next().is_some_and(<[u8]>::is_empty) && !words.next().is_some_and(|word| THINGS.contains(&word))
        || before
            .last()
            .is_none_or(|byte| matches!(byte, b'\n' | b'"' | b'(' | b','))
}

/// The name behind a word such as `Mr.` or `from`: where it begins and ends.
pub(super) fn after_cue(scan: &Scan<'_>, start: usize, cue_word: Cue) -> Option<(usize, usize)> {
    let words = read(scan, start, false);
    let all = words.all();
    // Hi, I'm Alice: the next space takes it.
    let first = all
        .first()
        .filter(|word| &scan.text[word.start..word.end] != "I'm" && !is_no_name(scan, word))?;
    // Mr. Dr. Ford; to Mr. Ford: the next space takes it.
    let first_word = &scan.text.as_bytes()[first.start..first.end];
    if cue(first.entry).is_some_and(|cue| cue != Cue::Preposition)
        || own_cue(scan.text.as_bytes(), first.start, first_word).is_some()
    {
        return None;
    }
    let full = bare(scan, &words).or_else(|| {
        let second = all.get(1)?;
        let fits = !is_organisation(all)
            && !is_brand(scan, all)
            && !first.is_ordinary()
            && !second.is_ordinary()
            && (first.is_known() || second.is_known());
        fits.then_some(2)
    });
    let many = match cue_word {
        Cue::Title => full.or_else(|| {
            let known = all
                .get(1)
                .is_some_and(|word| word.is_surname() && (first.is_given() || first.is_known()));
            Some(if known { 2 } else { 1 })
        }),
        Cue::Greeting => full.or_else(|| {
            if let [first, second] = all {
                let plain = |word: &Word| !word.initial && !word.is_ordinary() && word.end - word.start > 2;
                let given = first.is_given() && second.is_surname();
                return (given || plain(first) && plain(second) && !is_organisation(all)).then_some(2);
            }
            let alone =
                all.len() == 1 && !first.initial && (first.is_known() && !is_common_word(scan, first));
            alone.then_some(1)
        }),
        Cue::Preposition => full,
        Cue::Rank => full.or_else(|| {
            let alone = all.len() == 1
                && first.is_known()
                && !first.is_ordinary()
                && !first.entry.is(Entry::ORGANISATION);
            alone.then_some(1)
        }),
        Cue::Introduction => full.or_else(|| {
            // This is Anthony from Acme; not what a thing is.
            let rest = &scan.text[first.end..];
            let speaks = !scan.text[..start].ends_with("This is ")
                || [" from ", " speaking", " here", " calling", " with "]
                    .iter()
                    .any(|sign| rest.starts_with(sign));
            let alone = all.len() == 1 && first.is_given() && !first.is_ordinary() && speaks;
            alone.then_some(1)
        }),
    };
    // Inoue-san
    let many = many.or_else(|| is_addressed(scan, first).then_some(1));
    many.map(|many| (first.start, all[many - 1].end))
}

fn is_common_word(scan: &Scan<'_>, word: &Word) -> bool {
    const WORDS: &[&str] = &[
        "all", "team", "sir", "madam", "everyone", "there", "customer", "user", "in", "an", "my", "the",
        "for",
    ];
    let text = &scan.text[word.start..word.end];
    WORDS.iter().any(|common| common.eq_ignore_ascii_case(text))
}
