/// The beginning that a vendor gives its keys, and how many more bytes they have at least.
struct Vendor {
    prefix: &'static str,
    least: usize,
}

const fn vendor(prefix: &'static str, least: usize) -> Vendor {
    Vendor { prefix, least }
}

/// How long the key is that `rest` begins with.
pub(super) fn key(rest: &[u8]) -> Option<usize> {
    let first = *rest.first()?;
    if !BEGINS[usize::from(first)] {
        return None;
    }
    if rest.starts_with(b"eyJ") {
        return web_token(rest);
    }
    let vendor = VENDORS
        .iter()
        .find(|vendor| vendor.prefix.as_bytes()[0] == first && rest.starts_with(vendor.prefix.as_bytes()))?;
    let is_part = |byte| is_word(byte) || (vendor.prefix.contains('.') && byte == b'.');
    let length = |text: &[u8]| trimmed(text, run(text, is_part));
    // What is no key within this is none: runs with dots that are none may follow each other.
    let head = &rest[..rest.len().min(DECIDED_WITHIN)];
    let body = head.get(vendor.prefix.len()..length(head))?;
    (body.len() >= vendor.least && is_random(body)).then(|| length(rest))
}

const DECIDED_WITHIN: usize = 1024;

/// Whether this was drawn, and is no name such as `npm_config_registry`.
fn is_random(body: &[u8]) -> bool {
    let any = |is: fn(&u8) -> bool| body.iter().any(is);
    any(u8::is_ascii_digit) || any(u8::is_ascii_uppercase)
}

/// A JSON web token: two or three parts in base64.
fn web_token(rest: &[u8]) -> Option<usize> {
    let length = trimmed(rest, run(rest, |byte| is_word(byte) || byte == b'.'));
    let parts = rest[..length].iter().filter(|byte| **byte == b'.').count();
    (parts >= 1 && length >= 30 || length >= 60).then_some(length)
}

fn run(bytes: &[u8], is_part: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| is_part(**byte)).count()
}

fn trimmed(bytes: &[u8], mut length: usize) -> usize {
    while length > 0 && bytes[length - 1] == b'.' {
        length -= 1;
    }
    length
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// The longer of two that begin alike first.
static VENDORS: [Vendor; 64] = [
    vendor("sk-ant-", 16),
    vendor("sk-proj-", 16),
    vendor("sk-svcacct-", 16),
    vendor("sk-or-", 16),
    vendor("sk-", 16),
    vendor("sk_live_", 10),
    vendor("sk_test_", 10),
    vendor("pk_live_", 10),
    vendor("pk_test_", 10),
    vendor("rk_live_", 10),
    vendor("rk_test_", 10),
    vendor("whsec_", 12),
    vendor("github_pat_", 16),
    vendor("ghp_", 16),
    vendor("gho_", 16),
    vendor("ghu_", 16),
    vendor("ghs_", 16),
    vendor("ghr_", 16),
    vendor("glpat-", 12),
    vendor("glrt-", 12),
    vendor("gldt-", 12),
    vendor("glptt-", 12),
    vendor("xoxb-", 10),
    vendor("xoxp-", 10),
    vendor("xoxa-", 10),
    vendor("xoxr-", 10),
    vendor("xoxs-", 10),
    vendor("xoxe-", 10),
    vendor("xoxe.", 10),
    vendor("xapp-", 10),
    vendor("AKIA", 12),
    vendor("ASIA", 12),
    vendor("AIza", 25),
    vendor("ya29.", 16),
    vendor("GOCSPX-", 12),
    vendor("npm_", 20),
    vendor("pypi-", 20),
    vendor("hf_", 16),
    vendor("SG.", 20),
    vendor("shpat_", 16),
    vendor("shpss_", 16),
    vendor("shpca_", 16),
    vendor("dop_v1_", 16),
    vendor("dckr_pat_", 12),
    vendor("hvs.", 16),
    vendor("hvb.", 16),
    vendor("sntrys_", 16),
    vendor("lin_api_", 16),
    vendor("figd_", 16),
    vendor("sbp_", 16),
    vendor("r8_", 20),
    vendor("gsk_", 20),
    vendor("xai-", 20),
    vendor("pplx-", 20),
    vendor("nvapi-", 20),
    vendor("sq0atp-", 16),
    vendor("sq0csp-", 16),
    vendor("EAACEdEose0cBA", 10),
    vendor("ATATT3", 20),
    vendor("PMAK-", 20),
    vendor("tfp_", 20),
    vendor("nfp_", 20),
    vendor("key-", 32),
    vendor("AGE-SECRET-KEY-", 20),
];

/// With which bytes a key begins.
static BEGINS: [bool; 256] = {
    let mut begins = [false; 256];
    begins[b'e' as usize] = true;
    let mut index = 0;
    while index < VENDORS.len() {
        begins[VENDORS[index].prefix.as_bytes()[0] as usize] = true;
        index += 1;
    }
    begins
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_begins_as_a_uuid_may() {
        let foreign = |byte: u8| !(byte.is_ascii_hexdigit() || byte == b'-');
        for vendor in &VENDORS {
            assert!(vendor.prefix.bytes().any(foreign), "{}", vendor.prefix);
        }
    }

    #[test]
    fn keys_by_their_beginning() {
        let body = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6";
        for vendor in &VENDORS {
            let text = format!("{}{body}", vendor.prefix);
            assert_eq!(key(format!("{text}. x").as_bytes()), Some(text.len()), "{text}");
            let short = format!("{}ab", vendor.prefix);
            assert_eq!(key(short.as_bytes()), None, "{short}");
        }
        let token = format!("eyJhbGciOi.{body}.{body}");
        assert_eq!(key(format!("{token}\"").as_bytes()), Some(token.len()));
        assert_eq!(key(b"skeleton"), None);
    }
}
