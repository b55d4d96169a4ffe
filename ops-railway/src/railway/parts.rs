use ops_core::error::{Error, ErrorKind, Result, Retry};
use ops_core::model::Accepted;

use super::PROVIDER;

/// What became of the parts of one change. A part that fails keeps no other from being tried.
#[derive(Debug, Default)]
pub(super) struct Parts {
    done: Vec<String>,
    failed: Vec<(String, Error)>,
}

impl Parts {
    pub(super) fn record(&mut self, part: impl Into<String>, result: Result<()>) {
        match result {
            Ok(()) => self.done.push(part.into()),
            Err(error) => self.failed.push((part.into(), error)),
        }
    }

    /// Accepted with the parts as the receipt, or one error that says which parts failed and which were accepted.
    ///
    /// It may be tried again if that can help any part: the parts set a wanted state, so repeating them is harmless.
    pub(super) fn finish(self, operation: &'static str) -> Result<Accepted> {
        let retry = self.failed.iter().map(|(_, error)| retry_of(error)).reduce(wider);
        let failed: Vec<String> = self
            .failed
            .iter()
            .map(|(part, error)| format!("{part}: {}", error.kind()))
            .collect();
        let Some((_, first)) = self.failed.into_iter().next() else {
            return Ok(match self.done.is_empty() {
                true => Accepted::new(),
                false => Accepted::with_receipt(self.done.join(", ")),
            });
        };
        let mut error = Error::new(first.kind(), operation)
            .provider(PROVIDER)
            .with_retry(retry.unwrap_or(Retry::Never))
            .context("failed", failed.join("; "));
        if !self.done.is_empty() {
            error = error.context("accepted", self.done.join(", "));
        }
        Err(error.source(first))
    }
}

/// A part that met another state than it was decided on is decided anew by the next attempt.
fn retry_of(error: &Error) -> Retry {
    match error.kind() {
        ErrorKind::Conflict => Retry::Safe,
        _ => error.retry(),
    }
}

/// The longest wait where one is asked for; otherwise whether any part can be helped.
fn wider(one: Retry, other: Retry) -> Retry {
    match (one, other) {
        (Retry::After(one), Retry::After(other)) => Retry::After(one.max(other)),
        (Retry::After(wait), _) | (_, Retry::After(wait)) => Retry::After(wait),
        (Retry::Safe, _) | (_, Retry::Safe) => Retry::Safe,
        (kept, _) => kept,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, "x")
    }

    #[test]
    fn the_error_names_what_failed_and_what_was_accepted() {
        let mut parts = Parts::default();
        parts.record("auto-deploy off", Ok(()));
        parts.record("edge rule", Err(error(ErrorKind::PermissionDenied)));
        parts.record("stop d1", Err(error(ErrorKind::Unavailable)));
        let error = parts.finish("stop").unwrap_err();
        assert_eq!(
            (error.kind(), error.retry()),
            (ErrorKind::PermissionDenied, Retry::Safe)
        );
        let text = error.to_string();
        assert!(
            text.contains(
                "failed: edge rule: permission denied; stop d1: unavailable, accepted: auto-deploy off"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_wait_that_one_part_asks_for_holds_for_all() {
        let mut parts = Parts::default();
        parts.record("a", Err(error(ErrorKind::Timeout)));
        parts.record(
            "b",
            Err(error(ErrorKind::RateLimited).with_retry(Retry::After(Duration::from_secs(3)))),
        );
        parts.record("c", Err(error(ErrorKind::Conflict)));
        assert_eq!(
            parts.finish("stop").unwrap_err().retry(),
            Retry::After(Duration::from_secs(3))
        );
    }

    #[test]
    fn no_part_at_all_is_accepted_without_a_receipt() {
        assert_eq!(Parts::default().finish("stop").unwrap(), Accepted::new());
    }
}
