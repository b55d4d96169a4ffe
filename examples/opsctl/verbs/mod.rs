//! One file a verb.

pub(crate) mod abort;
pub(crate) mod approve;
pub(crate) mod audit;
pub(crate) mod audit_evidence;
pub(crate) mod audit_proof;
pub(crate) mod db;
pub(crate) mod detect;
pub(crate) mod doctor;
pub(crate) mod drill;
pub(crate) mod drill_evidence;
pub(crate) mod mask;
pub(crate) mod metrics;
pub(crate) mod plan;
pub(crate) mod restore;
pub(crate) mod resume;
pub(crate) mod reviews;
pub(crate) mod runs;
pub(crate) mod sim;
pub(crate) mod stop;
pub(crate) mod switch;
pub(crate) mod timeline;
