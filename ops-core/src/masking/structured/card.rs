use super::cluster::Cluster;
use super::number::is_luhn;
use super::view::Text;

/// The place after a card number that the cluster begins with, and whether nothing else looks like it.
///
/// `named`: whether a label says that it is one, so that issuers of the past count too.
pub(super) fn end(text: &Text<'_>, cluster: &Cluster, named: bool) -> Option<usize> {
    let is_right = |count: &usize| {
        let digits = cluster.digits(*count);
        let issued = is_issued(digits) || (named && (12..=19).contains(&digits.len()));
        let alike = digits.iter().all(|digit| *digit == digits[0]);
        issued && !alike && is_luhn(digits)
    };
    let mut shaped = SHAPES
        .iter()
        .map(|shape| (shape, shape.len()))
        .filter(|(shape, count)| cluster.is_shaped(shape) && cluster.ends(text, *count))
        .map(|(_, count)| count)
        .filter(is_right);
    let longest = shaped.next();
    // Groups that go on behind the longest begin another number: the shorter one, if right as well, is the card.
    let count = match longest {
        Some(count) if count < cluster.groups().len() => shaped.next_back().or(longest),
        Some(_) => longest,
        None => (cluster.ends(text, 1) && is_right(&1)).then_some(1),
    }?;
    Some(cluster.groups()[count - 1].end)
}

const SHAPES: [&[usize]; 6] = [
    &[4, 4, 4, 4, 3],
    &[4, 4, 4, 4, 2],
    &[4, 4, 4, 4],
    &[4, 6, 5],
    &[4, 6, 4],
    &[6, 13],
];

/// Whether an issuer gives out numbers of this beginning and length today.
fn is_issued(digits: &[u8]) -> bool {
    if digits.len() < 14 {
        return false;
    }
    let first = |count: usize| {
        digits[..count]
            .iter()
            .fold(0, |sum, digit| sum * 10 + u32::from(*digit))
    };
    let (two, three, four) = (first(2), first(3), first(4));
    match digits.len() {
        14 => matches!(three, 300..=305 | 309) || matches!(two, 36 | 38 | 39),
        15 => matches!(two, 34 | 37),
        16 => {
            two / 10 == 4
                || matches!(two, 51..=55 | 62 | 65 | 81)
                || matches!(three, 300..=305 | 309 | 644..=649)
                || matches!(two, 36 | 38 | 39)
                || matches!(four, 2221..=2720 | 3528..=3589 | 6011 | 2200..=2204)
                || is_maestro(four)
        }
        17 => two == 62,
        18 => matches!(two, 62 | 81) || is_maestro(four),
        19 => {
            matches!(two, 62 | 65 | 81)
                || two / 10 == 4
                || matches!(four, 3528..=3589 | 6011)
                || is_maestro(four)
        }
        _ => false,
    }
}

fn is_maestro(four: u32) -> bool {
    matches!(four, 5018..=5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end_of(text: &str, named: bool) -> Option<usize> {
        let text = Text::plain(text.as_bytes());
        let mut cluster = Cluster::new();
        cluster.read(&text, 0);
        end(&text, &cluster, named)
    }

    #[test]
    fn cards_of_every_issuer() {
        for number in [
            "4111111111111111",
            "4111-1111-1111-1111",
            "4111 1111 1111 1111",
            "5555555555554444",
            "2223003122003222",
            "2720990000000007",
            "378282246310005",
            "3782 822463 10005",
            "30569309025904",
            "3056-930902-5904",
            "6011111111111117",
            "3530111333300000",
            "6200000000000005",
            "6212345678901232",
            "6759649826438453",
        ] {
            assert_eq!(end_of(number, false), Some(number.len()), "{number}");
        }
    }

    #[test]
    fn a_card_ends_where_the_next_number_begins() {
        let card = "4111 1111 1111 1111";
        // With the first group of these, the digits are as many as those of the longest cards.
        for next in [
            "090 1234 5678",
            "03 1234 5678",
            "123",
            "12/29",
            "046",
            "192.168.0.1",
        ] {
            let text = format!("{card} {next}");
            assert_eq!(end_of(&text, false), Some(card.len()), "{text}");
            assert_eq!(end_of(&text, true), Some(card.len()), "{text}");
        }
        // Also where both have a right check digit.
        let both = (0..1000)
            .map(|group| format!("{card} {group:03}"))
            .filter(|text| end_of(text, false) == Some(text.len()));
        let mut longer = 0;
        for text in both {
            assert_eq!(end_of(&format!("{text} 1234"), false), Some(card.len()), "{text}");
            longer += 1;
        }
        assert_eq!(longer, 100);
    }

    #[test]
    fn what_is_no_card() {
        for number in [
            "4111111111111112",
            "4111-1111 1111-1111",
            "4111111111111111-1",
            "4111111111111111a",
            "0000000000000000",
            "1234567812345670",
            "4222222222222",
        ] {
            assert_eq!(end_of(number, false), None, "{number}");
        }
        assert!(end_of("4222222222222", true).is_some());
    }
}
