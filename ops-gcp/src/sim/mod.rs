//! What the simulated control planes share.

pub(crate) mod refusal;
