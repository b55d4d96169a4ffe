use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{EndpointClass, LimitName, LimitRule, LimitScope, LimitSemantics, Strict};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{TenantId, Timestamp};

/// The most limits of a table.
pub const MAX_LIMITS: usize = 16;
/// The most limits that apply to one request.
pub const MAX_LIMITS_AT_ONCE: usize = 4;

/// All limits of a system, as data: rules, exceptions for tenants and callers, and changes for a time. The default is the first runbook's
/// table.
///
/// ```
/// use ops_core::model::{EndpointClass, LimitChange, LimitTable, Timestamp};
///
/// let table = LimitTable::preset();
/// let limits: Vec<_> = table.rules.iter().map(|rule| (rule.name.as_str(), rule.limit)).collect();
/// assert_eq!(limits, [("api", 100), ("llm", 20), ("search", 30), ("admin", 10)]);
///
/// let halved = LimitChange::new(50).for_class(EndpointClass::Llm).until(Timestamp::UNIX_EPOCH);
/// assert_eq!(table.changed(halved, Timestamp::UNIX_EPOCH)?.version, 2);
/// # Ok::<(), ops_core::error::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LimitTable {
    /// Raised with every change. What was cached under another version is of no use.
    #[serde(default = "first_version")]
    pub version: u64,
    /// The limits, at most 16, at most 4 for one class of requests together with those of class `api`.
    #[serde(rename = "rule")]
    pub rules: Vec<LimitRule>,
    /// Other numbers for a tenant, a user or an address. The narrowest counts. Default: none.
    #[serde(rename = "override", default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<LimitOverride>,
    /// What was tightened, loosened or suspended for a time. Default: nothing.
    #[serde(rename = "change", default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<LimitChange>,
}

/// Another number for some. `Debug` names nobody.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LimitOverride {
    /// The name of the rule. Required.
    pub rule: LimitName,
    /// The tenant it is for. Required, unless an address is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// The user of the tenant. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The address of callers who are not signed in. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// How many instead. Required.
    pub limit: u32,
}

impl LimitOverride {
    /// For a whole tenant.
    pub fn tenant(rule: LimitName, tenant: TenantId, limit: u32) -> Self {
        Self {
            rule,
            tenant: Some(tenant),
            user: None,
            address: None,
            limit,
        }
    }

    /// For one user.
    pub fn user(rule: LimitName, tenant: TenantId, user: impl Into<String>, limit: u32) -> Self {
        Self {
            user: Some(user.into()),
            ..Self::tenant(rule, tenant, limit)
        }
    }

    /// For callers from an address who are not signed in.
    pub fn address(rule: LimitName, address: IpAddr, limit: u32) -> Self {
        Self {
            rule,
            tenant: None,
            user: None,
            address: Some(address),
            limit,
        }
    }
}

impl fmt::Debug for LimitOverride {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitOverride")
            .field("rule", &self.rule)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// All limits, or those of a class, or those of a tenant, by a factor, for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LimitChange {
    /// The percentage of the limits that is in force: 0 suspends, below 100 tightens, above loosens, at most 1000. What is tightened admits
    /// at least one. Required.
    pub percent: u32,
    /// The class of the limits. Default: all limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<EndpointClass>,
    /// The tenant. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// When it ends by itself. Default: when it is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Who made it, by id. Default: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl LimitChange {
    /// The greatest percentage.
    pub const MAX_PERCENT: u32 = 1_000;

    /// All limits at `percent` of what they are, until it is taken back.
    pub fn new(percent: u32) -> Self {
        Self {
            percent,
            class: None,
            tenant: None,
            until: None,
            by: None,
        }
    }

    /// Nothing is admitted.
    pub fn suspend() -> Self {
        Self::new(0)
    }

    /// Only limits of that class.
    #[must_use]
    pub fn for_class(mut self, class: EndpointClass) -> Self {
        self.class = Some(class);
        self
    }

    /// Only for that tenant.
    #[must_use]
    pub fn for_tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// It ends by itself.
    #[must_use]
    pub fn until(mut self, until: Timestamp) -> Self {
        self.until = Some(until);
        self
    }

    /// Who made it.
    #[must_use]
    pub fn by(mut self, id: impl Into<String>) -> Self {
        self.by = Some(id.into());
        self
    }

    /// Whether it is in force at `now`.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether it changes the same limits for the same tenants as `other`.
    pub fn covers_as(&self, other: &Self) -> bool {
        self.class == other.class && self.tenant == other.tenant
    }

    /// Whether it says nothing any more once `later` holds: that one changes the same, and this one is neither tighter nor tightens longer.
    fn gives_way_to(&self, later: &Self) -> bool {
        let lasts_longer = match (self.until, later.until) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(own), Some(other)) => own > other,
        };
        let tightens = self.percent < 100 && (self.percent < later.percent || lasts_longer);
        self.covers_as(later) && !tightens
    }
}

impl Default for LimitTable {
    fn default() -> Self {
        Self::preset()
    }
}

impl LimitTable {
    /// The first runbook's table, per user and minute, strict: all requests 100, language model 20, search 30, administration 10.
    pub fn preset() -> Self {
        let rule = |class: EndpointClass, limit| LimitRule::per_minute(LimitName::of(class), class, limit);
        Self::of(vec![
            rule(EndpointClass::Api, 100),
            rule(EndpointClass::Llm, 20),
            rule(EndpointClass::Search, 30),
            rule(EndpointClass::Admin, 10),
        ])
    }

    /// A first version with these rules.
    pub fn of(rules: Vec<LimitRule>) -> Self {
        Self {
            version: first_version(),
            rules,
            overrides: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// The same rules with another meaning.
    #[must_use]
    pub fn with_semantics(mut self, semantics: LimitSemantics) -> Self {
        for rule in &mut self.rules {
            rule.semantics = semantics;
        }
        self
    }

    /// The same with one more exception; one for the same rule and caller gives way.
    #[must_use]
    pub fn with_override(mut self, other: LimitOverride) -> Self {
        self.overrides.retain(|known| {
            (known.rule, &known.tenant, &known.user, known.address)
                != (other.rule, &other.tenant, &other.user, other.address)
        });
        self.overrides.push(other);
        self
    }

    /// The next version, with `change`. An earlier change of the same limits and tenant gives way to it, unless it tightens more or for longer:
    /// then both stay, and the tightest holds at any time. To loosen what was tightened, [`reset`](Self::reset) it. Those that have ended are
    /// left out.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn changed(&self, change: LimitChange, now: Timestamp) -> Result<Self> {
        let mut next = self.next(now);
        next.changes.retain(|known| !known.gives_way_to(&change));
        next.changes.push(change);
        next.validate()?;
        Ok(next)
    }

    /// The next version, without the changes that `taken_back` chooses and without those that have ended.
    #[must_use]
    pub fn reset(&self, taken_back: impl Fn(&LimitChange) -> bool, now: Timestamp) -> Self {
        let mut next = self.next(now);
        next.changes.retain(|change| !taken_back(change));
        next
    }

    /// The rule of that name.
    pub fn rule(&self, name: LimitName) -> Option<&LimitRule> {
        self.rules.iter().find(|rule| rule.name == name)
    }

    /// Whether the table can be used.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] with every fault, each with its place and what to do about it.
    pub fn validate(&self) -> Result<()> {
        let mut faults = Vec::new();
        self.rule_faults(&mut faults);
        for (at, exception) in (1..).zip(&self.overrides) {
            if self.rule(exception.rule).is_none() {
                faults.push(format!(
                    "override[{at}].rule: no rule is named {:?}; name one of the table",
                    exception.rule
                ));
            }
            let caller = (
                exception.tenant.is_some(),
                exception.user.is_some(),
                exception.address.is_some(),
            );
            if !matches!(caller, (true, _, false) | (false, false, true)) {
                faults.push(format!(
                    "override[{at}]: give a tenant, a tenant and a user, or an address"
                ));
            }
            let shared = |rule: &LimitRule| rule.scope == LimitScope::Tenant;
            if exception.user.is_some() && self.rule(exception.rule).is_some_and(shared) {
                faults.push(format!(
                    "override[{at}].user: the rule counts whole tenants; leave the user out"
                ));
            }
        }
        for (at, change) in (1..).zip(&self.changes) {
            if change.percent > LimitChange::MAX_PERCENT {
                faults.push(format!(
                    "change[{at}].percent: must be 0 to {}",
                    LimitChange::MAX_PERCENT
                ));
            }
        }
        if faults.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidConfig, "read limits").context("limits", faults.join("; ")))
    }

    fn rule_faults(&self, faults: &mut Vec<String>) {
        if self.rules.len() > MAX_LIMITS {
            faults.push(format!("rule: {} rules; {MAX_LIMITS} at most", self.rules.len()));
        }
        for (at, rule) in self.rules.iter().enumerate() {
            let place = at + 1;
            if self.rules[..at].iter().any(|other| other.name == rule.name) {
                faults.push(format!(
                    "rule[{place}].name: {} is given twice; choose another",
                    rule.name
                ));
            }
            if !(1..=MAX_PERIOD).contains(&rule.per_seconds) {
                faults.push(format!("rule[{place}].per_seconds: must be 1 to {MAX_PERIOD}"));
            }
            if rule.semantics == LimitSemantics::Strict && rule.limit > Strict::MAX_LIMIT {
                faults.push(format!(
                    "rule[{place}].limit: a strict limit is at most {}; use semantics = \"burst\"",
                    Strict::MAX_LIMIT
                ));
            }
        }
        for class in EndpointClass::ALL {
            let together = self.rules.iter().filter(|rule| rule.counts(class)).count();
            if together > MAX_LIMITS_AT_ONCE {
                faults.push(format!(
                    "rule: {together} rules apply to requests of class {class}; {MAX_LIMITS_AT_ONCE} at most"
                ));
            }
        }
    }

    fn next(&self, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.version = self.version.saturating_add(1);
        next.changes.retain(|change| change.holds_at(now));
        next
    }
}

const MAX_PERIOD: u32 = 31 * 24 * 60 * 60;

fn first_version() -> u64 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LimitsInForce;

    #[test]
    fn a_table_is_written_as_toml_and_read_back() {
        let text = "
            [[rule]]
            name = 'api'
            class = 'api'
            limit = 100
            [[rule]]
            name = 'tenant-llm'
            class = 'llm'
            scope = 'tenant'
            limit = 2000
            per_seconds = 3600
            semantics = 'burst'
            [[override]]
            rule = 'api'
            tenant = 'org_soulsyncs'
            limit = 500
            [[change]]
            percent = 50
            until = '2026-01-30T09:00:00Z'
        ";
        let table: LimitTable = toml::from_str(text).unwrap();
        table.validate().unwrap();
        assert_eq!(table.rules[0], LimitTable::preset().rules[0]);
        assert_eq!(table.rules[1].per_seconds, 3_600);
        let written = toml::to_string(&table).unwrap();
        assert_eq!(toml::from_str::<LimitTable>(&written).unwrap(), table);
        LimitTable::preset().validate().unwrap();
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let mut table = LimitTable::preset();
        table.rules[1].name = table.rules[0].name;
        table.rules[2].per_seconds = 0;
        table.rules[3].limit = 70_000;
        table.overrides.push(LimitOverride::user(
            LimitName::new("none").unwrap(),
            TenantId::new("a").unwrap(),
            "u",
            1,
        ));
        table.overrides[0].tenant = None;
        table.changes.push(LimitChange::new(1_001));
        let error = table.validate().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        for place in [
            "rule[2].name",
            "rule[3].per_seconds",
            "rule[4].limit",
            "override[1].rule",
            "override[1]:",
            "change[1].percent",
        ] {
            assert!(error.to_string().contains(place), "{place}: {error}");
        }
    }

    #[test]
    fn a_later_change_of_the_same_limits_takes_the_place_of_the_earlier_one() {
        let now = Timestamp::from_unix_micros(1_000_000);
        let table = LimitTable::preset()
            .changed(LimitChange::new(50), now)
            .and_then(|table| {
                table.changed(
                    LimitChange::suspend().for_class(EndpointClass::Llm).until(now),
                    now,
                )
            })
            .and_then(|table| table.changed(LimitChange::new(25), now))
            .unwrap();
        assert_eq!(table.version, 4);
        assert_eq!(
            table.changes,
            [LimitChange::new(25)],
            "what has ended is left out"
        );
        assert!(table.reset(|_| true, now).changes.is_empty());
    }

    #[test]
    fn a_later_change_never_opens_what_an_earlier_one_tightened() {
        let now = Timestamp::from_unix_micros(1_000_000);
        let minutes = |count: u64| now + std::time::Duration::from_secs(60 * count);
        let llm = |percent| LimitChange::new(percent).for_class(EndpointClass::Llm);
        let in_force = |table: &LimitTable, at| {
            let force = LimitsInForce::at(table, at).unwrap();
            force.everybody().map(|(_, limit)| limit).nth(1).unwrap()
        };
        // What holds now, after a minute, and after an hour, of 20.
        for (first, second, expected, kept) in [
            (llm(0), llm(99).until(minutes(1)), [0, 0, 0], 2),
            (
                llm(50).until(minutes(60)),
                llm(25).until(minutes(1)),
                [5, 10, 20],
                2,
            ),
            (
                llm(50).until(minutes(1)),
                llm(50).until(minutes(60)),
                [10, 10, 20],
                1,
            ),
            (llm(50).until(minutes(1)), llm(75), [10, 15, 15], 2),
            (llm(50), llm(25), [5, 5, 5], 1),
            (llm(50), llm(200), [10, 10, 10], 2),
            (llm(200), llm(150), [30, 30, 30], 1),
        ] {
            let table = LimitTable::preset()
                .changed(first, now)
                .and_then(|table| table.changed(second.clone(), now))
                .unwrap();
            let held = [now, minutes(1), minutes(60)].map(|at| in_force(&table, at));
            assert_eq!((held, table.changes.len()), (expected, kept), "{second:?}");
        }
    }
}
