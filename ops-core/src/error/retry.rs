use std::time::Duration;

/// Whether the same call may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// It will fail the same way, or repeating is not harmless.
    Never,
    /// It may be made again at once or after the policy's own delay.
    Safe,
    /// It may be made again, not before this long.
    After(Duration),
}
