use super::{ConfigFaults, OpsConfig};
use crate::model::Digest;

/// The two runbooks that this library was made from, as configurations to start with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// Soul-kun: Cloud Run and PostgreSQL.
    SoulKun,
    /// HRX-AI: Railway, Vercel and PostgreSQL.
    HrxAi,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 2] = [Self::SoulKun, Self::HrxAi];

    /// The name on a command line and of the example file: `soul-kun`, `hrx-ai`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SoulKun => "soul-kun",
            Self::HrxAi => "hrx-ai",
        }
    }

    /// The text, with comments, to copy and complete.
    pub fn text(self) -> &'static str {
        match self {
            Self::SoulKun => include_str!("presets/soul-kun.toml"),
            Self::HrxAi => include_str!("presets/hrx-ai.toml"),
        }
    }
}

/// The configuration of a preset. Its approvers are placeholders: nobody has the private halves of their keys.
///
/// # Errors
/// None in practice: the texts are part of the library, and a test reads them.
pub fn preset(preset: Preset) -> Result<OpsConfig, ConfigFaults> {
    OpsConfig::parse(preset.text())
}

/// Whether `key` is one of the two that stand in the presets.
pub(super) fn is_placeholder(key: &[u8; 32]) -> bool {
    PLACEHOLDERS
        .iter()
        .any(|text| Digest::of(text.as_bytes()).as_bytes() == key)
}

/// The hashes of these texts are public keys to which nobody has the private half.
const PLACEHOLDERS: [&str; 2] = ["ops placeholder approver 1.2", "ops placeholder approver 2.0"];
