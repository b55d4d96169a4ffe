/// A script of ours.
#[derive(Clone, Copy, Debug)]
pub(super) enum Script {
    Burst,
    Check,
    Denials,
    Publish,
    Strict,
}

impl Script {
    /// In the order of their numbers.
    pub(super) const ALL: [Self; 5] = [
        Self::Burst,
        Self::Check,
        Self::Denials,
        Self::Publish,
        Self::Strict,
    ];

    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Burst => concat!(
                include_str!("begin.lua"),
                include_str!("burst.lua"),
                include_str!("finish.lua")
            ),
            Self::Check => include_str!("check.lua"),
            Self::Denials => include_str!("denials.lua"),
            Self::Publish => include_str!("publish.lua"),
            Self::Strict => concat!(
                include_str!("begin.lua"),
                include_str!("strict.lua"),
                include_str!("finish.lua")
            ),
        }
    }
}
