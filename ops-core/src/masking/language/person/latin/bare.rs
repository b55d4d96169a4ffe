//! Names without any other sign, and what is called like a person but is none.

use super::super::super::lexicon::Entry;
use super::super::super::scan::Scan;
use super::super::words::{Word, Words};

/// Words that say that no person is named.
pub(in super::super::super) const ORGANISATIONS: &str = "inc ltd llc corp corporation company co group bank university college school hospital street avenue \
    road drive lane boulevard park county city center centre airport station foundation institute hotel \
    building tower bridge river island beach valley department team division plan service services \
    server program programme project system systems street st ave rd blvd square district region state \
    office clinic library museum church stadium arena cafe restaurant store shop market cup award act \
    law effect theorem award prize motors industries technologies software solutions partners holdings \
    capital insurance times post journal news tribune protocol algorithm index table api db database runtime \
    studio cloud code framework engine release version edition san santa los las north south east west \
    saint fort mount new port lake monday tuesday wednesday thursday friday saturday sunday january \
    february march april june july august september october november december";

/// How many of `words` are a name without any other sign: given name and surname, or in Japanese order.
pub(super) fn bare(scan: &Scan<'_>, words: &Words) -> Option<usize> {
    let all = words.all();
    if all.len() < 2 || is_organisation(all) || is_brand(scan, all) {
        return None;
    }
    let pair = |first: &Word, last: &Word| {
        let english = first.is_given() && last.is_surname();
        let japanese = first.entry.is(Entry::ROMAJI_SURNAME) && last.entry.is(Entry::ROMAJI_GIVEN);
        // Chizuru Shiratori: a given name of Japan, and what can be a surname there.
        let syllables = first.entry.is(Entry::ROMAJI_GIVEN) && !first.is_ordinary() && last.is_japanese
            || last.entry.is(Entry::ROMAJI_GIVEN) && !last.is_ordinary() && first.is_japanese;
        (english || japanese || syllables) && !(first.is_ordinary() && last.is_ordinary())
            // An ordinary first word needs a last one that cannot be taken for another: April Johnson, not Will Ho.
            && !(first.is_ordinary() && last.end - last.start < 4)
    };
    let full = |word: &Word| !word.initial;
    match all {
        [first, middle, last, ..] if full(first) && full(last) && middle.initial => {
            pair(first, last).then_some(3)
        }
        [first, second, third, ..]
            if full(first)
                && full(second)
                && full(third)
                && second.is_known()
                && third.is_surname()
                && !third.is_ordinary()
                && !second.is_ordinary()
                && pair(first, third) =>
        {
            Some(3)
        }
        [first, second, ..] if full(first) && full(second) => pair(first, second).then_some(2),
        _ => None,
    }
}

/// Whether one of the words says that no person is named: Jackson County, Ford Motor Company, San Jose.
pub(super) fn is_organisation(all: &[Word]) -> bool {
    // A month may be the name of a person when it comes first: April Johnson.
    all.iter().enumerate().any(|(at, word)| {
        word.entry.is(Entry::ORGANISATION) && !(at == 0 && word.entry.is(Entry::ENGLISH_GIVEN))
    })
}

/// Whether the first two words are a company or a brand that is called like a person.
pub(super) fn is_brand(scan: &Scan<'_>, all: &[Word]) -> bool {
    const BRANDS: [&str; 14] = [
        "Morgan Stanley",
        "Wells Fargo",
        "Goldman Sachs",
        "Charles Schwab",
        "Merrill Lynch",
        "Ralph Lauren",
        "Calvin Klein",
        "Tommy Hilfiger",
        "Hugo Boss",
        "Mary Kay",
        "Jack Daniels",
        "Jim Beam",
        "Johnnie Walker",
        "Harley Davidson",
    ];
    let [first, second, ..] = all else {
        return false;
    };
    BRANDS
        .iter()
        .any(|brand| brand.eq_ignore_ascii_case(&scan.text[first.start..second.end]))
}

/// Whether a word stands where no name is known, although some people are called so: `owner = None`.
pub(super) fn is_no_name(scan: &Scan<'_>, word: &Word) -> bool {
    const WORDS: [&str; 8] = ["none", "null", "nil", "true", "false", "undefined", "any", "all"];
    let text = &scan.text[word.start..word.end];
    WORDS.iter().any(|none| none.eq_ignore_ascii_case(text))
}
