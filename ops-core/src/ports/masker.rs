use std::borrow::Cow;
use std::fmt::Debug;

/// Masks personal data in text.
///
/// # Contract
/// - Idempotent: masking masked text changes nothing.
/// - Clean text comes back borrowed; nothing is allocated for it.
/// - The result is valid UTF-8 and JSON stays JSON.
/// - It never fails: what is not recognised is left, so what is recognised is stated by each provider.
pub trait PiiMasker: Debug + Send + Sync + 'static {
    /// The text with personal data masked.
    fn mask<'a>(&self, text: &'a str) -> Cow<'a, str>;
}
