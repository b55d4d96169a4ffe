//! What the simulated control planes share.

pub(crate) mod permissions;
pub(crate) mod refusal;
