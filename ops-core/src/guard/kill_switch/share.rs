//! Who is let in while a feature is partly open. The numbers are a contract: other versions and machines must decide alike.

/// What a feature adds to the hash, so that not the same people come first everywhere.
pub(super) fn feature_key(feature: &str) -> u64 {
    fnv(0xcbf2_9ce4_8422_2325, feature)
}

/// Whether `subject` is among the first `share` hundredths of a percent.
pub(super) fn is_admitted(key: u64, subject: &str, share: u16) -> bool {
    scattered(fnv(key ^ 0xff, subject)) % 10_000 < u64::from(share)
}

/// FNV-1a.
fn fnv(start: u64, text: &str) -> u64 {
    text.bytes().fold(start, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The last step of SplitMix64: ids that count upwards differ in every bit.
fn scattered(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_the_share_is_let_in_and_nobody_falls_out_when_it_grows() {
        let key = feature_key("llm-brain");
        let mut before: Vec<String> = Vec::new();
        for share in [1, 100, 1_000, 5_000, 10_000] {
            let subjects = (0..20_000).map(|at| format!("user-{at}"));
            let admitted: Vec<_> = subjects
                .filter(|subject| is_admitted(key, subject, share))
                .collect();
            let wanted = 2 * usize::from(share);
            assert!(
                admitted.len().abs_diff(wanted) <= wanted / 5 + 10,
                "{share}: {}",
                admitted.len()
            );
            assert!(before.iter().all(|subject| admitted.contains(subject)));
            before = admitted;
        }
        assert_eq!(before.len(), 20_000);
    }

    #[test]
    fn who_is_let_in_is_the_same_in_every_version() {
        let first = |feature: &str| {
            let key = feature_key(feature);
            (0..).find(|at| is_admitted(key, &format!("user-{at}"), 100))
        };
        assert_eq!((first("llm-brain"), first("search")), FIRST);
    }

    const FIRST: (Option<u32>, Option<u32>) = (Some(34), Some(109));
}
