use std::num::NonZeroUsize;
use std::str::from_utf8;

use super::BuiltinMasker;
use super::pieces::{Pieces, WINDOW};

/// Masks text that comes in chunks: however it is cut, the outcome is that of the whole.
///
/// Holds back the line that has not ended, at most 64 KiB of it, and a PEM block that has not ended, as much. A chunk may end within a
/// character. Bytes that are not UTF-8 become U+FFFD.
///
/// ```
/// use ops_core::masking::BuiltinMasker;
///
/// let mut stream = BuiltinMasker::new().stream();
/// let mut out = String::new();
/// for byte in "連絡先 tanaka@example.com\n".bytes() {
///     stream.push(&[byte], &mut out);
/// }
/// stream.finish(&mut out);
/// assert_eq!(out, "連絡先 t***@example.com\n");
/// ```
#[derive(Debug)]
pub struct MaskStream {
    masker: BuiltinMasker,
    workers: usize,
    pieces: Pieces,
    /// What is not masked yet.
    text: String,
    /// The front of a character.
    front: Vec<u8>,
}

impl MaskStream {
    pub(super) fn new(masker: BuiltinMasker) -> Self {
        Self {
            masker,
            workers: 1,
            pieces: Pieces::default(),
            text: String::new(),
            front: Vec::new(),
        }
    }

    /// Masks large chunks on so many threads; the outcome is the same. Default: 1.
    #[must_use]
    pub fn with_workers(mut self, workers: NonZeroUsize) -> Self {
        self.workers = workers.get();
        self
    }

    /// Takes a chunk, and appends to `out` what is masked now.
    pub fn push(&mut self, chunk: &[u8], out: &mut String) {
        self.take(chunk);
        // Without a look at what is held already, or bytes that come one by one would take quadratic time.
        if memchr::memchr(b'\n', chunk).is_some() || !self.pieces.waits(self.text.len()) {
            self.drain(false, out);
        }
    }

    /// Appends the rest to `out`. The stream then begins anew.
    pub fn finish(&mut self, out: &mut String) {
        if !self.front.is_empty() {
            self.front.clear();
            self.text.push(char::REPLACEMENT_CHARACTER);
        }
        self.drain(true, out);
        self.pieces = Pieces::default();
    }

    /// Whether something is held back.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.front.is_empty()
    }

    /// Appends `chunk` to the text.
    fn take(&mut self, chunk: &[u8]) {
        if self.front.is_empty() {
            self.take_bytes(chunk);
        } else {
            let mut bytes = std::mem::take(&mut self.front);
            bytes.extend_from_slice(chunk);
            self.take_bytes(&bytes);
        }
    }

    fn take_bytes(&mut self, mut bytes: &[u8]) {
        loop {
            let error = match from_utf8(bytes) {
                Ok(text) => return self.text.push_str(text),
                Err(error) => error,
            };
            let (valid, rest) = bytes.split_at(error.valid_up_to());
            self.text.push_str(from_utf8(valid).unwrap_or_default());
            let Some(length) = error.error_len() else {
                self.front = rest.to_vec();
                return;
            };
            self.text.push(char::REPLACEMENT_CHARACTER);
            bytes = &rest[length..];
        }
    }

    fn drain(&mut self, last: bool, out: &mut String) {
        let mut at = self.drain_in_parallel(out);
        while let Some(piece) = self.pieces.next(&self.masker, &self.text[at..], last) {
            let end = at + piece.length;
            match piece.edited {
                Some(edited) => out.push_str(&edited),
                None => out.push_str(&self.text[at..end]),
            }
            at = end;
        }
        self.text.drain(..at);
    }

    /// Shares whole lines out to the workers; gives how much of the text is done.
    fn drain_in_parallel(&mut self, out: &mut String) -> usize {
        if self.workers == 1 || self.text.len() < 2 * WINDOW {
            return 0;
        }
        let share = (self.text.len() / self.workers).max(WINDOW);
        let (mut shares, mut from, mut end) = (Vec::new(), 0, 0);
        loop {
            let ready = self.pieces.ready(&self.text[end..]);
            end += ready;
            if end > from && (ready == 0 || end - from >= share) {
                shares.push(from..end);
                from = end;
            }
            if ready == 0 {
                break;
            }
        }
        let text = &self.text[..end];
        let (masker, pieces) = (&self.masker, &self.pieces);
        let mask = |share: &str| {
            let mut pieces = pieces.clone();
            pieces.begin(text);
            pieces.edit_all(masker, share)
        };
        std::thread::scope(|scope| {
            let tasks: Vec<_> = shares
                .iter()
                .map(|range| scope.spawn(|| mask(&text[range.clone()])))
                .collect();
            for (range, task) in shares.iter().zip(tasks) {
                match task.join() {
                    Ok(None) => out.push_str(&text[range.clone()]),
                    Ok(Some(edited)) => out.push_str(&edited),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        self.pieces.begin(text);
        end
    }
}
