/// A script of ours.
#[derive(Clone, Copy, Debug)]
pub(super) enum Script {
    Burst,
    Check,
    Denials,
    Publish,
}

impl Script {
    /// In the order of their numbers.
    pub(super) const ALL: [Self; 4] = [Self::Burst, Self::Check, Self::Denials, Self::Publish];

    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Burst => include_str!("burst.lua"),
            Self::Check => include_str!("check.lua"),
            Self::Denials => include_str!("denials.lua"),
            Self::Publish => include_str!("publish.lua"),
        }
    }
}
