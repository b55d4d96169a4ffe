use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{EndpointClass, LimitRule, LimitScope, LimitSemantics};

/// Who a request is counted for. It borrows; `Debug` shows neither user nor address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LimitKey<'a> {
    tenant: &'a str,
    caller: LimitCaller<'a>,
}

/// Who calls.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a store decides on each")]
pub enum LimitCaller<'a> {
    /// Somebody who is signed in, by the id in the directory of the tenant.
    User(&'a str),
    /// Somebody who is not, by address.
    Address(IpAddr),
}

impl<'a> LimitKey<'a> {
    /// A user of a tenant. Both may hold any character: no two pairs have the same key.
    pub const fn user(tenant: &'a str, user: &'a str) -> Self {
        Self {
            tenant,
            caller: LimitCaller::User(user),
        }
    }

    /// A caller who is not signed in. Of an IPv6 address the first 64 bits count, because a host has all that begin with them; an IPv4
    /// address in the form of IPv6 is the IPv4 address.
    pub fn address(address: IpAddr) -> Self {
        Self {
            tenant: "",
            caller: LimitCaller::Address(counted(address)),
        }
    }

    /// The tenant; empty for an address.
    pub fn tenant(&self) -> &'a str {
        self.tenant
    }

    /// Who calls.
    pub fn caller(&self) -> LimitCaller<'a> {
        self.caller
    }

    /// The key of `rule` as text, for a store that may hold personal data. Lengths stand before what is free text, so that no two keys are
    /// alike; the period and the meaning stand in it, because a state is of no use under others.
    pub fn text(&self, rule: &LimitRule) -> String {
        use fmt::Write as _;
        let meaning = match rule.semantics {
            LimitSemantics::Burst => 'b',
            LimitSemantics::Strict => 's',
        };
        let name = rule.name.as_str();
        let free = match self.caller {
            LimitCaller::User(user) => user.len(),
            LimitCaller::Address(_) => 0,
        };
        let mut text = String::with_capacity(name.len() + self.tenant.len() + free + 64);
        text.push_str(name);
        // Writing into a String does not fail.
        let _ = write!(text, "/{}{meaning}/{}:", rule.per_seconds, self.tenant.len());
        text.push_str(self.tenant);
        match (rule.scope, self.caller) {
            (LimitScope::User, LimitCaller::User(user)) => {
                text.push_str("/u");
                text.push_str(user);
            }
            (LimitScope::Tenant, LimitCaller::User(_)) => text.push_str("/t"),
            (_, LimitCaller::Address(address)) => {
                let _ = write!(text, "/a{address}");
            }
        }
        text
    }

    /// The key of `rule` under a secret of the operator (HMAC-SHA-256, cut to 128 bits), for a store that is to hold no personal data. All
    /// instances must have the same secret.
    pub fn digest(&self, rule: &LimitRule, secret: &[u8; 32]) -> LimitDigest {
        LimitSecret::of(secret).digest(self, rule)
    }
}

/// A secret that keys are digested under, wiped when it goes. What depends on it alone is worked out each time: the states of HMAC are as good as the secret, and
/// would not be wiped.
#[derive(Clone)]
pub(crate) struct LimitSecret(Zeroizing<[u8; 32]>);

impl LimitSecret {
    pub(crate) fn of(secret: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*secret))
    }

    /// As [`LimitKey::digest`].
    pub(crate) fn digest(&self, key: &LimitKey<'_>, rule: &LimitRule) -> LimitDigest {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("any length");
        mac.update(b"ops limit key 1\0");
        mac.update(key.text(rule).as_bytes());
        let tag = mac.finalize().into_bytes();
        LimitDigest(std::array::from_fn(|at| tag[at]))
    }
}

impl fmt::Debug for LimitKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitKey").finish_non_exhaustive()
    }
}

impl fmt::Debug for LimitCaller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User(_) => "User(..)",
            Self::Address(_) => "Address(..)",
        })
    }
}

/// A key that names nobody. It shows as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitDigest([u8; 16]);

impl LimitDigest {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for LimitDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One request, as limits see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitRequest<'a> {
    /// What it is.
    pub class: EndpointClass,
    /// Who makes it.
    pub key: LimitKey<'a>,
    /// How many times it counts.
    pub cost: u32,
}

impl<'a> LimitRequest<'a> {
    /// A request that counts once.
    pub fn new(class: EndpointClass, key: LimitKey<'a>) -> Self {
        Self { class, key, cost: 1 }
    }

    /// The same, counted `cost` times. A cost of 0 only looks.
    #[must_use]
    pub fn with_cost(mut self, cost: u32) -> Self {
        self.cost = cost;
        self
    }
}

fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(long) => {
            let [a, b, c, d, ..] = long.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        short @ IpAddr::V4(_) => short,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::model::{LimitName, LimitTable};

    /// What stores hold is found again: computed by another program.
    #[test]
    fn digests_are_those_that_were_stored_before() {
        let rule = |name: &str, class| LimitRule::per_minute(LimitName::new(name).unwrap(), class, 1);
        let api = rule("api", EndpointClass::Api).with_semantics(LimitSemantics::Burst);
        let login = rule("login", EndpointClass::Admin).with_semantics(LimitSemantics::Strict);
        let llm = rule("llm", EndpointClass::Llm)
            .with_semantics(LimitSemantics::Burst)
            .with_scope(LimitScope::Tenant)
            .with_period(3_600);
        for (key, rule, digest) in [
            (
                LimitKey::user("org", "1"),
                &api,
                "11f1aadeab03a4851db2c0b6af6dbe98",
            ),
            (
                LimitKey::address("192.0.2.7".parse().unwrap()),
                &login,
                "e288a274db4e7d8118cb55ea64d6ee11",
            ),
            (
                LimitKey::user("org", "u1"),
                &llm,
                "4b758e34bbfa2d68a4f83828925cd0c9",
            ),
        ] {
            assert_eq!(
                key.digest(rule, &[7; 32]).to_string(),
                digest,
                "{}",
                key.text(rule)
            );
        }
    }

    #[test]
    fn no_two_callers_have_the_same_key() {
        let parts = ["", "a", "b", "1:", "1:a/u", "a/ub", "/", "t", "u", "127.0.0.1"];
        let table = LimitTable::preset();
        let (api, llm) = (&table.rules[0], &table.rules[1]);
        let shared = api.clone().with_scope(LimitScope::Tenant);
        let (mut texts, mut digests, mut made) = (HashSet::new(), HashSet::new(), 0);
        for tenant in parts {
            texts.insert(LimitKey::user(tenant, "x").text(&shared));
            made += 1;
            for user in parts {
                for rule in [api, llm] {
                    let key = LimitKey::user(tenant, user);
                    texts.insert(key.text(rule));
                    digests.insert(key.digest(rule, &[7; 32]));
                    made += 1;
                }
            }
        }
        texts.insert(LimitKey::address("127.0.0.1".parse().unwrap()).text(api));
        assert_eq!(texts.len(), made + 1);
        assert_eq!(digests.len(), 2 * parts.len() * parts.len());
        let other =
            LimitRule::per_minute(LimitName::new("api").unwrap(), EndpointClass::Api, 1).with_period(61);
        assert_ne!(
            LimitKey::user("a", "b").text(api),
            LimitKey::user("a", "b").text(&other)
        );
    }

    #[test]
    fn a_host_has_one_key_whatever_its_address_ends_with() {
        let key = |text: &str| LimitKey::address(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }

    #[test]
    fn debug_names_nobody() {
        let request = LimitRequest::new(EndpointClass::Api, LimitKey::user("org_a", "tanaka"));
        let shown = format!("{request:?} {:?}", request.key.caller());
        assert!(!shown.contains("tanaka") && !shown.contains("org_a"), "{shown}");
    }
}
