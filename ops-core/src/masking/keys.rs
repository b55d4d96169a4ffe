use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::Sha256;

use super::text::half_width;
use super::token::{PSEUDONYM, Token, is_key_id, tokens};
use crate::error::{Error, ErrorKind, Result};
use crate::model::PiiType;

/// The keys for pseudonyms and for encrypted values: a current one, and older ones that are still read.
///
/// Each is 32 secret bytes with an id that stands in what it made; pseudonyms and encryption use keys derived from it. To rotate, put
/// a new key in front and keep the old ones until [`reseal`](Self::reseal) has gone over what is stored. A new key gives new pseudonyms.
/// `Debug` shows ids only.
///
/// ```
/// use ops_core::masking::MaskingKeys;
/// use ops_core::model::PiiType;
/// use secrecy::{ExposeSecret, SecretString};
///
/// // One line a key, the current one first: an id and 64 hexadecimal digits.
/// let file = SecretString::from(format!("2026-02 {}\n2026-01 {}\n", "1f".repeat(32), "0e".repeat(32)));
/// let keys = MaskingKeys::parse(&file)?;
/// let sealed = keys.seal(PiiType::Email, "tanaka@example.com")?;
/// assert!(sealed.to_string().starts_with("[EMAIL:sealed:2026-02:"));
/// assert_eq!(keys.open(&sealed)?.expose_secret(), "tanaka@example.com");
/// assert_eq!(keys.pseudonym(PiiType::Phone, "０９０"), keys.pseudonym(PiiType::Phone, "090"));
/// # Ok::<(), ops_core::error::Error>(())
/// ```
#[derive(Debug)]
pub struct MaskingKeys {
    /// Never empty; the first is the current one.
    keys: Vec<Key>,
}

struct Key {
    id: String,
    secret: SecretBox<[u8; 32]>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.id)
    }
}

impl MaskingKeys {
    /// Reads keys, one a line: an id (1 to 32 lower-case letters, digits, hyphens), a space, 64 hexadecimal digits. The first is the
    /// current one. Empty lines and lines that begin with `#` are left out.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] with the line that is no key or repeats an id, or if there is no key. Nothing of the text is repeated.
    pub fn parse(text: &SecretString) -> Result<Self> {
        let wrong = |line: usize, what: &str| {
            Error::new(ErrorKind::InvalidInput, "read masking keys")
                .context("line", line.to_string())
                .context("keys", what)
        };
        let mut keys: Vec<Key> = Vec::new();
        for (line, text) in (1..).zip(text.expose_secret().lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let key = text
                .split_once(char::is_whitespace)
                .and_then(|(id, digits)| Key::read(id, digits.trim()));
            let Some(key) = key else {
                return Err(wrong(
                    line,
                    "must be an id of 1 to 32 lower-case letters, digits and hyphens, a space, and 64 hexadecimal digits",
                ));
            };
            if keys.iter().any(|other| other.id == key.id) {
                return Err(wrong(line, "must not repeat the id of an earlier key"));
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(wrong(1, "must hold a line with an id and 64 hexadecimal digits"));
        }
        Ok(Self { keys })
    }

    /// The stand-in for `value`: the same for the same type and value, in half or full width, and another for everything else.
    pub fn pseudonym(&self, kind: PiiType, value: &str) -> String {
        let key = &self.keys[0];
        let mut mac = key.mac("ops masking pseudonym 1");
        mac.update(kind.as_str().as_bytes());
        mac.update(&[0]);
        mac.update(normalised(kind, value).as_bytes());
        let tag = mac.finalize().into_bytes();
        let tag: String = tag[..PSEUDONYM / 2]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("[{kind}:{}:{tag}]", key.id)
    }

    /// Encrypts `value` with the current key (XChaCha20-Poly1305, a random nonce each time), bound to its type.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if the operating system gives no randomness.
    pub fn seal(&self, kind: PiiType, value: &str) -> Result<Sealed> {
        let key = &self.keys[0];
        let failed =
            |source: String| Error::new(ErrorKind::Unavailable, "encrypt a personal value").source(source);
        let mut bytes = vec![0; NONCE];
        getrandom::fill(&mut bytes).map_err(|error| failed(error.to_string()))?;
        let bound = bound(kind, &key.id);
        let payload = Payload {
            msg: value.as_bytes(),
            aad: bound.as_bytes(),
        };
        let nonce = XNonce::try_from(&bytes[..]).map_err(|error| failed(error.to_string()))?;
        let encrypted = key.cipher().encrypt(&nonce, payload);
        bytes.extend(encrypted.map_err(|error| failed(error.to_string()))?);
        Ok(Sealed {
            text: format!("[{kind}:sealed:{}:{}]", key.id, URL_SAFE_NO_PAD.encode(bytes)),
        })
    }

    /// Decrypts a value, for those who may see it; record who did.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] without the key of that id, [`ErrorKind::InvalidInput`] for a value that was changed or made with another key.
    pub fn open(&self, sealed: &Sealed) -> Result<SecretString> {
        let (kind, id, encrypted) = sealed.parts();
        let wrong = |kind, what: &str| {
            Error::new(kind, "decrypt a personal value")
                .context("key", id)
                .context("value", what)
        };
        let key = self.keys.iter().find(|key| key.id == id);
        let key = key.ok_or_else(|| wrong(ErrorKind::NotFound, "was made with a key that is not given"))?;
        let changed = || {
            wrong(
                ErrorKind::InvalidInput,
                "was changed, or made with another key of that id",
            )
        };
        let bytes = URL_SAFE_NO_PAD.decode(encrypted).map_err(|_| changed())?;
        let (nonce, msg) = bytes.split_at_checked(NONCE).ok_or_else(changed)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| changed())?;
        let bound = bound(kind, id);
        let payload = Payload {
            msg,
            aad: bound.as_bytes(),
        };
        let clear = key.cipher().decrypt(&nonce, payload).map_err(|_| changed())?;
        String::from_utf8(clear)
            .map(SecretString::from)
            .map_err(|_| changed())
    }

    /// Encrypts a value anew with the current key; one that has it already comes back as it is.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`seal`](Self::seal).
    pub fn reseal(&self, sealed: &Sealed) -> Result<Sealed> {
        let (kind, id, _) = sealed.parts();
        if id == self.keys[0].id {
            return Ok(sealed.clone());
        }
        self.seal(kind, self.open(sealed)?.expose_secret())
    }

    /// Decrypts every encrypted value within `text`, for those who may see it; record who did. Inside JSON the result needs escapes
    /// that this does not write.
    ///
    /// # Errors
    /// As [`open`](Self::open), of the first that cannot be read.
    pub fn open_all(&self, text: &str) -> Result<SecretString> {
        let mut clear = String::with_capacity(text.len());
        let mut done = 0;
        for place in tokens(text) {
            let Ok(sealed) = text[place.clone()].parse::<Sealed>() else {
                continue;
            };
            clear.push_str(&text[done..place.start]);
            clear.push_str(self.open(&sealed)?.expose_secret());
            done = place.end;
        }
        clear.push_str(&text[done..]);
        Ok(SecretString::from(clear))
    }
}

impl Key {
    fn read(id: &str, digits: &str) -> Option<Self> {
        if !is_key_id(id) || digits.len() != 64 || !digits.is_ascii() {
            return None;
        }
        let mut secret = SecretBox::new(Box::new([0; 32]));
        let bytes = secrecy::ExposeSecretMut::expose_secret_mut(&mut secret);
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
        }
        Some(Self {
            id: id.to_owned(),
            secret,
        })
    }

    fn mac(&self, purpose: &str) -> Hmac<Sha256> {
        // Two steps, so that no purpose sees the key of another.
        let mut derive = keyed(self.secret.expose_secret());
        derive.update(purpose.as_bytes());
        keyed(&derive.finalize().into_bytes().into())
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        let derived = self.mac("ops masking storage 1").finalize().into_bytes();
        XChaCha20Poly1305::new(&<[u8; 32]>::from(derived).into())
    }
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    // HMAC takes a whole block of SHA-256.
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    <Hmac<Sha256> as KeyInit>::new(&block.into())
}

/// The bytes of a nonce of XChaCha20: so many that random ones never meet.
const NONCE: usize = 24;

/// What a value is bound to: it cannot be passed off as one of another type.
fn bound(kind: PiiType, id: &str) -> String {
    format!("ops masking sealed 1:{kind}:{id}")
}

/// A value in the form in which it counts as the same: half width, without spaces around it; a mail address in lower case, a number
/// without separators, a name with single spaces.
fn normalised(kind: PiiType, value: &str) -> String {
    let half: String = value.trim().chars().map(half_width).collect();
    match kind {
        PiiType::Email => half.to_lowercase(),
        PiiType::Person | PiiType::Address | PiiType::Department | PiiType::Confidential => {
            half.split_whitespace().collect::<Vec<_>>().join(" ")
        }
        PiiType::ApiKey | PiiType::Ip => half,
        _ => {
            let kept: String = half
                .chars()
                .filter(|c| c.is_alphanumeric() || *c == '+')
                .collect();
            kept.to_uppercase()
        }
    }
}

/// A personal value, encrypted for storage. It names its type and its key; `Display` and serialisation give the text to store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Sealed {
    text: String,
}

impl Sealed {
    /// The type of the value.
    pub fn kind(&self) -> PiiType {
        self.parts().0
    }

    /// The id of the key that the value was encrypted with.
    pub fn key_id(&self) -> &str {
        self.parts().1
    }

    /// Type, id of the key, nonce and ciphertext.
    fn parts(&self) -> (PiiType, &str, &str) {
        // Checked when it was made; what cannot be is a value that nobody can decrypt.
        let token = Token::read(&self.text).map(|(token, _)| token);
        let kind = token.map_or(PiiType::Confidential, |token| token.kind);
        let rest = token.and_then(|token| token.rest.strip_prefix("sealed:"));
        let (id, encrypted) = rest.and_then(|rest| rest.split_once(':')).unwrap_or_default();
        (kind, id, encrypted)
    }
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl std::str::FromStr for Sealed {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match Token::read(text) {
            Some((token, length)) if length == text.len() && token.rest.starts_with("sealed:") => Ok(Self {
                text: text.to_owned(),
            }),
            _ => Err(Error::new(ErrorKind::InvalidInput, "read an encrypted value")
                .context("value", "must be as it was stored, as in [EMAIL:sealed:…]")),
        }
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(lines: &[(&str, &str)]) -> MaskingKeys {
        let text: String = lines
            .iter()
            .map(|(id, byte)| format!("{id} {}\n", byte.repeat(32)))
            .collect();
        MaskingKeys::parse(&SecretString::from(text)).unwrap()
    }

    #[test]
    fn a_sealed_value_opens_with_its_key_only() {
        let (old, other) = (keys(&[("a", "01")]), keys(&[("a", "02")]));
        let sealed = old.seal(PiiType::Email, "田中@example.com").unwrap();
        assert_eq!((sealed.kind(), sealed.key_id()), (PiiType::Email, "a"));
        assert_eq!(old.open(&sealed).unwrap().expose_secret(), "田中@example.com");
        assert_eq!(other.open(&sealed).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(
            keys(&[("b", "01")]).open(&sealed).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_ne!(
            sealed,
            old.seal(PiiType::Email, "田中@example.com").unwrap(),
            "a fresh nonce"
        );
    }

    #[test]
    fn a_sealed_value_cannot_be_passed_off_as_another_type_or_changed() {
        let keys = keys(&[("a", "01")]);
        let sealed = keys
            .seal(PiiType::Email, "tanaka@example.com")
            .unwrap()
            .to_string();
        let renamed: Sealed = sealed.replace("EMAIL", "PERSON").parse().unwrap();
        assert_eq!(keys.open(&renamed).unwrap_err().kind(), ErrorKind::InvalidInput);
        for at in sealed.find(":a:").unwrap() + 3..sealed.len() - 1 {
            let letter = if sealed.as_bytes()[at] == b'A' { "B" } else { "A" };
            let mut changed = sealed.clone();
            changed.replace_range(at..=at, letter);
            assert!(keys.open(&changed.parse().unwrap()).is_err(), "{at}");
        }
        for text in [
            "",
            "[EMAIL]",
            "[EMAIL:sealed:a:QUJD] ",
            "[EMAIL:a:0123456789abcdef0123456789abcdef]",
        ] {
            assert!(text.parse::<Sealed>().is_err(), "{text}");
        }
        let short: Sealed = "[EMAIL:sealed:a:QUJD]".parse().unwrap();
        assert!(keys.open(&short).is_err());
    }

    #[test]
    fn a_rotation_reads_the_old_and_writes_the_new() {
        let old = keys(&[("old", "01")]);
        let both = keys(&[("new", "02"), ("old", "01")]);
        let sealed = old.seal(PiiType::Phone, "090-9999-1234").unwrap();
        let again = both.reseal(&sealed).unwrap();
        assert_eq!(again.key_id(), "new");
        assert_eq!(both.open(&again).unwrap().expose_secret(), "090-9999-1234");
        assert_eq!(both.reseal(&again).unwrap(), again);
        let text = format!("a {sealed} b {again}.");
        assert_eq!(
            both.open_all(&text).unwrap().expose_secret(),
            "a 090-9999-1234 b 090-9999-1234."
        );
    }

    #[test]
    fn a_pseudonym_is_the_same_for_what_is_the_same() {
        let keys = keys(&[("a", "01")]);
        let of = |kind, value| keys.pseudonym(kind, value);
        assert_eq!(
            of(PiiType::Phone, "090-9999-1234"),
            of(PiiType::Phone, "０９０９９９９１２３４")
        );
        assert_eq!(
            of(PiiType::Email, "Tanaka@Example.com"),
            of(PiiType::Email, "ｔanaka@example．com")
        );
        assert_eq!(
            of(PiiType::Person, "田中　太郎"),
            of(PiiType::Person, "田中 太郎")
        );
        assert_ne!(
            of(PiiType::Phone, "090-9999-1234"),
            of(PiiType::Phone, "090-9999-1235")
        );
        assert_ne!(
            of(PiiType::Passport, "TK1234567"),
            of(PiiType::EmployeeId, "TK1234567")
        );
        assert_ne!(of(PiiType::ApiKey, "abc"), of(PiiType::ApiKey, "ABC"));
        assert_ne!(
            of(PiiType::Phone, "090"),
            self::keys(&[("a", "02")]).pseudonym(PiiType::Phone, "090"),
            "another key"
        );
    }

    #[test]
    fn a_pseudonym_is_that_of_hmac_sha_256() {
        // Computed with another implementation: HMAC(HMAC(key, purpose), "PHONE" 0 "09099991234"), key 32 bytes of 1.
        let keys = keys(&[("a", "01")]);
        assert_eq!(
            keys.pseudonym(PiiType::Phone, "090-9999-1234"),
            "[PHONE:a:d5c1177556a3dda9535a222d8ee6b620]"
        );
    }

    #[test]
    fn a_key_file_with_a_fault_is_refused_with_its_line_and_without_its_text() {
        let digits = "5e".repeat(32);
        for (text, line) in [
            (format!("a {digits}\nb {}\n", &digits[1..]), "line: 2"),
            (format!("# old\n\nA {digits}"), "line: 3"),
            (format!("a {digits}\na {digits}"), "line: 2"),
            (digits.clone(), "line: 1"),
            (String::new(), "line: 1"),
            (format!("sealed {digits}"), "line: 1"),
        ] {
            let error = MaskingKeys::parse(&SecretString::from(text)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(line), "{error}");
            assert!(!error.to_string().contains("5e5e"), "{error}");
        }
    }

    #[test]
    fn keys_show_their_ids_only() {
        let keys = keys(&[("new", "5e"), ("old", "01")]);
        assert_eq!(format!("{keys:?}"), "MaskingKeys { keys: [new, old] }");
    }
}
