use std::time::Duration;

use ops_core::model::Timestamp;

/// The latest time that a clock on the wall of some place means which shows this: no zone is further behind.
pub(super) fn latest(local: &str) -> Option<Timestamp> {
    let local: Timestamp = format!("{local}Z").parse().ok()?;
    Some(local + Duration::from_secs(12 * 60 * 60))
}

/// When the backup began by its `backup_label`, or later; `None`: it does not say.
pub(super) fn began(label: &[u8]) -> Option<Timestamp> {
    let label = String::from_utf8_lossy(label);
    let said = label.lines().find_map(|line| line.strip_prefix("START TIME: "))?;
    let mut words = said.split_whitespace();
    let local = format!("{}T{}", words.next()?, words.next()?);
    match words.next() {
        Some("UTC" | "GMT") => format!("{local}Z").parse().ok(),
        // What JST or CST is, is not known here.
        _ => latest(&local),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_in_utc_is_exact_and_one_of_another_zone_is_the_latest_that_it_can_be() {
        let at = |text: &str| Some(text.parse().unwrap());
        let label = "START WAL LOCATION: 0/2000028\nSTART TIME: 2026-11-27 06:00:00 UTC\nLABEL: x\n";
        assert_eq!(began(label.as_bytes()), at("2026-11-27T06:00:00Z"));
        let other = label.replace("UTC", "JST");
        assert_eq!(began(other.as_bytes()), at("2026-11-27T18:00:00Z"));
        for odd in ["", "START TIME: ", "START TIME: soon, perhaps", "LABEL: x\n"] {
            assert_eq!(began(odd.as_bytes()), None);
        }
    }
}
