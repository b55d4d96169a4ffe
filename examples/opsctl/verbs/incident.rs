use std::sync::Arc;

use ops_core::audit::Recorded;
use ops_core::incidents::{Added, Incidents, NewIncident, Shared};
use ops_core::messages::{incident_rule, incident_status};
use ops_core::model::{
    AuditRecord, Incident, IncidentChange, IncidentEntryId, IncidentId, IncidentLayer, Lang, RunId, Severity,
    TenantId, Timestamp,
};
use ops_core::ports::IncidentQuery;
use serde_json::json;

use super::incident_show;
use crate::cli::{Global, IncidentLogArgs, IncidentVerb, OpenArgs};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::Session;
use crate::world::{Purpose, perhaps_elsewhere};

pub(crate) async fn run(global: &Global, printer: &Printer, args: &IncidentLogArgs) -> Result<Exit, Failure> {
    let looks = matches!(
        args.verb,
        IncidentVerb::List { .. } | IncidentVerb::Show { .. } | IncidentVerb::Report { .. }
    );
    let again = matches!(args.verb, IncidentVerb::Share);
    let desk = Desk::open(global, printer, Purpose::to_act_if(!looks), again).await?;
    let text = String::clone;
    let (id, change) = match &args.verb {
        IncidentVerb::Open(args) => return desk.begin(args).await,
        IncidentVerb::Share => return desk.shared(),
        IncidentVerb::List { all, tenant } => {
            return incident_show::list(&desk, *all, tenant.as_deref()).await;
        }
        IncidentVerb::Show { id } => return incident_show::show(&desk, id).await,
        IncidentVerb::Report { id, out } => return incident_show::report(&desk, id, out.as_deref()).await,
        IncidentVerb::Ack { id } => (id, IncidentChange::Acknowledged),
        IncidentVerb::Layer { id, layer } => {
            let layer = layer.parse::<IncidentLayer>()?;
            (id, IncidentChange::Layer { layer })
        }
        IncidentVerb::Note { id, text: note } => (id, IncidentChange::Note { text: text(note) }),
        IncidentVerb::Severity { id, severity, why } => {
            let (severity, why) = (severity.parse::<Severity>()?, text(why));
            (id, IncidentChange::Severity { severity, why })
        }
        IncidentVerb::Link { id, run } => (
            id,
            IncidentChange::Linked {
                run: RunId::new(run.as_str())?,
            },
        ),
        IncidentVerb::Impact { id, text: impact } => (id, IncidentChange::Impact { text: text(impact) }),
        IncidentVerb::Cause { id, text: cause } => (id, IncidentChange::Cause { text: text(cause) }),
        IncidentVerb::Prevent {
            id,
            text: what,
            owner,
        } => {
            let (what, owner) = (text(what), text(owner));
            (id, IncidentChange::Prevention { text: what, owner })
        }
        IncidentVerb::Resolve { id, text: what } => (id, IncidentChange::Resolved { text: text(what) }),
        IncidentVerb::Reopen { id, text: why } => (id, IncidentChange::Reopened { text: text(why) }),
    };
    let id = desk.find(id).await?;
    desk.change(&id, change).await
}

/// Who writes incidents, where, and who is told.
pub(super) struct Desk<'a> {
    pub(super) session: Session,
    pub(super) incidents: Incidents,
    pub(super) printer: &'a Printer,
    brought: Shared,
}

impl<'a> Desk<'a> {
    /// Brings first what was written here while the database was away; `again`, whatever is marked as being there.
    async fn open(
        global: &Global,
        printer: &'a Printer,
        purpose: Purpose,
        again: bool,
    ) -> Result<Self, Failure> {
        let session = Session::open(global, printer, purpose).await?;
        let world = &session.world;
        let brought = world.incidents.catch_up(again).await.unwrap_or_else(|error| {
            let mut nothing = Shared::default();
            nothing.fault = Some(error);
            nothing
        });
        if brought.entries > 0 {
            printer.error(&printer.pick(
                &format!(
                    "この端末に残っていた記録 {} 件をデータベースに移しました",
                    brought.entries
                ),
                &format!(
                    "{} entries that waited on this machine are in the database now",
                    brought.entries
                ),
            ));
        }
        if let Some(error) = &brought.fault {
            let (all, all_en) = match brought.entries {
                0 => ("", ""),
                _ => ("すべては", "all "),
            };
            printer.error(&printer.warn(&printer.pick(
                &format!("⚠ この端末の記録を{all}データベースに移せません ({error})"),
                &format!("⚠ {all_en}what is on this machine cannot be brought to the database ({error})"),
            )));
        }
        let providers = world.ops.providers();
        let incidents = Incidents::new(
            Arc::clone(&providers.incidents),
            Arc::clone(&providers.masker),
            Arc::clone(&providers.clock),
        );
        Ok(Self {
            session,
            incidents,
            printer,
            brought,
        })
    }

    /// How a comparison with the database ends: 4 where it was not made, 3 where something could not be brought.
    fn shared(&self) -> Result<Exit, Failure> {
        if !self.session.world.incidents.has_database() {
            return Err(Failure::usage(
                "there is no database to compare with",
                "write a [database] table into ops.toml",
            ));
        }
        let fault = self.brought.fault.as_ref();
        let exit = match fault {
            Some(_) if !self.alone() => Exit::Partly,
            _ => self.told(),
        };
        let (printer, entries) = (self.printer, self.brought.entries);
        self.say_if_alone();
        if exit == Exit::Done && entries == 0 {
            printer.line(&printer.pick(
                "  この端末の記録はすべてデータベースにあります",
                "  all that is on this machine is in the database",
            ));
        }
        if printer.json() {
            printer.document(&json!({
                "incidents": self.brought.incidents, "entries": entries,
                "fault": fault.map(|error| json!({"kind": error.kind().to_string(), "message": error.to_string()})),
                "only_on_this_machine": self.alone(), "exit_code": exit.code(),
            }));
        }
        Ok(exit)
    }

    pub(super) fn alone(&self) -> bool {
        self.session.world.incidents.is_alone()
    }

    /// How a look ends: not as if all were known, where it is not.
    pub(super) fn told(&self) -> Exit {
        match self.session.world.incidents.is_whole() {
            true => Exit::Done,
            false => Exit::Unverified,
        }
    }

    /// Says where it looked, if that is not everywhere.
    pub(super) fn say_if_alone(&self) {
        if self.alone() {
            let printer = self.printer;
            printer.error(&printer.warn(&printer.pick(
                "⚠ データベースに届かないため、この端末の記録だけを読み書きしています。届くようになれば次の opsctl incident で移します",
                "⚠ the database cannot be reached: only what is on this machine is read and written; the next opsctl incident that reaches it brings it there",
            )));
        }
    }

    /// The one incident whose id ends so.
    pub(super) async fn find(&self, end: &str) -> Result<IncidentId, Failure> {
        let end = end.trim_start_matches('…').to_ascii_lowercase();
        if end.len() < SHORTEST || !end.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::usage(
                format!("an incident is named by the end of its id, at least {SHORTEST} characters"),
                "see `opsctl incident list`",
            ));
        }
        let query = IncidentQuery::all().ending(end.as_str()).at_most(9);
        let found = self.incidents.store().list(&query).await?.incidents;
        match found.as_slice() {
            [one] => Ok(one.id.clone()),
            [] if self.alone() => Err(Failure::Failed(perhaps_elsewhere())),
            [] => Err(Failure::usage(
                "there is no incident whose id ends so",
                "see `opsctl incident list --all`",
            )),
            several => {
                let ids: Vec<_> = several.iter().map(|one| one.id.as_str()).collect();
                Err(Failure::usage(
                    "more than one incident has an id that ends so",
                    format!("give more of it: {}", ids.join(" ")),
                ))
            }
        }
    }

    async fn begin(&self, args: &OpenArgs) -> Result<Exit, Failure> {
        let mut new = NewIncident::new(args.title.as_str(), args.severity.parse::<Severity>()?);
        if let Some(tenant) = &args.tenant {
            new = new.of_tenant(TenantId::new(tenant.as_str())?);
        }
        if let Some(at) = &args.detected_at {
            new = new.detected_at(at.parse::<Timestamp>()?);
        }
        let layer = args
            .layer
            .as_deref()
            .map(str::parse::<IncidentLayer>)
            .transpose()?;
        let incident = self.incidents.open(new, &self.session.actor).await?;
        let (id, title) = (incident.id.clone(), &incident.title);
        let audited = self
            .record(&id, incident.tenant.as_ref(), "opened", &incident.opening)
            .await;
        self.printer.line(&self.printer.pick(
            &format!("障害 …{} を登録しました: {title}", id.short()),
            &format!("incident …{} is open: {title}", id.short()),
        ));
        self.printer.line(&format!("  {id}"));
        if let Some(layer) = layer {
            return self
                .change(&id, IncidentChange::Layer { layer })
                .await
                .inspect_err(|_| {
                    self.printer.error(&self.printer.pick(
                        &format!("障害 {id} は登録済みですが、層は記録できていません"),
                        &format!("incident {id} is open, but its layer was not written"),
                    ));
                });
        }
        Ok(self.end(&incident, (&incident.opening, 1), audited))
    }

    async fn change(&self, id: &IncidentId, change: IncidentChange) -> Result<Exit, Failure> {
        let kind = change.kind().to_owned();
        let printer = self.printer;
        match self.incidents.add(id, change, &self.session.actor).await? {
            Added::Written {
                entry,
                number,
                incident,
            } => {
                let audited = self.record(id, incident.tenant.as_ref(), &kind, &entry).await;
                let status = incident_status(incident.status);
                let status = printer.text(&status);
                printer.line(&printer.pick(
                    &format!(
                        "障害 …{} に記録しました (#{number}, {kind})。状態: {status}",
                        id.short()
                    ),
                    &format!(
                        "incident …{}: entry #{number}, {kind}; it is {status}",
                        id.short()
                    ),
                ));
                Ok(self.end(&incident, (&entry, number), audited))
            }
            Added::Denied(rule) => {
                let why = incident_rule(rule);
                let why_en = why.get(Lang::En);
                let why = printer.text(&why);
                printer.error(&printer.pick(
                    &format!("拒否: {why}\n  何も記録していません"),
                    &format!("refused: {why}\n  nothing was written"),
                ));
                if printer.json() {
                    let error = json!({"kind": "denied", "message": why_en, "rule": rule.name()});
                    printer.document(&json!({"error": error, "exit_code": Exit::Refused.code()}));
                }
                Ok(Exit::Refused)
            }
            Added::Unknown => Err(Failure::Failed(perhaps_elsewhere())),
        }
    }

    fn end(&self, incident: &Incident, (entry, number): (&IncidentEntryId, u32), audited: bool) -> Exit {
        self.say_if_alone();
        let exit = if self.alone() { Exit::Partly } else { Exit::Done };
        if self.printer.json() {
            self.printer.document(&json!({
                "incident": incident, "entry": entry, "number": number, "only_on_this_machine": self.alone(),
                "audited": audited, "exit_code": exit.code(),
            }));
        }
        exit
    }

    /// What was done, not what was said: the texts are in the incident. The entry is named by its id: its number may become another one.
    async fn record(
        &self,
        id: &IncidentId,
        tenant: Option<&TenantId>,
        kind: &str,
        entry: &IncidentEntryId,
    ) -> bool {
        let world = &self.session.world;
        let tenant = tenant.unwrap_or(&world.config.tenant).clone();
        let action = format!("incident.{kind}");
        let record = AuditRecord::new(
            world.now(),
            tenant,
            self.session.actor.clone(),
            action,
            "incident",
            id.as_str(),
        )
        .with_detail("entry", entry.as_str());
        let audited = matches!(world.ops.record(record).await, Recorded::Stored(_));
        if !audited {
            self.printer.error(&self.printer.warn(&self.printer.pick(
                "⚠ 監査ログにまだ記録されていません",
                "⚠ not in the audit trail yet",
            )));
        }
        audited
    }
}

/// Fewer characters are met by chance.
const SHORTEST: usize = 4;
