use ops_core::model::Timestamp;
use serde_json::{Map, Value};

use super::refusal::Refusal;

/// A resumable upload.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) bucket: String,
    pub(super) name: String,
    pub(super) seed: Map<String, Value>,
    pub(super) only_new: bool,
    pub(super) begun: Timestamp,
    pub(super) bytes: Vec<u8>,
    pub(super) total: Option<u64>,
    /// The generation that it became.
    pub(super) ended: Option<u64>,
    /// Why it became none: it is said each time.
    pub(super) refused: Option<Refusal>,
}

/// `Content-Range` of an upload.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// First and last byte; without, the request asks where the upload stands.
    pub(super) bytes: Option<(u64, u64)>,
    pub(super) total: Option<u64>,
}

impl ContentRange {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
        let total = match total {
            "*" => None,
            total => Some(total.parse().ok()?),
        };
        let bytes = match range {
            "*" => None,
            range => {
                let (first, last) = range.split_once('-')?;
                let (first, last) = (first.parse().ok()?, last.parse().ok()?);
                (first <= last).then_some(Some((first, last)))?
            }
        };
        Some(Self { bytes, total })
    }
}

impl Upload {
    /// Takes bytes, at most `most` of them. Overlapping ones are skipped.
    pub(super) fn take(
        &mut self,
        range: &ContentRange,
        body: &[u8],
        most: Option<usize>,
    ) -> Result<(), Refusal> {
        if let (Some(known), Some(told)) = (self.total, range.total)
            && known != told
        {
            return Err(Refusal::invalid("the total size has changed"));
        }
        self.total = self.total.or(range.total);
        let stands = self.bytes.len() as u64;
        let Some((first, last)) = range.bytes else {
            return match body.is_empty() {
                true => Ok(()),
                false => Err(Refusal::invalid("a question has no body")),
            };
        };
        if last - first + 1 != body.len() as u64 {
            return Err(Refusal::invalid("Content-Range does not fit the body"));
        }
        if self.total.is_some_and(|total| last >= total) {
            return Err(Refusal::invalid("more bytes than the total size"));
        }
        let is_last = range.total.is_some_and(|total| last + 1 == total);
        if !is_last && !body.len().is_multiple_of(CHUNK) {
            return Err(Refusal::invalid("a chunk must be a multiple of 256 KiB"));
        }
        if first > stands {
            return Err(Refusal::invalid("the upload stands before this"));
        }
        let known = usize::try_from(stands - first)
            .unwrap_or(usize::MAX)
            .min(body.len());
        let new = &body[known..];
        self.bytes
            .extend_from_slice(&new[..most.unwrap_or(new.len()).min(new.len())]);
        Ok(())
    }

    /// Whether every byte is there.
    pub(super) fn is_whole(&self) -> bool {
        self.total == Some(self.bytes.len() as u64)
    }
}

const CHUNK: usize = 256 * 1024;
