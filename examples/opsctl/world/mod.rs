//! The configuration made real: providers, procedures, approvers.

mod checkup;
mod database;
mod dates;
mod drills;
mod evidence;
mod incidents;
mod platforms;
mod purpose;
mod rules;
mod storage;
mod trail;
mod unreachable;
mod users;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ops_core::Ops;
use ops_core::actions::{StopTraffic, SwitchOff};
use ops_core::config::{Env, GateAfter, GateConfig, OpsConfig, ProcedureConfig, ProcedureKind};
use ops_core::emergency::{ApprovalPolicy, Approver, Approvers, Contact, Gate, Procedure, Step};
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::file::DirectoryArchive;
use ops_core::http::HttpHealthProbe;
use ops_core::model::{Actor, Share, TargetId, Text, Timestamp};
use ops_core::ports::{
    Action, EvidenceArchive, HealthProbe, QueueInspector, QueuesFound, SwitchHint, SwitchHints,
};
use ops_core::procedures::{LlmBrain, api_stop, database_read_only, llm_brain_stop};

pub(crate) use self::checkup::examination;
use self::database::parted;
pub(crate) use self::database::{DATABASE_PROCEDURE, Database, TIMEOUTS_PROCEDURE, database_procedure};
pub(crate) use self::dates::{Dates, Known, Written};
pub(crate) use self::drills::DrillsTogether;
pub(crate) use self::evidence::evidence_source;
pub(crate) use self::incidents::{IncidentsTogether, perhaps_elsewhere};
use self::platforms::Platforms;
pub(crate) use self::purpose::Purpose;
use self::storage::Storage;
pub(crate) use self::storage::shared_drills;
use self::users::USER_PROCEDURE;
pub(crate) use self::users::{StopOfUser, UserId};
use crate::archive_place::ArchivePlace;
use crate::exit::Failure;
use crate::progress::Progress;

/// The procedures behind `opsctl switch stop` begin so.
pub(crate) const SWITCH_PROCEDURE: &str = "switch:";

/// What the switch of `feature` is called in journals.
pub(crate) fn switch_target(feature: &str) -> Result<TargetId> {
    TargetId::new(format!("switch:{feature}"))
}

/// Everything that a verb acts on.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) config: OpsConfig,
    pub(crate) ops: Ops,
    pub(crate) approvers: Approvers,
    /// What could not be connected, for the operator.
    pub(crate) warnings: Vec<Text>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) incidents: Arc<IncidentsTogether>,
    /// What is due, and what was done.
    pub(crate) dates: Dates,
    platforms: Platforms,
    database: Option<Database>,
    hints: Option<Arc<dyn SwitchHints>>,
    contacts: Vec<(String, Contact)>,
    actor: Actor,
}

impl World {
    /// Connects what `config` names. What cannot be reached becomes a warning, not an error: a stop needs nothing but its vendor.
    ///
    /// `database` stands in for the configured one.
    pub(crate) async fn build(
        config: OpsConfig,
        env: &Env,
        actor: &Actor,
        database: Option<Database>,
        progress: Arc<Progress>,
        purpose: Purpose,
    ) -> Result<Self, Failure> {
        let Storage {
            providers,
            database: configured,
            mut warnings,
            hints,
            incidents,
            dates,
        } = Storage::connect(&config, env, database.is_none(), purpose).await?;
        let mut platforms = Platforms::new(&config, env, &providers.clock)?;
        warnings.append(&mut platforms.warnings);
        let approvers = config
            .approvers
            .iter()
            .map(|approver| Approver::new(&approver.name, &hex(&approver.public_key)));
        let approvers = approvers.collect::<Result<Approvers>>()?;
        let contact = |contact: &ops_core::config::ContactConfig| {
            let phone = contact.phone_env.as_deref().and_then(|name| env.secret(name));
            let made = Contact::new(&contact.audience);
            (
                contact.audience.clone(),
                phone.map_or(made.clone(), |phone| made.with_phone(phone)),
            )
        };
        let contacts = config.contacts.iter().map(contact).collect();
        for approver in config.placeholder_approvers() {
            let name = &approver.name;
            warnings.push(Text::new(
                format!("承認者 {name} の公開鍵は見本のままです。復旧の承認ができません"),
                format!("approver {name} still has the sample key: nobody can approve a restore with it"),
            ));
        }
        let ops = Ops::new(providers, config.tenant.clone())
            .with_review_due(config.approvals.review_due)
            .with_watch(Arc::clone(&progress) as _);
        let database = database.or(configured);
        Ok(Self {
            config,
            ops,
            approvers,
            warnings,
            progress,
            incidents,
            dates,
            platforms,
            database,
            hints,
            contacts,
            actor: actor.clone(),
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.ops.providers().clock.now()
    }

    /// The procedure of that name; `services` narrows it.
    pub(crate) fn procedure(&self, name: &str, services: &Option<Vec<String>>) -> Result<Procedure, Failure> {
        if let Some(feature) = name.strip_prefix(SWITCH_PROCEDURE) {
            if !self.config.switches.iter().any(|switch| switch.name == feature) {
                return Err(Failure::usage(
                    format!("there is no switch {feature}"),
                    "see `opsctl switch list`",
                ));
            }
            return Ok(self.approvals(Procedure::new(name, vec![Step::new(self.switch(feature)?)])?));
        }
        if let Some(of_user) = name.strip_prefix(USER_PROCEDURE) {
            let stop = StopOfUser::read(of_user)?;
            return Ok(self.approvals(self.stop_of_user(&stop)?));
        }
        if name == TIMEOUTS_PROCEDURE {
            let timeouts = self.timeouts()?;
            return Ok(self.approvals(Procedure::new(name, vec![Step::new(Arc::new(timeouts))])?));
        }
        let (base, strength) = parted(name)?;
        let Some(config) = self.config.procedure(base) else {
            if base == DATABASE_PROCEDURE && self.database.is_some() {
                return Ok(self.approvals(database_read_only(name, self.read_only(strength)?, |step| step)?));
            }
            let known: Vec<_> = self
                .config
                .procedures
                .iter()
                .map(|procedure| procedure.name.as_str())
                .collect();
            return Err(Failure::usage(
                format!("there is no procedure {name}"),
                format!("use one of: {}", known.join(", ")),
            ));
        };
        let names = match services {
            None => config.kind.services().to_vec(),
            Some(wanted) => {
                if let Some(unknown) = wanted.iter().find(|name| !config.kind.services().contains(name)) {
                    let known = config.kind.services().join(", ");
                    return Err(Failure::usage(
                        format!("{name} has no service {unknown}"),
                        format!("use some of: {known}"),
                    ));
                }
                wanted.clone()
            }
        };
        let mut config = config.clone();
        name.clone_into(&mut config.name);
        config.read_only_strength = strength.or(config.read_only_strength);
        let config = &config;
        let procedure = self.assemble(config, &names)?;
        let told = self
            .contacts
            .iter()
            .filter(|(audience, _)| config.notify.contains(audience));
        let procedure = told.fold(procedure, |procedure, (_, contact)| {
            procedure.with_contact(contact.clone())
        });
        let procedure = self.with_rules(procedure, &config.rules)?;
        Ok(self.approvals(procedure))
    }

    fn assemble(&self, config: &ProcedureConfig, services: &[String]) -> Result<Procedure, Failure> {
        // The provider may use half of the promise, the read-back the other half.
        let half = config.promised / 2;
        let shares = config.ramp.iter().map(|percent| Share::percent(*percent));
        let shares = shares.collect::<Result<Vec<_>>>()?;
        let settings = |step: Step| {
            let step = step
                .with_promise(config.promised)
                .with_timeout(half)
                .with_settle(half);
            // What can be opened in parts is; the plan shows what is not.
            if step.splits() {
                step.with_ramp(shares.clone())
            } else {
                step
            }
        };
        let services = services
            .iter()
            .map(|name| self.service(name))
            .collect::<Result<Vec<_>, Failure>>()?;
        let database = if config.read_only_database {
            Some(self.read_only(config.read_only_strength)?)
        } else {
            None
        };
        let procedure = match &config.kind {
            ProcedureKind::LlmBrainStop { switch, .. } => {
                let mut brain = LlmBrain::new(self.switch(switch)?, services);
                brain.database = database;
                llm_brain_stop(&config.name, brain, settings)?
            }
            ProcedureKind::ApiStop { .. } => {
                let mut actions = services;
                actions.extend(database);
                api_stop(&config.name, actions, settings)?
            }
            ProcedureKind::DatabaseReadOnly => {
                let database = self.read_only(config.read_only_strength)?;
                database_read_only(&config.name, database, settings)?
            }
            kind => {
                return Err(Failure::usage(
                    format!("{} is of an unknown kind", config.name),
                    kind.as_str(),
                ));
            }
        };
        let mut procedure = procedure.with_jitter(config.jitter);
        let probes = self.probes()?;
        for gate in &config.gates {
            procedure = procedure.with_gate(planned_gate(gate, &probes))?;
        }
        Ok(procedure)
    }

    /// The probe of each health check: all gates that name it share it.
    fn probes(&self) -> Result<Probes, Failure> {
        let mut probes = Probes::new();
        for health in &self.config.health {
            let mut probe = HttpHealthProbe::new(self.platforms.transport(), &health.url)?;
            if let (Some(field), Some(equals)) = (&health.field, &health.equals) {
                probe = probe.expecting(field, equals);
            }
            probes.insert(health.name.clone(), Arc::new(probe));
        }
        Ok(probes)
    }

    /// Who must agree before something is opened.
    pub(crate) fn restore_policy(&self) -> ApprovalPolicy {
        let approvals = &self.config.approvals;
        policy(approvals.restore, approvals.valid_for)
    }

    /// Opens a feature outside of a run, as long as the switches are those of `generation`.
    pub(crate) async fn open_switch_at(&self, generation: u64, feature: &str, actor: &Actor) -> Result<()> {
        let providers = self.ops.providers();
        let (store, clock) = (Arc::clone(&providers.switches), Arc::clone(&providers.clock));
        SwitchOff::new(store, clock, actor.clone(), feature)?
            .open_at(generation)
            .await?;
        Ok(())
    }

    fn approvals(&self, procedure: Procedure) -> Procedure {
        let approvals = &self.config.approvals;
        procedure
            .with_stop_approval(policy(approvals.stop, approvals.valid_for))
            .with_restore_approval(self.restore_policy())
            .with_automation(rules::automation(&self.config.automation))
    }

    /// What tells which queues deliver to a target, and what could not be made of it.
    pub(crate) fn queue_inspectors(&self) -> (Vec<Arc<dyn QueueInspector>>, QueuesFound) {
        self.platforms.queue_inspectors()
    }

    /// Where evidence is kept.
    pub(crate) fn archive(&self, place: &ArchivePlace) -> Result<Arc<dyn EvidenceArchive>, Failure> {
        Ok(match place {
            ArchivePlace::Directory(directory) => {
                let clock = Arc::clone(&self.ops.providers().clock);
                Arc::new(DirectoryArchive::open(directory, clock)?)
            }
            ArchivePlace::Bucket { bucket, .. } => Arc::new(self.platforms.archive(bucket)?),
        })
    }

    fn service(&self, name: &str) -> Result<Arc<dyn Action>, Failure> {
        let service = self
            .config
            .service(name)
            .ok_or_else(|| Failure::usage(format!("there is no service {name}"), "add a [[service]]"))?;
        let (controller, target) = self.platforms.controller(&self.config, service)?;
        Ok(Arc::new(StopTraffic::new(controller, target, &service.name)))
    }

    fn switch(&self, feature: &str) -> Result<Arc<dyn Action>, Failure> {
        let providers = self.ops.providers();
        let off = SwitchOff::new(
            Arc::clone(&providers.switches),
            Arc::clone(&providers.clock),
            self.actor.clone(),
            feature,
        )?;
        Ok(Arc::new(
            off.with_acknowledgements(Arc::clone(&providers.processes)),
        ))
    }

    /// Whether notifications of switch changes arrive, by a test of this moment; `None`: there are none, or it cannot be found out.
    pub(crate) async fn hints_arrive(&self) -> Option<bool> {
        arrive(&**self.hints.as_ref()?).await.ok()
    }

    /// Delivers what waits in the spool; the reason if something still waits.
    pub(crate) async fn deliver_audit(&self) -> Option<String> {
        match self.ops.deliver_audit().await {
            Ok(delivered) if delivered.pending == 0 && delivered.refused == 0 => None,
            Ok(delivered) => {
                let error = delivered.error.map(|error| error.to_string()).unwrap_or_default();
                Some(format!(
                    "{} pending, {} refused {error}",
                    delivered.pending, delivered.refused
                ))
            }
            Err(error) => Some(error.to_string()),
        }
    }
}

/// Whether hints arrive, by a test of this moment.
async fn arrive(hints: &dyn SwitchHints) -> Result<bool> {
    let late = |_| Error::new(ErrorKind::Timeout, "test notifications");
    let first = tokio::time::timeout(Duration::from_secs(6), hints.next())
        .await
        .map_err(late)??;
    Ok(first != SwitchHint::Lost)
}

fn policy(persons: u32, valid_for: Duration) -> ApprovalPolicy {
    ApprovalPolicy::of(usize::try_from(persons).unwrap_or(usize::MAX)).with_valid_for(valid_for)
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Health checks by name.
type Probes = BTreeMap<String, Arc<dyn HealthProbe>>;

fn planned_gate(config: &GateConfig, probes: &Probes) -> Gate {
    let gate = match config.after {
        GateAfter::Start => Gate::before_opening(),
        GateAfter::Stage(stage) => Gate::after(stage),
    };
    let gate = gate
        .with_hold(config.hold)
        .with_every(config.every)
        .with_patience(config.patience);
    let named = probes.iter().filter(|(name, _)| config.health.contains(*name));
    named.fold(gate, |gate, (name, probe)| {
        gate.with_check(name, Arc::clone(probe))
    })
}
