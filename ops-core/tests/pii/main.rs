//! How well the detector finds what it should: on texts made here, and on the development set beside a checkout.
//!
//! The set is not part of this repository: `OPS_PII_DIR` names the folder that holds it.

#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

mod development;
mod made;
mod neighbours;
mod property;
mod score;
mod templates;
mod written;
