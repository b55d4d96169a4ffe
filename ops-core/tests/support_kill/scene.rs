use super::vendor::Opens;

/// What is going on when the process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    /// It stops.
    Stop,
    /// It restores.
    Restore,
    /// It stops while the journal cannot be reached.
    StopInOutage,
    /// It restores what was stopped while the journal could not be reached; now it can.
    RestoreAfterOutage,
    /// It restores while another operator stops again.
    RestoreRaced,
    /// It takes up a stop that was killed before.
    Resume,
    /// It restores through a gate.
    RestoreGated,
    /// It restores one target in parts, with a gate after each.
    RestoreRamped,
    /// It restores, and goes back to stopped because a gate fails.
    RestoreTurned,
    /// It aborts a restore that was killed before.
    Abort,
    /// It closes the review of a broken glass.
    Review,
    /// It gives up what a stop holds.
    Forget,
}

pub(super) const SCENES: [Scene; 12] = [
    Scene::Stop,
    Scene::Restore,
    Scene::StopInOutage,
    Scene::RestoreAfterOutage,
    Scene::RestoreRaced,
    Scene::Resume,
    Scene::RestoreGated,
    Scene::RestoreRamped,
    Scene::RestoreTurned,
    Scene::Abort,
    Scene::Review,
    Scene::Forget,
];

impl Scene {
    /// Where it is killed; everywhere, if nothing is said: what leads there is the same as in another scene.
    pub(super) fn own_points(self) -> &'static [&'static str] {
        match self {
            Self::RestoreGated => &["run.gate.", "step.verified."],
            Self::RestoreRamped => &[
                "run.gate.",
                "step.intent.",
                "step.applied.",
                "step.verified.",
                "vendor.",
            ],
            Self::RestoreTurned => &[
                "run.gate.",
                "run.aborted.",
                "step.hold.",
                "step.closed_again.",
                "run.ended.",
                "run.published.",
                "vendor.stop.half",
            ],
            Self::Abort => &[
                "run.aborted.",
                "step.hold.",
                "step.closed_again.",
                "run.ended.",
                "vendor.stop.half",
            ],
            Self::Review => &["run.reviewed."],
            Self::Forget => &["run.forgotten.", "step.release."],
            _ => &[""],
        }
    }

    pub(super) fn opening(self) -> Opens {
        match self {
            Self::RestoreGated | Self::RestoreTurned => Opens::Gated,
            Self::RestoreRamped => Opens::Ramped,
            _ => Opens::AtOnce,
        }
    }
}
