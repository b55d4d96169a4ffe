use std::fmt;

use ops_core::error::{Error, ErrorKind, Result};
use ops_core::http::HostPolicy;
use secrecy::{ExposeSecret, SecretString};

use super::PROVIDER;

/// Where a server is and who asks, from a URL. `Debug` shows no password and no user.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    pub(super) user: Option<String>,
    pub(super) password: Option<SecretString>,
    pub(super) database: u16,
}

const PORT: u16 = 6379;

impl Address {
    /// Reads `redis://[[user]:password@]host[:port][/database]`, or `rediss://` for TLS.
    ///
    /// # Errors
    /// `InvalidConfig`; the URL is never part of the text.
    pub(super) fn read(url: &SecretString) -> Result<Self> {
        let text = url.expose_secret();
        let (tls, rest) = match text.split_once("://") {
            Some(("redis", rest)) => (false, rest),
            Some(("rediss", rest)) => (true, rest),
            Some(("http" | "https", _)) => {
                return Err(wrong(
                    "is the address of the REST interface; give the one that begins with rediss://",
                ));
            }
            _ => return Err(wrong("must begin with rediss:// (TLS) or redis://")),
        };
        if rest.contains(['?', '#']) {
            return Err(wrong("must hold no query and no fragment"));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, authority),
        };
        let (user, password) = match login {
            None => (None, None),
            Some(login) => {
                let (user, password) = login
                    .split_once(':')
                    .ok_or_else(|| wrong("must be user:password@ or :password@ before the host"))?;
                (Some(decoded(user)?), Some(SecretString::from(decoded(password)?)))
            }
        };
        let (host, port) = host_and_port(place)?;
        Ok(Self {
            host,
            port,
            tls,
            user: user.filter(|user| !user.is_empty()),
            password: password.filter(|password| !password.expose_secret().is_empty()),
            database: match path {
                "" => 0,
                number => number
                    .parse()
                    .map_err(|_| wrong("must end with the number of a database, or without"))?,
            },
        })
    }

    /// Whether `policy` lets this address be talked to; without TLS only within this machine, or a network that is said to be `private`.
    ///
    /// # Errors
    /// `InvalidConfig`.
    pub(super) fn check(&self, policy: HostPolicy, private: bool) -> Result<()> {
        if self.is_loopback() {
            return Ok(());
        }
        if policy != HostPolicy::Any {
            return Err(wrong(
                "leads to another machine, and this provider may only talk to this one",
            ));
        }
        if !self.tls && !private {
            return Err(wrong(
                "must be rediss:// for another machine; where the network between is private, say so (with_private_network)",
            ));
        }
        Ok(())
    }

    pub(super) fn is_loopback(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        write!(f, "{scheme}://{}:{}/{}", self.host, self.port, self.database)
    }
}

fn host_and_port(place: &str) -> Result<(String, u16)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest
                .split_once(']')
                .ok_or_else(|| wrong("must close the bracket of its host"))?;
            (host, port.strip_prefix(':'))
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong("must name a host"));
    }
    let port = match port {
        None => PORT,
        Some(port) => port
            .parse()
            .map_err(|_| wrong("must have a port of 1 to 65535"))?,
    };
    Ok((host.to_owned(), port))
}

/// Percent signs stand for bytes that may not stand in a URL.
fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err(wrong(
                "must have two hexadecimal digits after each % of user and password",
            ));
        };
        bytes.push(u8::try_from(16 * high + low).unwrap_or_default());
    }
    String::from_utf8(bytes).map_err(|_| wrong("must have user and password in UTF-8"))
}

fn wrong(why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidConfig, "read the address of Redis")
        .provider(PROVIDER)
        .context("url", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Address> {
        Address::read(&SecretString::from(url))
    }

    #[test]
    fn the_forms_that_vendors_give_are_read() {
        let upstash = read("rediss://default:AbC%2Fd@eu2-one-1.upstash.io:6379").unwrap();
        assert!(upstash.tls && upstash.port == 6379 && upstash.database == 0);
        assert_eq!(upstash.host, "eu2-one-1.upstash.io");
        assert_eq!(upstash.user.as_deref(), Some("default"));
        assert_eq!(upstash.password.as_ref().unwrap().expose_secret(), "AbC/d");
        let railway = read("redis://:s3cret@redis.railway.internal/2").unwrap();
        assert_eq!((railway.user.as_deref(), railway.database), (None, 2));
        let six = read("redis://[::1]:7000").unwrap();
        assert_eq!(
            (six.host.as_str(), six.port, six.password.is_none()),
            ("::1", 7000, true)
        );
        let at = read("redis://u:p@ss@h").unwrap();
        assert_eq!(at.password.as_ref().unwrap().expose_secret(), "p@ss");
    }

    #[test]
    fn a_fault_is_named_and_nothing_secret_shown() {
        for wrong in [
            "https://eu2-one-1.upstash.io",
            "s3cret",
            "redis://",
            "redis://:s3cret@",
            "redis://s3cret@h",
            "redis://:s3cret@h:port",
            "redis://:s3cret%zz@h",
            "redis://h/s3cret",
            "redis://h?s3cret",
            "redis://[::1",
        ] {
            let error = read(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{wrong}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
        assert_eq!(
            format!("{:?}", read("rediss://u:s3cret@h").unwrap()),
            "rediss://h:6379/0"
        );
    }

    #[test]
    fn other_machines_need_tls_or_a_private_network_and_are_refused_in_tests() {
        let (plain, tls) = (
            read("redis://db.internal").unwrap(),
            read("rediss://db.example").unwrap(),
        );
        let here = read("redis://127.0.0.1").unwrap();
        assert!(here.check(HostPolicy::LoopbackOnly, false).is_ok());
        assert!(tls.check(HostPolicy::LoopbackOnly, false).is_err());
        assert!(plain.check(HostPolicy::LoopbackOnly, true).is_err());
        let sly = read("redis://127.0.0.1@evil.example").unwrap_err();
        assert_eq!(sly.kind(), ErrorKind::InvalidConfig);
    }
}
