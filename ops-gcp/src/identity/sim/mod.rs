//! Simulated Identity Toolkit, as far as administrators read and change users.
//!
//! What it keeps: a bearer token is required, and the permission of each call; unknown fields and query parameters are refused; 64 bits of a number travel
//! in a string; a lookup of nobody is a 200 without `users`; an update of nobody is a 400; the same id in another tenant is another user; `validSince` is
//! in seconds, and milliseconds are taken in silence for a time in the far future; nothing keeps it from moving backwards; an ID token that was given
//! out goes on being good for an hour where only its signature is looked at; a disabled user can neither sign in nor renew.
//!
//! Beyond the description, and unverified: the texts of refusals, that a new user has a `validSince`, and the names of the permissions.

mod account;
mod change;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ops_core::ports::Clock;
use ops_core::testkit::{Fault, Faults, Handler, Reply, SimRequest};
use serde_json::{Value, json};

use self::account::Account;
pub use self::account::SimSession;
use self::change::Change;
pub use self::change::{LOOKUP_FIELDS, UPDATE_FIELDS};
use super::REQUIRED;
use super::client::seconds;
use super::readiness::{CHANGE, READ};
use crate::sim::permissions::test_permissions;
use crate::sim::refusal::Refusal;

/// The users of one simulated project.
#[derive(Debug)]
pub struct IdentitySim {
    project: String,
    clock: Arc<dyn Clock>,
    faults: Faults,
    /// What is not about users, where they share an address.
    others: Option<Arc<dyn Handler>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tenants: BTreeSet<String>,
    /// By tenant and id.
    accounts: BTreeMap<(Option<String>, String), Account>,
    granted: BTreeSet<String>,
    writes: u64,
}

impl IdentitySim {
    /// A project without users and tenants. `clock` is the vendor's: each answer says what it shows.
    pub fn new(project: &str, clock: Arc<dyn Clock>, faults: Faults) -> Arc<Self> {
        Self::made(project, clock, faults, None)
    }

    /// The same, at one address with other simulated services: what is not about users is handed on to `others`.
    pub fn beside(
        others: Arc<dyn Handler>,
        project: &str,
        clock: Arc<dyn Clock>,
        faults: Faults,
    ) -> Arc<Self> {
        Self::made(project, clock, faults, Some(others))
    }

    fn made(
        project: &str,
        clock: Arc<dyn Clock>,
        faults: Faults,
        others: Option<Arc<dyn Handler>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            project: project.to_owned(),
            clock,
            faults,
            others,
            state: Mutex::new(State {
                tenants: BTreeSet::new(),
                accounts: BTreeMap::new(),
                granted: REQUIRED
                    .iter()
                    .map(|permission| (*permission).to_owned())
                    .collect(),
                writes: 0,
            }),
        })
    }

    /// Adds a user, of `tenant` or of none, with this address; one that is there stays as it is.
    pub fn add_user(&self, tenant: Option<&str>, id: &str, email: &str) {
        let now = self.now();
        let mut state = self.lock();
        state.tenants.extend(tenant.map(str::to_owned));
        state
            .accounts
            .entry(key(tenant, id))
            .or_insert_with(|| Account::new(email, now));
    }

    /// The user signs in; `None` for nobody, and for one that is disabled.
    pub fn sign_in(&self, tenant: Option<&str>, id: &str) -> Option<SimSession> {
        let now = self.now();
        self.lock().accounts.get_mut(&key(tenant, id))?.sign_in(now)
    }

    /// The user trades the refresh token of `session` for a new ID token: whether that is allowed.
    pub fn renew(&self, tenant: Option<&str>, id: &str, session: &mut SimSession) -> bool {
        let now = self.now();
        let state = self.lock();
        let renews = state
            .accounts
            .get(&key(tenant, id))
            .is_some_and(|account| account.renews(session));
        if renews {
            session.issued_at = now;
        }
        renews
    }

    /// Whether a backend takes the newest ID token of `session`. One that does not ask the vendor sees its signature and age only.
    pub fn accepts(&self, tenant: Option<&str>, id: &str, session: &SimSession, asks: bool) -> bool {
        let now = self.now();
        let state = self.lock();
        session.is_fresh(now)
            && (!asks
                || state
                    .accounts
                    .get(&key(tenant, id))
                    .is_some_and(|account| account.renews(session)))
    }

    /// Sets `validSince` by hand, in whatever unit; `None` for a user that never had one.
    pub fn set_valid_since(&self, tenant: Option<&str>, id: &str, valid_since: Option<i64>) {
        if let Some(account) = self.lock().accounts.get_mut(&key(tenant, id)) {
            account.valid_since = valid_since;
        }
    }

    /// `validSince` as it is.
    pub fn valid_since(&self, tenant: Option<&str>, id: &str) -> Option<i64> {
        self.lock().accounts.get(&key(tenant, id))?.valid_since
    }

    /// Somebody else disables the account (`true`) or enables it.
    pub fn set_disabled(&self, tenant: Option<&str>, id: &str, disabled: bool) {
        if let Some(account) = self.lock().accounts.get_mut(&key(tenant, id)) {
            account.disabled = Some(disabled);
        }
    }

    /// Whether the account is disabled; not for nobody.
    pub fn is_disabled(&self, tenant: Option<&str>, id: &str) -> bool {
        let state = self.lock();
        let account = state.accounts.get(&key(tenant, id));
        account.is_some_and(|account| account.disabled == Some(true))
    }

    /// From now on every credential has this permission. First: those that the provider needs.
    pub fn grant(&self, permission: &str) {
        self.lock().granted.insert(permission.to_owned());
    }

    /// From now on no credential has this permission.
    pub fn revoke(&self, permission: &str) {
        self.lock().granted.remove(permission);
    }

    /// How many updates were accepted.
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    fn now(&self) -> i64 {
        seconds(self.clock.now())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &SimRequest, route: &Route, fault: Option<Fault>) -> Result<Value, Refusal> {
        let mut state = self.lock();
        let bearer = request
            .header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "));
        if bearer.is_none_or(str::is_empty) {
            return Err(Refusal::unauthenticated());
        }
        let needed = route.permission();
        if route.project() != self.project || needed.is_some_and(|needed| !state.granted.contains(needed)) {
            return Err(Refusal::forbidden());
        }
        if let Some((name, _)) = request.query.first() {
            return Err(Refusal::invalid(format!("unknown query parameter \"{name}\"")));
        }
        let Route::Users { tenant, update, .. } = route else {
            return test_permissions(&state.granted, &request.body);
        };
        if tenant
            .as_ref()
            .is_some_and(|tenant| !state.tenants.contains(tenant))
        {
            return Err(Refusal::by_message("TENANT_NOT_FOUND"));
        }
        if !update {
            let ids = change::lookup(&request.body)?;
            let users: Vec<_> = ids
                .into_iter()
                .filter_map(|id| {
                    let account = state.accounts.get(&(tenant.clone(), id.clone()))?;
                    Some(account.json(&id, tenant.as_deref()))
                })
                .collect();
            let kind = "identitytoolkit#GetAccountInfoResponse";
            return Ok(match users.is_empty() {
                true => json!({"kind": kind}),
                false => json!({"kind": kind, "users": users}),
            });
        }
        let change = Change::of(&request.body)?;
        let account = state
            .accounts
            .get_mut(&(tenant.clone(), change.id.clone()))
            .ok_or_else(|| Refusal::by_message("USER_NOT_FOUND"))?;
        if fault != Some(Fault::NeverEnds) {
            change.apply(account);
        }
        let answer = json!({
            "kind": "identitytoolkit#SetAccountInfoResponse",
            "localId": change.id,
            "email": account.email,
        });
        if fault == Some(Fault::Drift) {
            // Somebody else turns the account the other way.
            account.disabled = Some(account.disabled != Some(true));
        }
        state.writes += 1;
        Ok(answer)
    }
}

#[async_trait]
impl Handler for IdentitySim {
    async fn handle(&self, request: SimRequest) -> Reply {
        // Permissions on the project are those of all services at this address.
        let route = match (Route::of(&request.method, &request.path), &self.others) {
            (None | Some(Route::Permissions { .. }), Some(others)) => return others.handle(request).await,
            (Some(route), _) => route,
            (None, None) => return Refusal::not_found().reply(),
        };
        let date = Some(self.clock.now());
        let fault = self.faults.strike(route.subject(), route.writes());
        match fault {
            Some(Fault::Latency(delay)) => tokio::time::sleep(delay).await,
            Some(Fault::Refused) => return Reply::Hangup,
            Some(Fault::TooManyRequests) => return Refusal::too_many().reply().with_date(date),
            Some(Fault::Unavailable) => return Refusal::unavailable().reply().with_date(date),
            Some(Fault::Forbidden) => return Refusal::forbidden().reply().with_date(date),
            _ => {}
        }
        let reply = match self.answer(&request, &route, fault) {
            Ok(body) => Reply::json(200, &body),
            Err(refusal) => refusal.reply(),
        };
        match fault {
            Some(Fault::LostAnswer) => Reply::Hangup,
            _ => reply.with_date(date),
        }
    }
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Route {
    Users {
        project: String,
        tenant: Option<String>,
        update: bool,
    },
    Permissions {
        project: String,
    },
}

impl Route {
    fn of(method: &str, path: &str) -> Option<Self> {
        let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
        let users = |project: &str, tenant: Option<&str>, call: &str| {
            let update = match call {
                "accounts:lookup" => false,
                "accounts:update" => true,
                _ => return None,
            };
            Some(Self::Users {
                project: project.to_owned(),
                tenant: tenant.map(str::to_owned),
                update,
            })
        };
        match (method, &parts[..]) {
            ("POST", ["v1", "projects", project, call]) => users(project, None, call),
            ("POST", ["v1", "projects", project, "tenants", tenant, call]) => {
                users(project, Some(tenant), call)
            }
            ("POST", ["v3", "projects", project]) => Some(Self::Permissions {
                project: project.strip_suffix(":testIamPermissions")?.to_owned(),
            }),
            _ => None,
        }
    }

    fn project(&self) -> &str {
        match self {
            Self::Users { project, .. } | Self::Permissions { project } => project,
        }
    }

    fn writes(&self) -> bool {
        matches!(self, Self::Users { update: true, .. })
    }

    /// For faults: what it is about, in a word that a person would write.
    fn subject(&self) -> &'static str {
        match self {
            Self::Users { .. } => "identitytoolkit",
            Self::Permissions { .. } => "cloudresourcemanager",
        }
    }

    /// Testing permissions needs none.
    fn permission(&self) -> Option<&'static str> {
        match self {
            Self::Users { update: false, .. } => Some(READ),
            Self::Users { update: true, .. } => Some(CHANGE),
            Self::Permissions { .. } => None,
        }
    }
}

fn key(tenant: Option<&str>, id: &str) -> (Option<String>, String) {
    (tenant.map(str::to_owned), id.to_owned())
}
