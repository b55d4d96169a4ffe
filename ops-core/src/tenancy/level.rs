use serde::Serialize;

use crate::model::{PermissionLevel, Text};

/// What the six levels are called. Only the sixth has a name by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LevelNames([Text; 6]);

impl LevelNames {
    /// Names for the levels 1 to 5, lowest first; the sixth is 代表.
    pub fn new(lower: [Text; 5]) -> Self {
        let [one, two, three, four, five] = lower;
        Self([one, two, three, four, five, representative()])
    }

    /// What a level is called.
    pub fn name(&self, level: PermissionLevel) -> &Text {
        &self.0[usize::from(level.get() - 1)]
    }
}

impl Default for LevelNames {
    /// `レベル 1` to `レベル 5`, and 代表.
    fn default() -> Self {
        Self::new([1, 2, 3, 4, 5].map(|level| Text::new(format!("レベル {level}"), format!("level {level}"))))
    }
}

fn representative() -> Text {
    Text::new("代表", "representative")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Lang;

    #[test]
    fn the_sixth_level_is_the_representative_whatever_the_others_are_called() {
        let names = LevelNames::new(
            ["業務委託", "社員", "リーダー", "課長", "役員"].map(|name| Text::new(name, name)),
        );
        assert_eq!(names.name(PermissionLevel::LOWEST).get(Lang::Ja), "業務委託");
        assert_eq!(names.name(PermissionLevel::REPRESENTATIVE).get(Lang::Ja), "代表");
        assert_eq!(
            LevelNames::default().name(PermissionLevel::LOWEST).get(Lang::En),
            "level 1"
        );
    }
}
