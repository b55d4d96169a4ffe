use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use super::{EndpointClass, LimitCaller, LimitChange, LimitKey, LimitRequest, LimitRule, LimitTable};
use crate::error::Result;
use crate::model::Timestamp;

/// A table as it is in force at a time, ready for requests: finding the limits of one allocates nothing. `Debug` names nobody.
#[derive(Clone)]
pub struct LimitsInForce {
    version: u64,
    rules: Vec<LimitRule>,
    /// By class, in the order of [`EndpointClass::ALL`]: the positions of the rules that count it.
    by_class: [Vec<usize>; EndpointClass::ALL.len()],
    everybody: Vec<u32>,
    tenants: HashMap<String, TenantLimits>,
    addresses: HashMap<IpAddr, Vec<u32>>,
    until: Option<Timestamp>,
}

#[derive(Clone)]
struct TenantLimits {
    limits: Vec<u32>,
    users: HashMap<String, Vec<u32>>,
}

/// One limit that applies to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppliedLimit<'a> {
    /// Its position in the table.
    pub position: usize,
    /// The rule.
    pub rule: &'a LimitRule,
    /// How many are in force for this key; at most what the rule's meaning can count.
    pub limit: u32,
}

impl LimitsInForce {
    /// What `table` says at `now`.
    ///
    /// # Errors
    /// As [`LimitTable::validate`].
    pub fn at(table: &LimitTable, now: Timestamp) -> Result<Self> {
        table.validate()?;
        let changes: Vec<_> = table
            .changes
            .iter()
            .filter(|change| change.holds_at(now))
            .collect();
        let numbers = |tenant: Option<&str>, narrowest: &dyn Fn(&LimitRule) -> u32| -> Vec<u32> {
            let number = |rule: &LimitRule| changed(rule, narrowest(rule), tenant, &changes);
            table.rules.iter().map(number).collect()
        };
        let mut force = Self {
            version: table.version,
            by_class: EndpointClass::ALL.map(|class| {
                let counting = table
                    .rules
                    .iter()
                    .enumerate()
                    .filter(|(_, rule)| rule.counts(class));
                counting.map(|(position, _)| position).collect()
            }),
            everybody: numbers(None, &|rule| rule.limit),
            rules: table.rules.clone(),
            tenants: HashMap::new(),
            addresses: HashMap::new(),
            until: changes.iter().filter_map(|change| change.until).min(),
        };
        let named = table
            .overrides
            .iter()
            .filter_map(|exception| exception.tenant.as_ref());
        for tenant in named.chain(changes.iter().filter_map(|change| change.tenant.as_ref())) {
            let whole =
                |rule: &LimitRule| exception(table, rule, tenant.as_str(), None).unwrap_or(rule.limit);
            let mut limits = TenantLimits {
                limits: numbers(Some(tenant.as_str()), &whole),
                users: HashMap::new(),
            };
            let own = table
                .overrides
                .iter()
                .filter(|one| one.tenant.as_ref() == Some(tenant));
            for user in own.filter_map(|one| one.user.as_ref()) {
                let narrowest = |rule: &LimitRule| {
                    exception(table, rule, tenant.as_str(), Some(user)).unwrap_or_else(|| whole(rule))
                };
                limits
                    .users
                    .insert(user.clone(), numbers(Some(tenant.as_str()), &narrowest));
            }
            force.tenants.insert(tenant.as_str().to_owned(), limits);
        }
        for address in table.overrides.iter().filter_map(|one| one.address) {
            let key = LimitKey::address(address);
            let LimitCaller::Address(counted) = key.caller() else {
                continue;
            };
            let narrowest = |rule: &LimitRule| {
                let same =
                    |one: &&super::LimitOverride| one.rule == rule.name && one.address == Some(address);
                table
                    .overrides
                    .iter()
                    .find(same)
                    .map_or(rule.limit, |one| one.limit)
            };
            force.addresses.insert(counted, numbers(None, &narrowest));
        }
        Ok(force)
    }

    /// The version of the table.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When a change ends by itself and this no longer holds.
    pub fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// The rules, in the order of the table.
    pub fn rules(&self) -> &[LimitRule] {
        &self.rules
    }

    /// The rules, and how many each allows a caller without an exception.
    pub fn everybody(&self) -> impl Iterator<Item = (&LimitRule, u32)> {
        self.rules.iter().zip(self.everybody.iter().copied())
    }

    /// The limits that apply to `request`, in the order of the table.
    #[inline]
    pub fn applying(&self, request: &LimitRequest<'_>) -> AppliedLimits<'_> {
        AppliedLimits {
            rules: &self.rules,
            numbers: self.numbers(&request.key),
            positions: self.by_class[request.class.position()].iter(),
        }
    }

    /// How many each rule allows `key`, in the order of the table.
    #[inline]
    fn numbers(&self, key: &LimitKey<'_>) -> &[u32] {
        if self.tenants.is_empty() && self.addresses.is_empty() {
            return &self.everybody;
        }
        let special = match key.caller() {
            LimitCaller::Address(address) => self.addresses.get(&address),
            LimitCaller::User(user) => self
                .tenants
                .get(key.tenant())
                .map(|tenant| tenant.users.get(user).unwrap_or(&tenant.limits)),
        };
        special.unwrap_or(&self.everybody)
    }
}

impl fmt::Debug for LimitsInForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitsInForce")
            .field("version", &self.version)
            .field("everybody", &self.everybody)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// The limits that apply to one request.
#[derive(Clone, Debug)]
pub struct AppliedLimits<'a> {
    rules: &'a [LimitRule],
    numbers: &'a [u32],
    positions: std::slice::Iter<'a, usize>,
}

impl<'a> Iterator for AppliedLimits<'a> {
    type Item = AppliedLimit<'a>;

    #[inline]
    fn next(&mut self) -> Option<AppliedLimit<'a>> {
        let position = *self.positions.next()?;
        Some(AppliedLimit {
            position,
            rule: self.rules.get(position)?,
            limit: *self.numbers.get(position)?,
        })
    }
}

/// The number that an override of this tenant, or of this user of it, gives.
fn exception(table: &LimitTable, rule: &LimitRule, tenant: &str, user: Option<&String>) -> Option<u32> {
    let same = |one: &&super::LimitOverride| {
        one.rule == rule.name
            && one.tenant.as_ref().is_some_and(|own| own.as_str() == tenant)
            && one.user.as_ref() == user
    };
    table.overrides.iter().find(same).map(|one| one.limit)
}

/// The tightest change holds; without one that tightens, the loosest.
fn changed(rule: &LimitRule, limit: u32, tenant: Option<&str>, changes: &[&LimitChange]) -> u32 {
    let matching = || {
        changes
            .iter()
            .filter(|change| change.class.is_none_or(|class| class == rule.class))
            .filter(|change| {
                change
                    .tenant
                    .as_ref()
                    .is_none_or(|own| Some(own.as_str()) == tenant)
            })
            .map(|change| change.percent)
    };
    let tightest = matching().filter(|percent| *percent < 100).min();
    let percent = tightest.or_else(|| matching().max()).unwrap_or(100);
    let scaled = u64::from(limit) * u64::from(percent) / 100;
    let least = u64::from(percent > 0 && limit > 0);
    let most = match rule.semantics {
        super::LimitSemantics::Strict => super::Strict::MAX_LIMIT,
        super::LimitSemantics::Burst => u32::MAX,
    };
    u32::try_from(scaled.max(least)).unwrap_or(u32::MAX).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LimitName, LimitOverride, TenantId};
    use std::time::Duration;

    fn limits(table: &LimitTable, now: Timestamp, class: EndpointClass, key: LimitKey<'_>) -> Vec<u32> {
        let force = LimitsInForce::at(table, now).unwrap();
        let applying = force.applying(&LimitRequest::new(class, key));
        applying.map(|applied| applied.limit).collect()
    }

    #[test]
    fn the_narrowest_exception_counts_and_the_tightest_change() {
        let now = Timestamp::UNIX_EPOCH;
        let (a, b) = (TenantId::new("a").unwrap(), TenantId::new("b").unwrap());
        let api = LimitName::new("api").unwrap();
        let table = LimitTable::preset()
            .with_override(LimitOverride::tenant(api, a.clone(), 400))
            .with_override(LimitOverride::user(api, a.clone(), "u", 1_000))
            .with_override(LimitOverride::address(api, "192.0.2.1".parse().unwrap(), 7));
        let llm = EndpointClass::Llm;
        assert_eq!(limits(&table, now, llm, LimitKey::user("a", "x")), [400, 20]);
        assert_eq!(limits(&table, now, llm, LimitKey::user("a", "u")), [1_000, 20]);
        assert_eq!(limits(&table, now, llm, LimitKey::user("c", "u")), [100, 20]);
        assert_eq!(
            limits(&table, now, llm, LimitKey::address("192.0.2.1".parse().unwrap())),
            [7, 20]
        );

        let shown = format!("{table:?} {:?}", LimitsInForce::at(&table, now).unwrap());
        assert!(
            !shown.contains("192.0.2.1") && !shown.contains("\"u\""),
            "{shown}"
        );

        let table = table
            .changed(LimitChange::new(50), now)
            .and_then(|table| table.changed(LimitChange::new(200).for_tenant(b.clone()), now))
            .and_then(|table| table.changed(LimitChange::suspend().for_class(llm).for_tenant(a), now))
            .unwrap();
        assert_eq!(limits(&table, now, llm, LimitKey::user("a", "u")), [500, 0]);
        assert_eq!(
            limits(&table, now, llm, LimitKey::user("b", "u")),
            [50, 10],
            "tightening outranks loosening"
        );
        assert_eq!(
            limits(&table, now, EndpointClass::Api, LimitKey::user("c", "u")),
            [50]
        );
        let one = LimitTable::preset().changed(LimitChange::new(1), now).unwrap();
        assert_eq!(
            limits(&one, now, llm, LimitKey::user("c", "u")),
            [1, 1],
            "tightened is not suspended"
        );
    }

    #[test]
    fn a_change_ends_by_itself() {
        let now = Timestamp::UNIX_EPOCH;
        let end = now + Duration::from_secs(60);
        let table = LimitTable::preset()
            .changed(LimitChange::suspend().until(end), now)
            .unwrap();
        assert_eq!(LimitsInForce::at(&table, now).unwrap().until(), Some(end));
        let key = LimitKey::user("a", "u");
        assert_eq!(limits(&table, now, EndpointClass::Api, key), [0]);
        assert_eq!(limits(&table, end, EndpointClass::Api, key), [100]);
    }
}
