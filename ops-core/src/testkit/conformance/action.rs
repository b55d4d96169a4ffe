use super::ok;
use super::stoppable::Stoppable;
use crate::model::{Effect, Lang};
use crate::ports::Action;

/// The contract of [`Action`]. Its target must be serving, and is so again afterwards; the action must be reversible.
///
/// # Panics
/// With the clause that `action` breaks.
pub async fn action(action: &dyn Action) {
    assert_eq!(
        action.effect(),
        Effect::Reversible,
        "the suite stops and restores, so the action must be reversible"
    );
    for lang in [Lang::Ja, Lang::En] {
        for text in [action.describe(), action.describe_restore()] {
            let line = text.get(lang);
            assert!(
                !line.trim().is_empty() && !line.contains('\n'),
                "a description must be one line in {lang:?}: {line:?}"
            );
        }
    }
    let serving = ok("observe", action.observe().await);
    assert!(
        !action.verify(&serving).holds(),
        "verify must not hold before the action was applied"
    );
    Stoppable::Action(action).stops_and_restores_exactly().await;
    let serving = ok("observe", action.observe().await);
    assert!(
        !action.verify(&serving).holds(),
        "verify must not hold after a restore"
    );
}
