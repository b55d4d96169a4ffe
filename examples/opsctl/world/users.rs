use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ops_core::actions::{RevokeSessions, SuspendAccount};
use ops_core::emergency::{Procedure, Step};
use ops_core::error::Result;
use ops_core::model::{TargetId, Timestamp};
use ops_core::ports::Action as _;
use ops_gcp::identity::IdentityUsers;

use super::World;
use crate::exit::Failure;
use crate::print::quoted;

/// The procedures behind `opsctl user stop` begin so.
pub(super) const USER_PROCEDURE: &str = "user:";

/// A user of a tenant of the directory, or of none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserId {
    tenant: Option<String>,
    id: String,
}

impl UserId {
    /// `tenant`: `-` for none. What is refused is not repeated: it may be an address.
    pub(crate) fn new(tenant: &str, id: &str) -> Result<Self, Failure> {
        if id.contains('@') {
            return Err(Failure::usage(
                "USER must not have an @: an address of a person would stand in journals and reports",
                "give the id of the user (localId); the console of Identity Toolkit finds it by the address",
            ));
        }
        let plain = |text: &str, longest: usize| {
            (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !plain(id, 128) {
            return Err(Failure::usage(
                "USER is no id",
                "give the id of the user (localId): 1 to 128 visible ASCII characters, no space, no @",
            ));
        }
        if !plain(tenant, 63) || tenant.contains(['/', '@']) {
            return Err(Failure::usage(
                "TENANT is no tenant",
                "give the id of the tenant, letters, digits and hyphens, or - for the users of none",
            ));
        }
        Ok(Self {
            tenant: (tenant != NONE).then(|| tenant.to_owned()),
            id: id.to_owned(),
        })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// What the procedures that stop this user begin with.
    pub(crate) fn procedure(&self) -> String {
        format!("{USER_PROCEDURE}{self}")
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant.as_deref().unwrap_or(NONE), self.id)
    }
}

/// That a user is stopped, as it was decided. Journals keep it in the name of the procedure, so that whoever takes the run up judges by the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StopOfUser {
    user: UserId,
    /// Sessions that began before this must be ended.
    before: Timestamp,
}

impl StopOfUser {
    pub(crate) fn decided(user: UserId, now: Timestamp) -> Self {
        // As precise as what is read again.
        let before = Timestamp::from_unix_micros(now.as_unix_micros());
        Self { user, before }
    }

    /// Reads what follows `user:` in the name.
    pub(crate) fn read(name: &str) -> Result<Self, Failure> {
        let parts = name
            .rsplit_once('@')
            .and_then(|(user, at)| Some((user.split_once('/')?, at.parse::<Timestamp>().ok()?)));
        let Some(((tenant, id), before)) = parts else {
            return Err(Failure::usage(
                "no procedure has that name: user:TENANT/USER@TIME stops a user, with the time at which it was decided",
                "opsctl user stop TENANT USER",
            ));
        };
        let user = UserId::new(tenant, id)?;
        Ok(Self { user, before })
    }

    /// Of the name of a procedure, if it stops a user.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::read(name.strip_prefix(USER_PROCEDURE)?).ok()
    }

    pub(crate) fn procedure(&self) -> String {
        format!("{}@{}", self.user.procedure(), self.before)
    }

    pub(crate) fn before(&self) -> Timestamp {
        self.before
    }

    /// The command of another decision, which also ends what began since this one.
    pub(crate) fn anew(&self) -> String {
        let UserId { tenant, id } = &self.user;
        let tenant = tenant.as_deref().unwrap_or(NONE);
        format!("opsctl user stop {} {}", quoted(tenant), quoted(id))
    }
}

/// The users of the configured project: with the credential of the button, and with the everyday one.
#[derive(Clone, Debug)]
pub(super) struct Users {
    pub(super) acting: Result<IdentityUsers, String>,
    pub(super) looking: Result<IdentityUsers, String>,
}

impl World {
    /// Sessions end and the account is suspended, at the same time.
    pub(super) fn stop_of_user(&self, stop: &StopOfUser) -> Result<Procedure, Failure> {
        let (revoke, suspend) = self.deeds(stop)?;
        let steps = vec![Step::new(Arc::new(revoke)), Step::new(Arc::new(suspend))];
        Ok(Procedure::new(stop.procedure(), steps)?)
    }

    /// What the account and the sessions of a user are called in journals.
    pub(crate) fn targets_of_user(&self, user: &UserId) -> Result<[TargetId; 2], Failure> {
        let (revoke, suspend) = self.deeds(&StopOfUser::decided(user.clone(), self.now()))?;
        Ok([suspend.target().clone(), revoke.target().clone()])
    }

    fn deeds(&self, stop: &StopOfUser) -> Result<(RevokeSessions, SuspendAccount), Failure> {
        let StopOfUser { user, before } = stop;
        let users = Arc::new(self.users(user)?);
        let too_long = |_| {
            Failure::usage(
                "USER is too long",
                "with the project and the tenant before it, a journal has room for 200 characters: suspend this one in the console",
            )
        };
        let revoke = RevokeSessions::new(Arc::clone(&users) as _, user.id(), *before).map_err(too_long)?;
        let suspend = SuspendAccount::new(users, user.id()).map_err(too_long)?;
        Ok((revoke, suspend))
    }

    /// A stop by name is one of a decision that was made before, as after an approval. Of what began long since it would say nothing.
    pub(crate) fn still_decided(&self, name: &str) -> Result<(), Failure> {
        let Some(of_user) = name.strip_prefix(USER_PROCEDURE) else {
            return Ok(());
        };
        let stop = StopOfUser::read(of_user)?;
        // Only here: what another machine stopped, whose clock is ahead, can be taken up and given back.
        if stop.before > self.now() {
            return Err(Failure::usage(
                "the stop of a user cannot have been decided in the future",
                "set the clock of this machine, or decide anew: opsctl user stop TENANT USER",
            ));
        }
        if self.now().saturating_since(stop.before) <= DECIDED {
            return Ok(());
        }
        Err(Failure::usage(
            "that stop was decided more than a day ago: it would prove nothing of the sessions that began since",
            "decide anew: opsctl user stop TENANT USER",
        ))
    }

    /// Stops and gives back.
    pub(crate) fn users(&self, user: &UserId) -> Result<IdentityUsers, Failure> {
        of_tenant(self.platforms.users.as_ref().map(|users| &users.acting), user)
    }

    /// Looks.
    pub(crate) fn users_seen(&self, user: &UserId) -> Result<IdentityUsers, Failure> {
        of_tenant(self.platforms.users.as_ref().map(|users| &users.looking), user)
    }
}

fn of_tenant(users: Option<&Result<IdentityUsers, String>>, user: &UserId) -> Result<IdentityUsers, Failure> {
    let users = match users {
        Some(Ok(users)) => users.clone(),
        Some(Err(why)) => {
            return Err(Failure::usage(
                format!("Identity Toolkit cannot be used: {why}"),
                "correct [gcp] and the environment variable of its credential",
            ));
        }
        None => {
            return Err(Failure::usage(
                "where the users are is not configured",
                "add identity_project to [gcp] in ops.toml: the project whose Identity Toolkit keeps them",
            ));
        }
    };
    match &user.tenant {
        Some(tenant) => Ok(users.with_tenant(tenant)?),
        None => Ok(users),
    }
}

/// The tenant of those that are of none.
const NONE: &str = "-";
/// How long a decision may wait for its approvals.
const DECIDED: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_tells_the_user_and_the_time_exactly() {
        let now = at("2026-11-28T13:00:00.123456Z");
        for (tenant, id) in [
            ("-", "kX3uR9aQvT"),
            ("org-a1b2c", "a/b:c"),
            ("-", "-"),
            ("-", &"x".repeat(128)),
        ] {
            let stop = StopOfUser::decided(UserId::new(tenant, id).ok().unwrap(), now);
            let name = stop.procedure();
            let read = StopOfUser::of(&name).unwrap();
            assert_eq!(read, stop, "{name}");
            let anew = format!("opsctl user stop {tenant} {id}");
            assert_eq!(stop.anew(), anew);
        }
        let fine = StopOfUser::decided(UserId::new("-", "u").ok().unwrap(), now);
        assert_eq!(fine.procedure(), "user:-/u@2026-11-28T13:00:00.123456Z");
    }

    #[test]
    fn what_is_no_user_is_refused_and_not_repeated() {
        for (tenant, id) in [
            ("-", "hanako@example.com"),
            ("-", ""),
            ("-", "花子"),
            ("-", "a b"),
            ("-", &"x".repeat(129)),
            ("", "u"),
            ("a/b", "u"),
            ("a@b", "u"),
        ] {
            let Err(Failure::Usage { what, remedy }) = UserId::new(tenant, id) else {
                panic!("{tenant} {id}");
            };
            assert!(!what.contains("hanako") && !remedy.contains("hanako"), "{what}");
        }
        for name in [
            "",
            "-/u",
            "-/u@",
            "-/u@soon",
            "u@2026-11-28T12:00:00Z",
            "-/hanako@example.com@2026-11-28T12:00:00Z",
        ] {
            assert!(StopOfUser::read(name).is_err(), "{name}");
        }
    }
}
