use std::time::Duration;

use crate::ports::Clock;

/// The contract of [`Clock`]. The clock must move by itself, or move when somebody sleeps.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn clock(port: &dyn Clock) {
    let mut last = port.monotonic();
    for _ in 0..1_000 {
        let now = port.monotonic();
        assert!(now >= last, "monotonic must never go back");
        last = now;
    }
    for nap in [Duration::ZERO, Duration::from_micros(1), Duration::from_millis(5)] {
        let before = port.monotonic();
        port.sleep(nap).await;
        let slept = port.monotonic().saturating_sub(before);
        assert!(slept >= nap, "sleep({nap:?}) must not end after {slept:?}");
    }
    assert!(
        port.now().as_unix_micros() > 0,
        "the wall clock must show a time after 1970"
    );
}
