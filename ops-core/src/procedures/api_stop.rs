use std::sync::Arc;

use crate::emergency::{Procedure, Step};
use crate::error::Result;
use crate::ports::Action;

/// Stops the given services at once, each with a result of its own.
///
/// ```
/// use std::sync::Arc;
/// use ops_core::actions::StopTraffic;
/// use ops_core::memory::InMemoryTraffic;
/// use ops_core::model::TargetId;
/// use ops_core::procedures::api_stop;
///
/// let traffic = Arc::new(InMemoryTraffic::new());
/// let target = TargetId::new("memory:chatwork-webhook")?;
/// traffic.add_service(target.clone());
/// let stop = api_stop("api-stop", vec![Arc::new(StopTraffic::new(traffic, target, "chatwork-webhook"))], |step| step)?;
/// assert_eq!(stop.name(), "api-stop");
/// # Ok::<(), ops_core::error::Error>(())
/// ```
///
/// # Errors
/// As [`Procedure::new`].
pub fn api_stop(
    name: &str,
    services: Vec<Arc<dyn Action>>,
    settings: impl Fn(Step) -> Step,
) -> Result<Procedure> {
    Procedure::new(
        name,
        services
            .into_iter()
            .map(|service| settings(Step::new(service)))
            .collect(),
    )
}
