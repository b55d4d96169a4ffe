use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::{ApprovalPolicy, AutomationLimits, Gate, Rule};
use crate::error::{Error, ErrorKind, Result};
use crate::masking::target_named;
use crate::model::{Share, TargetId};
use crate::ports::Action;
use crate::resilience::RetryPolicy;

/// One action and how it is carried out.
#[derive(Clone, Debug)]
pub struct Step {
    pub(super) action: Arc<dyn Action>,
    pub(super) closing: u32,
    pub(super) opening: u32,
    pub(super) timeout: Duration,
    pub(super) settle: Duration,
    pub(super) promised: Duration,
    pub(super) retry: RetryPolicy,
    pub(super) ramp: Vec<Share>,
}

impl Step {
    /// A step that stops with all others at once, opens in stage 0, may take 30 s to be accepted and 30 s to be seen, and
    /// promises 60 s.
    pub fn new(action: Arc<dyn Action>) -> Self {
        Self {
            action,
            closing: 0,
            opening: 0,
            timeout: Duration::from_secs(30),
            settle: Duration::from_secs(30),
            promised: Duration::from_secs(60),
            retry: RetryPolicy::default(),
            ramp: Vec::new(),
        }
    }

    /// Stops in this stage; the steps of a stage run at the same time, stages one after the other. A stage that fails does not
    /// keep the next one from running.
    #[must_use]
    pub fn closing(mut self, stage: u32) -> Self {
        self.closing = stage;
        self
    }

    /// Is restored in this stage. A stage that does not verify keeps the next ones from running.
    #[must_use]
    pub fn opening(mut self, stage: u32) -> Self {
        self.opening = stage;
        self
    }

    /// How long the provider may take to accept, retries included.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long the read-back may take to show the wanted state.
    #[must_use]
    pub fn with_settle(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }

    /// How fast the step promises to be, from its start to its verdict.
    #[must_use]
    pub fn with_promise(mut self, promised: Duration) -> Self {
        self.promised = promised;
        self
    }

    /// How often the provider is asked.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Whether its target can be opened in parts.
    pub fn splits(&self) -> bool {
        self.action.ramp().is_some()
    }

    /// Is opened for these shares of the users, one after the other, before the whole is restored: each in a stage of its own, behind the
    /// gate that follows the opening stage.
    #[must_use]
    pub fn with_ramp(mut self, shares: impl IntoIterator<Item = Share>) -> Self {
        self.ramp = shares.into_iter().collect();
        self
    }
}

/// Somebody to tell, and how to call them.
#[derive(Clone, Debug)]
pub struct Contact {
    audience: String,
    phone: Option<SecretString>,
}

impl Contact {
    /// A channel or a person, as the notifier knows them.
    pub fn new(audience: impl Into<String>) -> Self {
        Self {
            audience: audience.into(),
            phone: None,
        }
    }

    /// Adds the number to call. It is shown to the operator and goes nowhere else.
    #[must_use]
    pub fn with_phone(mut self, phone: SecretString) -> Self {
        self.phone = Some(phone);
        self
    }

    /// The channel or person.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The number to call.
    pub fn phone(&self) -> Option<&SecretString> {
        self.phone.as_ref()
    }
}

/// What to stop, in which order to open it again, who must agree and who is told.
#[derive(Clone, Debug)]
pub struct Procedure {
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
    pub(super) stop_approval: ApprovalPolicy,
    pub(super) restore_approval: ApprovalPolicy,
    pub(super) gates: Vec<Gate>,
    pub(super) jitter: Duration,
    contacts: Vec<Contact>,
    pub(super) watched: Vec<Arc<dyn Action>>,
    pub(super) rules: Vec<Rule>,
    pub(super) automation: AutomationLimits,
}

impl Procedure {
    /// A procedure. Stops need no approval, restores need two persons.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] without steps, when two steps act on the same target, or for a ramp of a step that cannot be opened in parts or
    /// whose shares do not rise to less than the whole.
    pub fn new(name: impl Into<String>, steps: Vec<Step>) -> Result<Self> {
        let wrong =
            |why: &str| Err(Error::new(ErrorKind::InvalidConfig, "build procedure").context("steps", why));
        let targets: BTreeSet<_> = steps.iter().map(|step| step.action.target()).collect();
        if steps.is_empty() {
            return wrong("a procedure needs at least one step");
        }
        if targets.len() != steps.len() {
            return wrong("two steps act on the same target; the journal keeps one prior state per target");
        }
        if let Some(fault) = steps.iter().find_map(Step::ramp_fault) {
            return wrong(&fault);
        }
        Ok(Self {
            name: name.into(),
            steps,
            stop_approval: ApprovalPolicy::stop(),
            restore_approval: ApprovalPolicy::restore(),
            gates: Vec::new(),
            jitter: Duration::ZERO,
            contacts: Vec::new(),
            watched: Vec::new(),
            rules: Vec::new(),
            automation: AutomationLimits::default(),
        })
    }

    /// Sets who must agree to a stop.
    #[must_use]
    pub fn with_stop_approval(mut self, policy: ApprovalPolicy) -> Self {
        self.stop_approval = policy;
        self
    }

    /// Sets who must agree to a restore.
    #[must_use]
    pub fn with_restore_approval(mut self, policy: ApprovalPolicy) -> Self {
        self.restore_approval = policy;
        self
    }

    /// Adds a target that rules look at. It is observed, and never acted on.
    #[must_use]
    pub fn watching(mut self, action: Arc<dyn Action>) -> Self {
        self.watched.push(action);
        self
    }

    /// Adds a rule that a stop keeps.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for a name that is taken, and for a target that is neither a step nor [watched](Self::watching).
    pub fn with_rule(mut self, rule: Rule) -> Result<Self> {
        let wrong = |why: String| {
            Err(Error::new(ErrorKind::InvalidConfig, "build procedure")
                .context("rule", rule.name())
                .context("fault", why))
        };
        let taken = |known: &Rule| known.name() == rule.name();
        if rule.name() == super::glass::APPROVALS || self.rules.iter().any(taken) {
            return wrong("its name is taken".to_owned());
        }
        let watched = |target| self.watched.iter().any(|action| action.target() == target);
        let mut unseen = rule
            .rule()
            .targets()
            .filter(|target| self.action(target).is_none() && !watched(*target));
        if let Some(target) = unseen.next() {
            return wrong(format!("{} is neither a step nor watched", target_named(target)));
        }
        drop(unseen);
        self.rules.push(rule);
        Ok(self)
    }

    /// Sets how much automation may stop.
    #[must_use]
    pub fn with_automation(mut self, limits: AutomationLimits) -> Self {
        self.automation = limits;
        self
    }

    /// The rules that a stop keeps.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Over how long the steps of an opening stage begin, so that not all targets come back at once. Default: zero. Stops never wait.
    #[must_use]
    pub fn with_jitter(mut self, window: Duration) -> Self {
        self.jitter = window;
        self
    }

    /// Adds somebody who is told after a run.
    #[must_use]
    pub fn with_contact(mut self, contact: Contact) -> Self {
        self.contacts.push(contact);
        self
    }

    pub(super) fn step(&self, target: &TargetId) -> Option<&Step> {
        self.steps.iter().find(|step| step.action.target() == target)
    }

    /// The name; a run is resumed and restored with the procedure of the same name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who is told.
    pub fn contacts(&self) -> &[Contact] {
        &self.contacts
    }
}
