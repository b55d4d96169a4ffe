/// Which fields are dropped and which are kept as they are, by their names.
///
/// A name counts where it ends one: `password` also drops `user_password`, `User-Password` and `userPassword`, but neither
/// `password_policy` nor `passwords`. Case, `_`, `-` and `.` make no difference. A name in other than ASCII letters ends any word.
///
/// | list | what becomes of the value |
/// |---|---|
/// | dropped | `***`, whatever it is: a text, a number, an object |
/// | kept | nothing is masked in it, if it is one word of ASCII letters, digits, `-`, `_`, `.` and `:` with at least one letter; any other value is masked like the rest |
///
/// Dropping goes before keeping. Unless told otherwise, passwords, keys, tokens, cookies, card numbers, My Number, salaries and the
/// like are dropped, and `request_id`, `trace_id`, `span_id`, `run` and `run_id` are kept.
///
/// ```
/// use ops_core::masking::FieldRules;
///
/// let rules = FieldRules::new().dropping("blood_type").keeping("order_id");
/// assert!(rules.drops("bloodType") && rules.drops("X-Api-Key") && !rules.drops("max_tokens"));
/// ```
#[derive(Clone, Debug)]
pub struct FieldRules {
    dropped: Names,
    kept: Names,
}

impl FieldRules {
    /// The rules that are described above.
    pub fn new() -> Self {
        let mut rules = Self::none();
        rules.dropped.extend(DROPPED);
        rules.kept.extend(KEPT);
        rules
    }

    /// Drops and keeps nothing.
    pub fn none() -> Self {
        Self {
            dropped: Names::default(),
            kept: Names::default(),
        }
    }

    /// Also drops the values of fields whose names end in `name`.
    #[must_use]
    pub fn dropping(mut self, name: &str) -> Self {
        self.dropped.extend(&[name]);
        self
    }

    /// Also keeps the values of fields whose names end in `name`.
    #[must_use]
    pub fn keeping(mut self, name: &str) -> Self {
        self.kept.extend(&[name]);
        self
    }

    /// Whether the value of a field of this name is dropped.
    pub fn drops(&self, name: &str) -> bool {
        self.dropped.end(name.as_bytes())
    }

    pub(super) fn keeps(&self, name: &str) -> bool {
        self.kept.end(name.as_bytes()) && !self.drops(name)
    }

    pub(super) fn keeps_any(&self) -> bool {
        !self.kept.names.is_empty()
    }
}

impl Default for FieldRules {
    fn default() -> Self {
        Self::new()
    }
}

/// Names in lower case without what parts their words, and the last bytes that any of them has.
#[derive(Clone, Debug)]
struct Names {
    names: Vec<Vec<u8>>,
    last: [bool; 256],
}

impl Default for Names {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            last: [false; 256],
        }
    }
}

impl Names {
    fn extend(&mut self, names: &[&str]) {
        for name in names {
            let plain: Vec<u8> = name
                .bytes()
                .filter(|byte| !parts_words(*byte))
                .map(|byte| byte.to_ascii_lowercase())
                .collect();
            if let Some(last) = plain.last() {
                self.last[usize::from(*last)] = true;
                self.names.push(plain);
            }
        }
    }

    fn end(&self, name: &[u8]) -> bool {
        let Some(last) = name.last() else { return false };
        self.last[usize::from(last.to_ascii_lowercase())] && self.names.iter().any(|known| ends(name, known))
    }
}

/// Whether `name` ends in `known`, a word at a time.
fn ends(name: &[u8], known: &[u8]) -> bool {
    let mut at = name.len();
    for wanted in known.iter().rev() {
        while at > 0 && parts_words(name[at - 1]) && at < name.len() {
            at -= 1;
        }
        if at == 0 || name[at - 1].to_ascii_lowercase() != *wanted {
            return false;
        }
        at -= 1;
    }
    if at == 0 || !known.is_ascii() {
        return true;
    }
    let (before, first) = (name[at - 1], name[at]);
    !before.is_ascii_alphanumeric() || (first.is_ascii_uppercase() && !before.is_ascii_uppercase())
}

fn parts_words(byte: u8) -> bool {
    matches!(byte, b'_' | b'-' | b'.')
}

const DROPPED: &[&str] = &[
    "password",
    "password_hash",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "secret_key",
    "token",
    "api_key",
    "access_key",
    "private_key",
    "signing_key",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "session_id",
    "otp",
    "pin",
    "cvv",
    "cvc",
    "card_number",
    "account_number",
    "my_number",
    "salary",
    "wage",
    "bonus",
    "annual_income",
    "diagnosis",
    "health_condition",
    "パスワード",
    "暗証番号",
    "給与",
    "年収",
    "賞与",
];

const KEPT: &[&str] = &["request_id", "trace_id", "span_id", "run", "run_id"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_where_it_ends_one_word_by_word() {
        let rules = FieldRules::new();
        for name in [
            "password",
            "user_password",
            "User-Password",
            "userPassword",
            "PASSWORD",
            "db.password",
            "X-API-Key",
            "OPENAI_API_KEY",
            "apikey",
            "accessToken",
            "set-cookie",
            "monthly_salary",
            "本人の給与",
        ] {
            assert!(rules.drops(name), "{name}");
        }
        for name in [
            "",
            "_",
            "passwords",
            "max_tokens",
            "token_count",
            "password_policy",
            "monkey",
            "spin",
            "mapping",
            "subtoken",
        ] {
            assert!(!rules.drops(name), "{name}");
        }
    }

    #[test]
    fn dropping_goes_before_keeping() {
        let rules = FieldRules::new().keeping("order_token");
        assert!(rules.drops("order_token") && !rules.keeps("order_token"));
        assert!(rules.keeps("http.request_id") && rules.keeps("traceId"));
    }
}
