use super::key::names_a_secret;
use crate::http::HostPolicy;

/// What is wrong with a value, and what to do about it. The value is repeated only where it can hold no secret.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) problem: String,
    pub(super) remedy: String,
}

impl Wrong {
    pub(super) fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

/// A check of a text value.
pub(super) type Rule = fn(&str) -> Result<(), Wrong>;

/// `llm-brain`: what people type.
pub(super) fn slug(text: &str) -> Result<(), Wrong> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.len() <= 63
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(allowed)
    {
        return Ok(());
    }
    Err(Wrong::new(
        format!("{} is not a name", quoted(text)),
        "use 1 to 63 lower-case letters, digits and hyphens, a letter first",
    ))
}

/// A vendor's id or name of something: it becomes a part of a path.
pub(super) fn vendor_id(text: &str) -> Result<(), Wrong> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte);
    if (1..=100).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with('.') {
        return Ok(());
    }
    Err(Wrong::new(
        format!("{} is not an id", quoted(text)),
        "use 1 to 100 letters, digits, dots, hyphens, underscores and colons, no dot first",
    ))
}

/// Whether it can be the name of a bucket of an object store, and stand in a path. The vendors' own rules are narrower.
pub fn is_bucket_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [text.bytes().next(), text.bytes().last()];
    let allowed = |byte: u8| plain(byte) || b"._-".contains(&byte);
    (3..=222).contains(&text.len())
        && text.bytes().all(allowed)
        && ends.into_iter().flatten().all(plain)
        && !text.contains("..")
}

/// A bucket.
pub(super) fn bucket(text: &str) -> Result<(), Wrong> {
    if is_bucket_name(text) {
        return Ok(());
    }
    Err(Wrong::new(
        format!("{} is not a bucket", quoted(text)),
        "use its name alone, without gs://: 3 to 222 lower-case letters, digits, dots, hyphens and underscores",
    ))
}

/// The id of a project, not its number: the same user under both would be two.
pub(super) fn project_id(text: &str) -> Result<(), Wrong> {
    vendor_id(text)?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    Err(Wrong::new(
        format!("{} is a number", quoted(text)),
        "use the id of the project, not its number",
    ))
}

/// A name for people: a channel, a person, a database.
pub(super) fn label(text: &str) -> Result<(), Wrong> {
    if !text.trim().is_empty() && text.chars().count() <= 63 && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Wrong::new(
        "is empty, too long or holds a control character",
        "use 1 to 63 visible characters",
    ))
}

/// A directory.
pub(super) fn path(text: &str) -> Result<(), Wrong> {
    if !text.is_empty() && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Wrong::new(
        "is not a directory name",
        "write a path, as in \".ops\"",
    ))
}

/// The name of an environment variable. A value written in its place is not repeated.
pub(super) fn variable(text: &str) -> Result<(), Wrong> {
    let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if text.len() <= 100
        && text.starts_with(|first: char| first.is_ascii_uppercase() || first == '_')
        && text.bytes().all(allowed)
    {
        return Ok(());
    }
    Err(Wrong::new(
        "is not the name of an environment variable",
        "write the variable's name (upper-case letters, digits, underscores), never the value itself",
    ))
}

/// The start of every URL of a vendor: `https`, or `http` to this machine.
pub(super) fn base_url(text: &str) -> Result<(), Wrong> {
    if HostPolicy::Any.check(text).is_err() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Wrong::new(
            "is not an https URL",
            "begin with https:// (plain http:// only for this machine: 127.0.0.1, [::1], localhost)",
        ));
    }
    if text.contains(['?', '#']) {
        return Err(Wrong::new(
            "has a query or a fragment",
            "write scheme, host, port and path only",
        ));
    }
    Ok(())
}

/// Whether `text` is a URL that carries a user name, a password or a token.
pub(super) fn is_url_with_credentials(text: &str) -> bool {
    text.split_once("://").is_some_and(|(_, rest)| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
        let mut parameters = rest
            .split_once('?')
            .map_or("", |(_, query)| query)
            .split(['&', '#']);
        authority.contains('@')
            || parameters.any(|pair| names_a_secret(pair.split('=').next().unwrap_or(pair)))
    })
}

/// `text` between quotes, without control characters, cut to 40.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(40)
        .map(|letter| {
            if letter.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                letter
            }
        })
        .collect();
    if text.chars().nth(40).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}

/// `a, b or c`.
pub(super) fn alternatives<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    match words.as_slice() {
        [] => "nothing".to_owned(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        let longest = "a".repeat(63);
        for name in ["llm-brain", "a", "a1", &longest] {
            assert!(slug(name).is_ok(), "{name}");
        }
        let too_long = "a".repeat(64);
        for name in ["", "1a", "-a", "LLM", "a_b", "脳", "a b", &too_long] {
            assert!(slug(name).is_err(), "{name}");
        }
    }

    #[test]
    fn an_id_cannot_leave_its_place_in_a_path() {
        for id in ["soul-kun-api", "prj_Ab1", "example.com:legacy-project"] {
            assert!(vendor_id(id).is_ok(), "{id}");
        }
        for id in ["", "..", ".", "a/b", "a?b", "a%2f", "a b", "../x"] {
            assert!(vendor_id(id).is_err(), "{id}");
        }
    }

    #[test]
    fn a_bucket_is_a_name_alone() {
        for name in ["soul-kun-evidence", "abc", "a.b_c-1", "soul-kun_evidence.2026"] {
            assert!(bucket(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "ab",
            "gs://soul-kun",
            "a/b",
            "a..b",
            "-ab",
            "ab-",
            "ABC",
            "a b",
            "a?b",
        ] {
            assert!(bucket(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_project_is_an_id_and_not_a_number() {
        assert!(project_id("soul-kun").is_ok() && project_id("soul-kun-7").is_ok());
        for project in ["", "814220914470", "soul kun", "a/b"] {
            assert!(project_id(project).is_err(), "{project}");
        }
    }

    #[test]
    fn only_tls_or_this_machine() {
        for url in [
            "https://run.googleapis.com",
            "http://127.0.0.1:8080",
            "http://[::1]:9",
            "http://localhost/x",
        ] {
            assert!(base_url(url).is_ok(), "{url}");
        }
        for url in [
            "http://run.googleapis.com",
            "run.googleapis.com",
            "ftp://localhost",
            "https://",
            "https://a b",
            "https://h/?key=1",
            "",
        ] {
            assert!(base_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_token_is_not_taken_for_the_name_of_a_variable_and_not_repeated() {
        assert!(variable("RAILWAY_TOKEN").is_ok());
        for value in [
            "ya29.a0Af",
            "4d4ed8b0-5ba1-4b70-9c5e-000000000000",
            "",
            "1A",
            "A-B",
        ] {
            let wrong = variable(value).unwrap_err();
            assert!(value.is_empty() || !wrong.problem.contains(value) && !wrong.remedy.contains(value));
        }
    }

    #[test]
    fn credentials_in_a_url_are_seen() {
        for url in [
            "postgres://u:p@h/db",
            "https://token@h",
            "redis://:p@h",
            "postgres://h/db?password=p",
        ] {
            assert!(is_url_with_credentials(url), "{url}");
        }
        for url in ["https://h/a@b", "a@b", "https://h/?x=a@b", "https://h/token"] {
            assert!(!is_url_with_credentials(url), "{url}");
        }
    }
}
