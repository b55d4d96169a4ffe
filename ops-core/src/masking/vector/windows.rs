/// A text of which windows are read: a step, and some bytes before and behind it.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Windows<'a> {
    /// The text, and the room around it.
    bytes: &'a [u8],
    /// How much of the room is in front of the text.
    front: usize,
    length: usize,
}

impl<'a> Windows<'a> {
    /// Those of `text`, of which the first and the last ones reach over its ends.
    pub(in super::super) fn of(text: &'a [u8]) -> Self {
        Self {
            bytes: text,
            front: 0,
            length: text.len(),
        }
    }

    /// Those of `text`. Of a short one, such as a line of a log, all are whole: it is copied into `room`, once for all that read it.
    #[inline]
    pub(in super::super) fn in_room(text: &'a [u8], room: &'a mut Room) -> Self {
        let Some(place) = room
            .0
            .get_mut(FRONT..FRONT + text.len())
            .filter(|_| text.len() <= SHORT)
        else {
            return Self::of(text);
        };
        place.copy_from_slice(text);
        Self {
            bytes: &room.0,
            front: FRONT,
            length: text.len(),
        }
    }

    /// How long the text is.
    #[inline]
    pub(in super::super) fn length(self) -> usize {
        self.length
    }

    /// The window of the step at `at`, which `before` bytes of the text belong to as well; `None` if it reaches over an end.
    #[inline]
    pub(in super::super) fn whole<const N: usize>(self, at: usize, before: usize) -> Option<&'a [u8; N]> {
        let from = (self.front + at).checked_sub(before)?;
        self.bytes.get(from..)?.first_chunk()
    }

    /// As [`whole`](Self::whole), filled up where there is no text.
    #[inline]
    pub(in super::super) fn padded<const N: usize>(self, at: usize, before: usize) -> [u8; N] {
        let text = &self.bytes[self.front..self.front + self.length];
        let mut window = [NOTHING; N];
        let from = at.saturating_sub(before);
        let shift = before.saturating_sub(at);
        let length = (text.len() - from).min(N - shift);
        window[shift..shift + length].copy_from_slice(&text[from..from + length]);
        window
    }
}

/// Room for a short text.
#[derive(Debug)]
pub(in super::super) struct Room([u8; FRONT + SHORT + BEHIND]);

impl Room {
    pub(in super::super) fn new() -> Self {
        Self([NOTHING; FRONT + SHORT + BEHIND])
    }
}

/// The longest text that is copied.
const SHORT: usize = 256;

/// More than any window reaches over either end.
const FRONT: usize = 4;
const BEHIND: usize = 72;

/// Stands where there is no text; nothing is found at it.
const NOTHING: u8 = b'\n';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_the_same_with_room_and_without() {
        let text: Vec<u8> = (0..SHORT + 40).map(|at| at as u8).collect();
        for length in (1..text.len()).filter(|length| *length < 140 || *length > SHORT - 3) {
            let text = &text[..length];
            let mut room = Room::new();
            let (tight, roomy) = (Windows::of(text), Windows::in_room(text, &mut room));
            assert_eq!((tight.length(), roomy.length()), (length, length));
            for (at, before) in (0..length).flat_map(|at| [(at, 0), (at, 1), (at, 2)]) {
                let expected: [u8; 69] = tight.padded(at, before);
                assert_eq!(roomy.padded::<69>(at, before), expected);
                assert!(
                    tight
                        .whole::<69>(at, before)
                        .is_none_or(|window| *window == expected)
                );
                let whole = roomy.whole::<69>(at, before);
                assert!(whole.is_none_or(|window| *window == expected), "{length} {at}");
                assert!(whole.is_some() || length > SHORT, "{length} {at}");
            }
        }
    }
}
