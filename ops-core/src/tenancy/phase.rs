use super::{Membership, RequestedTenant, TenantContext, TenantDenial};
use crate::model::{Actor, TenantId};

/// Whether there is one tenant or many, and which one is meant when nothing else is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenancy {
    multi: bool,
    default_tenant: TenantId,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Entry {
    /// It may work for this tenant.
    Entered(TenantContext),
    /// It may not.
    Denied(TenantDenial),
}

impl Tenancy {
    /// One tenant: everything belongs to [`TenantId::default_tenant`].
    pub fn single() -> Self {
        Self {
            multi: false,
            default_tenant: TenantId::default_tenant(),
        }
    }

    /// Many tenants: a request names its tenant.
    pub fn multi() -> Self {
        Self {
            multi: true,
            ..Self::single()
        }
    }

    /// With another default.
    #[must_use]
    pub fn with_default(mut self, tenant: TenantId) -> Self {
        self.default_tenant = tenant;
        self
    }

    /// Whether there are many.
    pub fn is_multi(&self) -> bool {
        self.multi
    }

    /// The tenant that data without one belongs to.
    pub fn default_tenant(&self) -> &TenantId {
        &self.default_tenant
    }

    /// Decides about a request of `actor`, who was authenticated and has these memberships.
    ///
    /// - One tenant: the default one, asked for or not; any other is denied, also to its members, so that turning the switch is what
    ///   opens them.
    /// - Many: the tenant that is asked for. When none is, a person with a single membership means that one.
    pub fn enter(&self, actor: Actor, memberships: &[Membership], asked: RequestedTenant) -> Entry {
        let tenant = match (asked, self.multi, memberships) {
            (RequestedTenant::Unreadable, ..) => return Entry::Denied(TenantDenial::Unreadable),
            (RequestedTenant::Named(tenant), true, _) => tenant,
            (RequestedTenant::Named(tenant), false, _) if tenant == self.default_tenant => tenant,
            (RequestedTenant::Named(_), false, _) => return Entry::Denied(TenantDenial::NotAMember),
            (RequestedTenant::None, false, _) => self.default_tenant.clone(),
            (RequestedTenant::None, true, [only]) => only.tenant.clone(),
            (RequestedTenant::None, true, _) => return Entry::Denied(TenantDenial::NoneAsked),
        };
        match memberships.iter().find(|membership| membership.tenant == tenant) {
            Some(membership) => Entry::Entered(TenantContext::new(actor, tenant, membership.level)),
            None => Entry::Denied(TenantDenial::NotAMember),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PermissionLevel;

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    fn entered(tenancy: &Tenancy, mine: &[&str], asked: Option<&str>) -> Result<String, TenantDenial> {
        let level = PermissionLevel::new(2).unwrap();
        let mine: Vec<_> = mine
            .iter()
            .map(|name| Membership::new(tenant(name), level))
            .collect();
        let asked = asked.map_or(RequestedTenant::None, |name| RequestedTenant::Named(tenant(name)));
        match tenancy.enter(Actor::person("usr_1").unwrap(), &mine, asked) {
            Entry::Entered(context) => {
                assert_eq!(context.level(), level);
                Ok(context.tenant().to_string())
            }
            Entry::Denied(denial) => Err(denial),
        }
    }

    #[test]
    fn with_one_tenant_everything_is_the_default_and_the_switch_opens_the_others() {
        let (single, multi) = (Tenancy::single(), Tenancy::multi());
        let both = ["org_soulsyncs", "org_a"];
        assert_eq!(entered(&single, &both, None), Ok("org_soulsyncs".to_owned()));
        assert_eq!(
            entered(&single, &both, Some("org_soulsyncs")),
            Ok("org_soulsyncs".to_owned())
        );
        assert_eq!(
            entered(&single, &both, Some("org_a")),
            Err(TenantDenial::NotAMember)
        );
        assert_eq!(entered(&single, &["org_a"], None), Err(TenantDenial::NotAMember));
        assert_eq!(entered(&multi, &both, Some("org_a")), Ok("org_a".to_owned()));
        assert_eq!(entered(&multi, &both, None), Err(TenantDenial::NoneAsked));
        assert_eq!(entered(&multi, &["org_a"], None), Ok("org_a".to_owned()));
        assert_eq!(
            entered(&multi, &["org_a"], Some("org_b")),
            Err(TenantDenial::NotAMember)
        );
        assert_eq!(entered(&multi, &[], None), Err(TenantDenial::NoneAsked));
    }

    #[test]
    fn an_unreadable_wish_is_never_the_default() {
        for tenancy in [Tenancy::single(), Tenancy::multi()] {
            let mine = [Membership::new(
                TenantId::default_tenant(),
                PermissionLevel::LOWEST,
            )];
            let entry = tenancy.enter(Actor::person("u").unwrap(), &mine, RequestedTenant::Unreadable);
            assert_eq!(entry, Entry::Denied(TenantDenial::Unreadable));
        }
    }
}
