use super::fresh;
use crate::model::{Check, CheckState, TargetId};
use crate::ports::ReadinessProbe;

/// The contract of [`ReadinessProbe`]: `target` is ready, and another one of the same form is not. Only the right to write may be unknown, where a
/// vendor has no dry way to prove it.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn readiness_probe(port: &dyn ReadinessProbe, target: &TargetId, unknown: &TargetId) {
    let checks = port.examine(std::slice::from_ref(target)).await;
    assert!(!checks.is_empty(), "nothing was checked");
    let proven = |check: &&Check| check.name != "permission:write" || check.state != CheckState::Unknown;
    for check in checks.iter().filter(proven) {
        assert_eq!(
            check.state,
            CheckState::Ready,
            "a target that is ready: {check:?}"
        );
        assert!(check.remedy.is_none(), "a remedy for nothing: {check:?}");
    }
    assert!(
        checks.iter().any(|check| check.subject == target.as_str()),
        "no check is about {target}"
    );

    let checks = port.examine(&[target.clone(), unknown.clone()]).await;
    let about: Vec<_> = checks
        .iter()
        .filter(|check| check.subject == unknown.as_str())
        .collect();
    assert!(
        about.iter().any(|check| check.state != CheckState::Ready),
        "a target that does not exist is ready: {about:?}"
    );
    for check in checks.iter().filter(|check| check.state != CheckState::Ready) {
        assert!(check.remedy.is_some(), "no remedy: {check:?}");
    }

    // A form that no provider knows is an answer too.
    let strange = TargetId::new(format!("elsewhere:{}", fresh("none")));
    if let Ok(strange) = strange {
        let checks = port.examine(&[strange]).await;
        assert!(
            checks.iter().any(|check| check.state != CheckState::Ready),
            "a target of another system is ready"
        );
    }
}
