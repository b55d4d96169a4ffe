use super::ok;
use crate::model::TargetId;
use crate::ports::Inventory;

/// The contract of [`Inventory`]: exactly `expected` is deployed.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn inventory(port: &dyn Inventory, expected: &[TargetId]) {
    let deployed = ok("list services", port.deployed().await);
    let mut found: Vec<_> = deployed
        .services
        .iter()
        .map(|service| service.target.clone())
        .collect();
    let listed = found.len();
    found.sort();
    found.dedup();
    assert_eq!(found.len(), listed, "a service is listed twice");
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!(found, expected, "what is deployed, on every page");
    assert!(!deployed.read.is_empty(), "it must say where it looked");
    for target in &found {
        assert!(
            deployed
                .read
                .iter()
                .any(|scope| target.as_str().starts_with(scope.as_str())),
            "{target} lies in no part that was read: {:?}",
            deployed.read
        );
    }
    assert_eq!(
        ok("list again", port.deployed().await).services.len(),
        listed,
        "listing changes nothing"
    );
}
