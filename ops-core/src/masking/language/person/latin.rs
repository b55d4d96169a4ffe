use super::super::labels::{Strength, Value};
use super::super::lexicon::Entry;
use super::super::scan::Scan;
use super::romaji::is_japanese;
use super::words::{Word, Words, entry, is_honorific, read, word_length, word_start};
use crate::model::PiiType;

/// What a word in front of a name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cue {
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

fn cue(entry: Entry) -> Option<Cue> {
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
pub(in super::super) const TITLES: &str = "mr mrs ms dr prof mx professor attn capt sgt mme";

/// Words behind which a name of one word or more stands.
pub(in super::super) const GREETINGS: &str =
    "dear hi hello hey regards sincerely thanks attention madam contact";

/// Words behind which a name may stand.
pub(in super::super) const PREPOSITIONS: &str = "from by to with for cc via customer employee patient manager user named called client and name is \
    met ask asked told emailed reminded invited thanked informed messaged tell notify assigned engineer director colleague applicant candidate recipient doctor nurse \
    author owner member that when said please between guest passenger tenant agent new former our the";

/// Words that say that no person is named.
pub(in super::super) const ORGANISATIONS: &str = "inc ltd llc corp corporation company co group bank university college school hospital street avenue \
    road drive lane boulevard park county city center centre airport station foundation institute hotel \
    building tower bridge river island beach valley department team division plan service services \
    server program programme project system systems street st ave rd blvd square district region state \
    office clinic library museum church stadium arena cafe restaurant store shop market cup award act \
    law effect theorem award prize motors industries technologies software solutions partners holdings \
    capital insurance times post journal news tribune protocol algorithm index table api db database runtime \
    studio cloud code framework engine release version edition san santa los las north south east west \
    saint fort mount new port lake monday tuesday wednesday thursday friday saturday sunday january \
    february march april june july august september october november december";

/// Takes the name around the space at `at`, behind which a capital letter stands.
pub(in super::super) fn capitalised(scan: &mut Scan<'_>, at: usize) {
    let bytes = scan.text.as_bytes();
    // A letter behind a digit is no word: `04.567Z INFO`.
    if let [.., b'0'..=b'9', b'A'..=b'Z' | b'a'..=b'z'] = bytes[..at] {
        return;
    }
    let mut end = at;
    let dotted = end > 0 && matches!(bytes[end - 1], b'.' | b',' | b':');
    if dotted {
        end -= 1;
    }
    if end == 0 || !bytes[end - 1].is_ascii_alphabetic() {
        return;
    }
    let start = word_start(bytes, end);
    let word = &bytes[start..end];
    if word.is_empty() || word.len() > 20 {
        return;
    }
    if start > 0 && matches!(bytes[start - 1], b'0'..=b'9' | b'_' | b'@' | b'/' | b'\\') {
        return;
    }
    if word == b"I'm" || word == b"m" && bytes[..start].ends_with("I\u{2019}".as_bytes()) {
        if let Some((start, end)) = after_cue(scan, at + 1, Cue::Introduction) {
            scan.take(start, end, PiiType::Person);
        }
        return;
    }
    let before = entry(scan, word);
    if let Some(cue) = own_cue(bytes, start, word)
        && let Some((start, end)) = after_cue(scan, at + 1, cue)
    {
        scan.take(start, end, PiiType::Person);
        return;
    }
    // Mr., not the ms of a time.
    let small = before.is(Entry::TITLE)
        && !(word[0].is_ascii_uppercase() && word[1..].iter().all(u8::is_ascii_lowercase))
        && !word.eq_ignore_ascii_case(b"attn");
    if let Some(cue) = cue(before).filter(|_| !small) {
        // `Ford. By …`: a sentence ends there.
        if !dotted || cue != Cue::Preposition {
            if let Some((name, end)) = after_cue(scan, at + 1, cue) {
                if let Some(subject) = subject(scan, start) {
                    scan.push(subject, start - 1, PiiType::Person);
                }
                scan.take(name, end, PiiType::Person);
                if cue == Cue::Greeting {
                    others(scan, end);
                }
            }
            return;
        }
    }
    // Without a word in front that says so, both must be known.
    let word_behind = &bytes[at + 1..at + 1 + word_length(&bytes[at + 1..])];
    let next = entry(scan, word_behind);
    let romaji = before.is(Entry::ROMAJI_GIVEN) && is_japanese(word_behind);
    if !next.is(Entry::LATIN_SURNAME) && !next.is(Entry::LATIN_GIVEN) && !romaji {
        return;
    }
    let initial = word.len() == 1 && word[0].is_ascii_uppercase();
    if dotted && !(initial && bytes[at - 1] == b'.') {
        return;
    }
    if !word[0].is_ascii_uppercase() {
        return;
    }
    let mut first = start;
    if initial {
        // The word in front of an initial: Amanda J. Ford.
        if start < 2 || bytes[start - 1] != b' ' {
            return;
        }
        first = word_start(bytes, start - 1);
        if !bytes.get(first).is_some_and(u8::is_ascii_uppercase) || first + 1 >= start {
            return;
        }
    }
    let words = read(scan, first, false);
    if let Some(many) = bare(scan, &words) {
        scan.take(words.words[0].start, words.words[many - 1].end, PiiType::Person);
    }
}

/// What a word in front of a name tells that is looked at by itself: `Officer`; `name is`, `I am`.
fn own_cue(bytes: &[u8], start: usize, word: &[u8]) -> Option<Cue> {
    match word {
        b"Miss" | b"Sir" | b"Officer" | b"Judge" | b"Senator" | b"Coach" | b"Captain" | b"Sergeant"
        | b"Nurse" | b"Cheers" | b"Ping" | b"ping" | b"morning" | b"afternoon" | b"evening" => {
            Some(Cue::Rank)
        }
        b"is" if bytes[..start].ends_with(b"name ") => Some(Cue::Introduction),
        b"am" if bytes[..start].ends_with(b"I ") => Some(Cue::Introduction),
        _ => None,
    }
}

/// Takes the further names of a list: Megan, Patrick and Elena.
fn others(scan: &mut Scan<'_>, end: usize) {
    let mut end = end;
    for _ in 0..8 {
        let rest = &scan.text[end..];
        let Some(joint) = [", and ", ", ", "; ", " and ", " & ", " / "]
            .iter()
            .find(|joint| rest.starts_with(**joint))
        else {
            return;
        };
        let words = read(scan, end + joint.len(), false);
        let all = words.all();
        let Some(first) = all.first() else {
            return;
        };
        let second = all.get(1);
        let many = bare(scan, &words).or_else(|| {
            let alone = second.is_none() && first.is_given() && !first.is_ordinary();
            let pair = all.len() == 2
                && all.iter().any(|word| word.is_known() || word.is_japanese)
                && all.iter().all(|word| !word.is_ordinary() && !word.initial);
            (!is_organisation(all) && !is_brand(scan, all)).then_some(())?;
            if pair { Some(2) } else { alone.then_some(1) }
        });
        let Some(many) = many else {
            return;
        };
        let (start, to) = (first.start, all[many - 1].end);
        // Springfield, IL
        if scan.text[to..].starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '@' | '_')) {
            return;
        }
        scan.take(start, to, PiiType::Person);
        end = to;
    }
}

/// What people do to one another, in the past.
const DEEDS: [&str; 9] = [
    "asked", "told", "emailed", "called", "reminded", "invited", "thanked", "informed", "messaged",
];

/// Takes the surname in front of the hyphen at `at`, if an honorific of Japan follows, where no space stands before it: 受付でSaeki-sanを.
pub(in super::super) fn addressed(scan: &mut Scan<'_>, at: usize) {
    let bytes = scan.text.as_bytes();
    if !is_honorific(&bytes[at + 1..]) {
        return;
    }
    let start = word_start(bytes, at);
    let edge = start == 0
        || bytes[start - 1] >= 0x80
        || matches!(bytes[start - 1], b'\n' | b'(' | b'"' | b',' | b'@' | b':');
    if !edge || !bytes.get(start).is_some_and(u8::is_ascii_uppercase) {
        return;
    }
    let words = read(scan, start, false);
    if let [word] = words.all()
        && word.end == at
        && is_addressed(scan, word)
    {
        scan.push(start, at, PiiType::Person);
    }
}

/// Where the given name begins that stands alone in front of the verb at `start`: Andrew asked Olivia Johnson.
fn subject(scan: &Scan<'_>, start: usize) -> Option<usize> {
    let bytes = scan.text.as_bytes();
    let verb = &bytes[start..start + word_length(&bytes[start..])];
    if start < 3 || bytes[start - 1] != b' ' || !DEEDS.iter().any(|deed| deed.as_bytes() == verb) {
        return None;
    }
    let first = word_start(bytes, start - 1);
    let word = entry(scan, &bytes[first..start - 1]);
    let begins = first == 0 || matches!(bytes[first - 1], b' ' | b'\n' | b'(' | b'"');
    let fits = word.is(Entry::LATIN_GIVEN) && !word.is(Entry::ORDINARY) && !word.is(Entry::ORGANISATION);
    (fits && begins && bytes[first].is_ascii_uppercase() && first + 2 < start - 1).then_some(first)
}

/// The name behind a word such as `Mr.` or `from`: where it begins and ends.
fn after_cue(scan: &Scan<'_>, start: usize, cue_word: Cue) -> Option<(usize, usize)> {
    let words = read(scan, start, false);
    let all = words.all();
    // Hi, I'm Alice: the next space takes it.
    let first = all
        .first()
        .filter(|word| &scan.text[word.start..word.end] != "I'm")?;
    // Mr. Dr. Ford; to Mr. Ford: the next space takes it.
    if cue(first.entry).is_some_and(|cue| cue != Cue::Preposition) {
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
            let alone = all.len() == 1 && first.is_given() && !first.is_ordinary();
            alone.then_some(1)
        }),
    };
    // Inoue-san
    let many = many.or_else(|| is_addressed(scan, first).then_some(1));
    many.map(|many| (first.start, all[many - 1].end))
}

/// Whether an honorific of Japan follows a surname: Inoue-san.
fn is_addressed(scan: &Scan<'_>, word: &Word) -> bool {
    let rest = &scan.text.as_bytes()[word.end..];
    let known =
        word.entry.is(Entry::ROMAJI_SURNAME) || word.entry.is(Entry::ROMAJI_GIVEN) || word.is_japanese;
    known && rest.first() == Some(&b'-') && is_honorific(&rest[1..])
}

/// Whether the first two words are a company or a brand that is called like a person.
fn is_brand(scan: &Scan<'_>, all: &[Word]) -> bool {
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

/// How many of `words` are a name without any other sign: given name and surname, or in Japanese order.
fn bare(scan: &Scan<'_>, words: &Words) -> Option<usize> {
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
fn is_organisation(all: &[Word]) -> bool {
    // A month may be the name of a person when it comes first: April Johnson.
    all.iter().enumerate().any(|(at, word)| {
        word.entry.is(Entry::ORGANISATION) && !(at == 0 && word.entry.is(Entry::ENGLISH_GIVEN))
    })
}

fn is_common_word(scan: &Scan<'_>, word: &Word) -> bool {
    const WORDS: &[&str] = &[
        "all", "team", "sir", "madam", "everyone", "there", "customer", "user", "in", "an", "my", "the",
        "for",
    ];
    let text = &scan.text[word.start..word.end];
    WORDS.iter().any(|common| common.eq_ignore_ascii_case(text))
}

/// Takes the name in Latin letters that ends at `end`, in front of an honorific or title of Japanese.
pub(super) fn before_honorific(scan: &mut Scan<'_>, end: usize, known: bool) {
    let bytes = scan.text.as_bytes();
    let mut start = end;
    for _ in 0..3 {
        let word = word_start(bytes, start);
        if word == start || !bytes[word].is_ascii_uppercase() {
            break;
        }
        start = word;
        if start < 2 || bytes[start - 1] != b' ' {
            break;
        }
        let before = word_start(bytes, start - 1);
        if before == start - 1
            || !bytes[before].is_ascii_uppercase()
            || cue(entry(scan, &bytes[before..start - 1])).is_some()
        {
            break;
        }
        start -= 1;
    }
    let start = if bytes.get(start) == Some(&b' ') {
        start + 1
    } else {
        start
    };
    let words = read(scan, start, false);
    let all = words.all();
    let Some(last) = all.last().filter(|last| last.end == end) else {
        return;
    };
    let capitals = all
        .iter()
        .all(|word| bytes[word.start..word.end].iter().all(u8::is_ascii_uppercase));
    let any_known = all.iter().any(Word::is_known);
    if any_known || !known && !capitals && last.end - last.start > 2 {
        // API担当 John Smith様: only the words of the name.
        scan.push(all[0].start, end, PiiType::Person);
    }
}

/// Takes the reading in Latin letters that begins at `start`, in brackets behind a name of Japan: 上田 葵（Ueda Aoi）.
pub(super) fn reading(scan: &mut Scan<'_>, start: usize) {
    let words = read(scan, start, false);
    let (Some(first), Some(last)) = (words.all().first(), words.all().last()) else {
        return;
    };
    let (from, to) = (first.start, last.end);
    let closed = scan.text[to..].starts_with([')', '）']);
    let known = words.all().iter().any(|word| word.is_known() || word.is_japanese);
    if closed && words.all().len() == 2 && known && !is_organisation(words.all()) {
        scan.push(from, to, PiiType::Person);
    }
}

/// Takes the name that a label announces; whether there was one.
pub(super) fn labelled(scan: &mut Scan<'_>, value: Value, strength: Strength) -> bool {
    let words = read(scan, value.start, true);
    let all = words.all();
    let bytes = scan.text.as_bytes();
    let (Some(first), Some(last)) = (all.first(), all.last()) else {
        return false;
    };
    let mut end = last.end;
    let mut many = all.len();
    let closed = match value.closer {
        Some(closer) => scan.text[end..].starts_with(closer) || scan.text[end..].starts_with('\\'),
        None => false,
    };
    // Ford, Amanda: in quotes, or where nothing else can follow.
    if let (Some(_), [_]) = (value.closer, all)
        && bytes[end..].starts_with(b", ")
    {
        let rest = read(scan, end + 2, true);
        if let Some(given) = rest.all().last()
            && value
                .closer
                .is_some_and(|closer| scan.text[given.end..].starts_with(closer))
            && (first.is_known() || rest.words[0].is_known())
        {
            scan.take(first.start, given.end, PiiType::Person);
            return true;
        }
    }
    let goes_on = bytes.get(end).is_some_and(|byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'@' | b'-' | b'/' | b'=' | b':' | b'.') && !closed
    });
    let full_stop =
        bytes.get(end) == Some(&b'.') && !bytes.get(end + 1).is_some_and(u8::is_ascii_alphanumeric);
    if goes_on && !full_stop && !is_addressed(scan, last) && all.len() < 3 {
        return false;
    }
    let full = |word: &&Word| !word.initial;
    let count = all.iter().filter(full).count();
    let known = all
        .iter()
        .any(|word| word.is_known() && !word.is_ordinary() && word.end - word.start > 2);
    let ordinary = all
        .iter()
        .filter(|word| word.is_ordinary() && !word.is_known())
        .count();
    let is_lower = all.iter().any(|word| bytes[word.start].is_ascii_lowercase());
    let full_name = bare(scan, &words);
    if full_name.is_some_and(|most| most < many) && !closed {
        many = full_name.unwrap_or(many);
        end = all[many - 1].end;
    }
    let fits = if full_name.is_some() {
        true
    } else if is_organisation(all) && strength != Strength::Sure {
        false
    } else {
        match strength {
            Strength::Sure => {
                !is_lower && (count > 1 || known || closed) || count > 1 && known || closed && known
            }
            Strength::Fair => {
                !is_lower
                    && (known || closed && count == 2 && all.iter().filter(full).all(|word| word.is_japanese))
                    && ordinary == 0
                    && (count == 2
                        || count == 3
                        || first.is_given()
                        || first.is_surname()
                        || first.initial && last.is_surname())
            }
            Strength::Weak => {
                !is_lower
                    && known
                    && count >= 2
                    && ordinary == 0
                    && count <= 3
                    && all
                        .iter()
                        .filter(full)
                        .all(|word| word.is_known() || !word.is_ordinary())
            }
        }
    };
    if !fits {
        return false;
    }
    scan.take(first.start, end, PiiType::Person);
    if strength >= Strength::Fair && value.closer.is_none() {
        others(scan, end);
    }
    true
}
