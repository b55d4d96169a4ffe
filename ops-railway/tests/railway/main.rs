//! Railway against its simulator, over real HTTP on this machine.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic, also outside the function that is marked as one"
)]

mod faults;
mod readiness;
mod stage;
mod stop_restore;
mod traps;
