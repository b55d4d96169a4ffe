use std::sync::Arc;

use crate::emergency::{Procedure, Step};
use crate::error::Result;
use crate::ports::Action;

/// What the LLM brain consists of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LlmBrain {
    /// Its kill switch.
    pub switch: Arc<dyn Action>,
    /// Its services.
    pub services: Vec<Arc<dyn Action>>,
    /// The database it writes to, if that is to be protected too.
    pub database: Option<Arc<dyn Action>>,
}

impl LlmBrain {
    /// A brain without a database.
    pub fn new(switch: Arc<dyn Action>, services: Vec<Arc<dyn Action>>) -> Self {
        Self {
            switch,
            services,
            database: None,
        }
    }

    /// Adds the database.
    #[must_use]
    pub fn with_database(mut self, database: Arc<dyn Action>) -> Self {
        self.database = Some(database);
        self
    }
}

/// Stops the LLM brain: kill switch, services and database at the same time. Opens in the reverse order of trust: first the database,
/// then the services, the switch last, each only after the one before has been seen to be back.
///
/// # Errors
/// As [`Procedure::new`].
pub fn llm_brain_stop(name: &str, brain: LlmBrain, settings: impl Fn(Step) -> Step) -> Result<Procedure> {
    let LlmBrain {
        switch,
        services,
        database,
    } = brain;
    let mut steps = vec![settings(Step::new(switch)).opening(2)];
    steps.extend(
        services
            .into_iter()
            .map(|service| settings(Step::new(service)).opening(1)),
    );
    steps.extend(database.map(|database| settings(Step::new(database)).opening(0)));
    Procedure::new(name, steps)
}
