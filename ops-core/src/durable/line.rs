/// One line of a file: the CRC-32C of the text as eight hexadecimal digits, a space, the text (JSON), a line feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Position in the file, from 1.
    pub(crate) number: u64,
    /// The text, or what is wrong with the line.
    pub(crate) text: Result<String, &'static str>,
}

/// Writes a line.
pub(super) fn encode(json: &str) -> String {
    format!("{:08x} {json}\n", crc32c::crc32c(json.as_bytes()))
}

/// Splits bytes into lines, the first of which has the number `first`, and says how many bytes they take.
///
/// What is left over is the torn end of an append that a crash cut short: a line without its line feed, or, where a disk
/// kept the length but not the bytes, a last line with zero bytes. Neither was ever acknowledged.
pub(super) fn split(bytes: &[u8], first: u64) -> (Vec<Line>, usize) {
    let mut lines = Vec::new();
    let mut taken = 0;
    for (number, line) in (first..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        let last = taken + line.len() == bytes.len();
        if last && is_torn(line) {
            break;
        }
        taken += line.len();
        lines.push(Line {
            number,
            text: decode(line),
        });
    }
    (lines, taken)
}

/// Whether `line`, the last of a file, was cut short.
pub(super) fn is_torn(line: &[u8]) -> bool {
    !line.ends_with(b"\n") || line.contains(&0)
}

fn decode(line: &[u8]) -> Result<String, &'static str> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let text = str::from_utf8(line).map_err(|_| "is not UTF-8")?;
    let (sum, json) = text.split_once(' ').ok_or("has no checksum")?;
    let wanted = u32::from_str_radix(sum, 16).map_err(|_| "has no checksum")?;
    if sum.len() != 8 || wanted != crc32c::crc32c(json.as_bytes()) {
        return Err("does not fit its checksum");
    }
    Ok(json.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_leaves_whole_lines() {
        let whole = ["{}", "{\"名\":1}", "[]"].map(encode).concat();
        for cut in 0..=whole.len() {
            let bytes = &whole.as_bytes()[..cut];
            let (lines, taken) = split(bytes, 1);
            assert!(lines.iter().all(|line| line.text.is_ok()), "cut at {cut}");
            assert_eq!(
                lines.len(),
                bytes.iter().filter(|byte| **byte == b'\n').count(),
                "cut at {cut}"
            );
            assert!(whole[..taken].is_empty() || whole[..taken].ends_with('\n'));
        }
    }

    #[test]
    fn zero_bytes_are_torn_at_the_end_and_a_fault_before_it() {
        let good = encode("{}");
        let hole = format!("{}\n", "\0".repeat(9));
        assert_eq!(split(format!("{good}{hole}").as_bytes(), 1).0.len(), 1);
        let (lines, _) = split(format!("{good}{hole}{good}").as_bytes(), 1);
        assert!(lines[1].text.is_err() && lines[2].text.is_ok());
    }

    #[test]
    fn a_flipped_bit_is_seen() {
        let whole = encode("{\"a\":1}");
        for at in 0..whole.len() - 1 {
            let mut bytes = whole.clone().into_bytes();
            bytes[at] ^= 1;
            let (lines, _) = split(&bytes, 1);
            assert!(lines.iter().any(|line| line.text.is_err()), "bit at {at}");
        }
    }
}
