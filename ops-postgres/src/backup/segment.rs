/// Where the segment of write-ahead log that `file` names ends; `None` for a file that is no segment (a `.history`). The backup history file
/// of a base backup (`….backup`) counts as the segment that it begins in.
pub(super) fn end(file: &str, segment_bytes: u64) -> Option<u64> {
    let name = file.get(..24)?;
    let is_one = name
        .bytes()
        .all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte));
    if !is_one || segment_bytes == 0 {
        return None;
    }
    let part = |range: std::ops::Range<usize>| u64::from_str_radix(name.get(range)?, 16).ok();
    let (log, segment) = (part(8..16)?, part(16..24)?);
    let in_log = (1_u64 << 32) / segment_bytes;
    (log * in_log + segment + 1).checked_mul(segment_bytes)
}

#[cfg(test)]
mod tests {
    use super::end;

    const MB: u64 = 1 << 20;

    #[test]
    fn a_segment_ends_where_the_next_one_begins_over_the_border_of_a_log_too() {
        assert_eq!(end("000000010000000000000000", 16 * MB), Some(16 * MB));
        assert_eq!(end("0000000100000000000000FF", 16 * MB), Some(1 << 32));
        assert_eq!(
            end("000000020000000100000000", 16 * MB),
            Some((1 << 32) + 16 * MB)
        );
        assert_eq!(end("00000002000000010000003F", 64 * MB), Some(2 << 32));
    }

    #[test]
    fn what_is_no_segment_ends_nowhere() {
        let label = "000000010000000000000003.00000028.backup";
        assert_eq!(end(label, 16 * MB), end("000000010000000000000003", 16 * MB));
        for name in [
            "",
            "00000002.history",
            "00000001000000000000000g",
            "日本語日本語日本語",
        ] {
            assert_eq!(end(name, 16 * MB), None, "{name}");
        }
    }
}
