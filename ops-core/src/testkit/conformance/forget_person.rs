use super::ok;
use crate::model::TenantId;
use crate::ports::ForgetPerson;

/// The contract of [`ForgetPerson`], for a person of whom `port` has traces.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn forget_person(port: &dyn ForgetPerson, tenant: &TenantId, person: &str) {
    assert!(!port.name().trim().is_empty(), "the person is told its name");
    assert!(
        ok("forget", port.forget(tenant, person).await) > 0,
        "there were traces"
    );
    assert_eq!(
        ok("forget again", port.forget(tenant, person).await),
        0,
        "nothing is left"
    );
}
