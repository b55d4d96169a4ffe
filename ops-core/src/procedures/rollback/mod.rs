mod order;

pub use self::order::{Component, Inconsistent, Link, Release, RollbackStage};
