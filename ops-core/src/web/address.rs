use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

use crate::error::{Error, ErrorKind, Result};

/// The proxies whose word about a client's address is taken. The default trusts none: the address is that of the connection.
///
/// ```
/// use ops_core::web::TrustedProxies;
///
/// let proxies = TrustedProxies::new(["10.0.0.0/8", "35.191.0.0/16"])?;
/// let mut headers = http::HeaderMap::new();
/// // The client wrote the first one; the load balancer added what it saw.
/// headers.insert("x-forwarded-for", "203.0.113.9, 198.51.100.7".parse()?);
/// assert_eq!(proxies.client("10.1.2.3".parse()?, &headers), "198.51.100.7".parse::<std::net::IpAddr>()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<Network>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: u128,
    bits: u32,
}

/// More hops than that are no chain of proxies.
const MOST_HOPS: usize = 32;

impl TrustedProxies {
    /// Networks in the notation `10.0.0.0/8` or `2001:db8::/32`; an address alone is itself only.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] with the network that is none.
    pub fn new<'a>(networks: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let networks: Result<_> = networks.into_iter().map(Network::parse).collect();
        Ok(Self { networks: networks? })
    }

    /// The address of the client behind the connection from `peer`.
    ///
    /// If `peer` is trusted, `X-Forwarded-For` is read from the right, because a trusted proxy adds there what it saw: the first address
    /// that is not trusted is the client's. What stands to the left of it was written by the client. An entry that is no address ends the
    /// reading at the last proxy that was seen.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut last = peer.to_canonical();
        if !self.trusts(last) {
            return last;
        }
        let lines = headers.get_all("x-forwarded-for").iter().rev();
        let entries = lines.flat_map(|line| line.to_str().unwrap_or("?").rsplit(','));
        for entry in entries.take(MOST_HOPS) {
            let Some(address) = address(entry.trim()) else {
                return last;
            };
            last = address;
            if !self.trusts(address) {
                return address;
            }
        }
        last
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = wide(address);
        self.networks.iter().any(|network| network.holds(address))
    }
}

impl Network {
    fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(ErrorKind::InvalidConfig, "read trusted proxies")
                .context("network", text)
                .context("proxies", "must be addresses or networks, as in 10.0.0.0/8")
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits
                .trim()
                .parse()
                .ok()
                .filter(|bits| *bits <= most)
                .ok_or_else(wrong)?,
            None => most,
        };
        Ok(Self {
            address: wide(address),
            bits: bits + 128 - most,
        })
    }

    fn holds(self, address: u128) -> bool {
        let differs = self.address ^ address;
        self.bits == 0 || differs >> (128 - self.bits) == 0
    }
}

/// One space for both kinds of address.
fn wide(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(short) => short.to_ipv6_mapped().to_bits(),
        IpAddr::V6(long) => long.to_bits(),
    }
}

/// An address, with or without a port or brackets.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || entry.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let address: Option<IpAddr> = entry.parse().ok().or_else(with_port).or_else(bare);
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(networks: &[&str], peer: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let proxies = TrustedProxies::new(networks.iter().copied()).unwrap();
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_what_it_added() {
        let proxies = &["10.0.0.0/8", "2001:db8::/32"];
        for (peer, lines, expected) in [
            ("198.51.100.1", &["203.0.113.9"][..], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["1.1.1.1, 203.0.113.9, 10.9.9.9"], "203.0.113.9"),
            ("10.0.0.1", &["1.1.1.1", "203.0.113.9", "10.9.9.9"], "203.0.113.9"),
            ("10.0.0.1", &["1.1.1.1, unknown, 10.9.9.9"], "10.9.9.9"),
            ("10.0.0.1", &["evil", "203.0.113.9:4711"], "203.0.113.9"),
            ("2001:db8::1", &["[2001:db9::7]:80"], "2001:db9::7"),
            ("10.0.0.1", &["[2001:db9::7]"], "2001:db9::7"),
            ("::ffff:10.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
            ("11.0.0.1", &["203.0.113.9"], "11.0.0.1"),
        ] {
            assert_eq!(client(proxies, peer, lines), expected, "{peer} {lines:?}");
        }
        assert_eq!(
            client(&[], "127.0.0.1", &["203.0.113.9"]),
            "127.0.0.1",
            "by default nobody is"
        );
        assert_eq!(client(&["0.0.0.0/0"], "8.8.8.8", &["203.0.113.9"]), "203.0.113.9");
    }

    #[test]
    fn a_network_that_is_none_is_named() {
        for wrong in ["10.0.0.0/33", "10.0.0/8", "", "::/129", "10.0.0.0/x"] {
            assert!(TrustedProxies::new([wrong]).is_err(), "{wrong}");
        }
    }
}
