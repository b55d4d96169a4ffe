//! Values that a recogniser of the test's own finds, and the words that random texts are made of.

use ops_core::model::{PiiSpan, PiiType};
use ops_core::ports::Recognizer;

/// Finds planted values of every type, so that the masker is tested with all of them.
#[derive(Debug)]
pub(crate) struct Planted;

const PLANTED: &[(&str, PiiType)] = &[
    ("tanaka@example.com", PiiType::Email),
    ("tanaka\\u0040example.com", PiiType::Email),
    ("090-1234-5678", PiiType::Phone),
    ("田中太郎", PiiType::Person),
    ("田中", PiiType::Person),
    ("\\u7530\\u4e2d\\u592a\\u90ce", PiiType::Person),
    ("John Smith", PiiType::Person),
    ("東京都千代田区千代田1-1", PiiType::Address),
    ("東京都", PiiType::Address),
    ("4111111111111234", PiiType::CreditCard),
    ("123456789018", PiiType::MyNumber),
    ("203.0.113.77", PiiType::Ip),
    ("E-12345", PiiType::EmployeeId),
    ("営業部", PiiType::Department),
    ("5000000", PiiType::Confidential),
    ("true", PiiType::Confidential),
    ("うつ病", PiiType::Confidential),
];

impl Recognizer for Planted {
    fn find(&self, text: &str, found: &mut Vec<PiiSpan>) {
        for (value, kind) in PLANTED {
            found.extend(
                text.match_indices(value)
                    .map(|(at, _)| PiiSpan::new(at, at + value.len(), *kind)),
            );
        }
        for (at, _) in text.match_indices("tok_") {
            let length = text[at..]
                .bytes()
                .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
                .count();
            found.push(PiiSpan::new(at, at + length, PiiType::ApiKey));
        }
        // A recogniser that reads over the strings of JSON.
        if let (Some(start), Some(end)) = (text.find("<<"), text.rfind(">>"))
            && start < end
            && !text[start..end].contains('\n')
        {
            found.push(PiiSpan::new(start, end + 2, PiiType::ApiKey));
        }
        // What follows a label, a mask at its front included. It ends where the masker lets a value end that no window holds.
        for (at, label) in text.match_indices("password=") {
            let start = at + label.len();
            let inside = |byte: &u8| byte.is_ascii_alphanumeric() || b"_:-*".contains(byte);
            let mask = text[start..].strip_prefix('[').and_then(|rest| {
                let length = rest.bytes().take_while(inside).count();
                rest[length..].starts_with(']').then_some(length)
            });
            let from = start + mask.map_or(0, |mask| mask + 2);
            let end = text[from..].find(ends).map_or(text.len(), |end| from + end);
            if end > start {
                found.push(PiiSpan::new(start, end, PiiType::ApiKey));
            }
        }
    }
}

fn ends(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "\"',;<>()[]{}\\、。「」".contains(c)
}

/// Words that meet in real lines.
pub(crate) const PIECES: &[&str] = &[
    "tanaka@example.com",
    "tanaka\\u0040example.com",
    "@",
    "a.b+c@d.co.jp",
    "t***@x.jp",
    "＠",
    "ｔａｎａｋａ＠ｅｘ．ｊｐ",
    "090-1234-5678",
    "0312345678",
    "+81 90-1234-5678",
    "+81",
    "０９０",
    "－",
    "-",
    " ",
    "　",
    "(03)",
    ")",
    "090-****-1234",
    "****",
    "*",
    " *",
    "0",
    "1",
    "12",
    "0000",
    "田中太郎",
    "田中",
    "太郎",
    "様",
    "さん",
    "氏",
    "氏名",
    "：",
    ": ",
    "=",
    "\"",
    "\\",
    "\\n",
    "\\u3000",
    "\\u0040",
    "\\ud842\\udfb7",
    "\n",
    "\r\n",
    "皆",
    "お客",
    "佐々木",
    "林",
    "殿",
    "くん",
    "John Smith",
    "+",
    ".",
    "/",
    "_",
    "です",
    "タナカ",
    "Taro",
    "{",
    "}",
    "[",
    "]",
    ",",
    ";",
    "担当者名",
    "東京都千代田区千代田1-1",
    "東京都",
    "東京都***",
    "4111111111111234",
    "123456789018",
    "203.0.113.77",
    "203.0.113.***",
    "E-12345",
    "営業部",
    "5000000",
    "true",
    "うつ病",
    "tok_abc",
    "password=",
    "password=hunter2",
    "[API_KEY]",
    "[PERSON]",
    "[EMAIL",
    "[MY_NUMBER]",
    "PERSON]",
    "[PERSON:new:0123456789abcdef0123456789abcdef]",
    "[EMAIL:sealed:new:QUJD]",
    "-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\n",
    "-----END PRIVATE KEY-----",
    "QUJD\n",
    "{\"a\": ",
    "\"b\": ",
    "[1, ",
    "null",
    "\u{20bb7}",
    "é",
    "\u{0}",
    "\t",
];

/// A generator that is the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`; 0 for 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let wide = u128::from(self.0) * (end as u128);
        usize::try_from(wide >> 64).unwrap_or(0)
    }
}

/// JSON as Python's `json.dumps` writes it by default.
pub(crate) fn with_escapes_for_everything(json: &str) -> String {
    let mut line = String::new();
    for unit in json.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => line.push(char::from(byte)),
            _ => line.push_str(&format!("\\u{unit:04x}")),
        }
    }
    line
}
