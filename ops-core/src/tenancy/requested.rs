use crate::model::TenantId;

/// The request header that asks for a tenant.
pub const TENANT_HEADER: &str = "X-Tenant-ID";

/// The tenant that a request asks for. It is a wish of the client, not a right.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestedTenant {
    /// The header is not there.
    None,
    /// It names this one.
    Named(TenantId),
    /// It is there several times, or is no tenant id.
    Unreadable,
}

impl RequestedTenant {
    /// Reads all values of the header, whatever the web framework. Two different answers to "whose data?" are none: a proxy may look
    /// at the first and the application at the last.
    pub fn from_values<'v>(values: impl IntoIterator<Item = &'v [u8]>) -> Self {
        let mut values = values.into_iter();
        let value = match (values.next(), values.next()) {
            (None, _) => return Self::None,
            (Some(_), Some(_)) => return Self::Unreadable,
            (Some(value), None) => value,
        };
        let named = std::str::from_utf8(value.trim_ascii()).map(TenantId::new);
        match named {
            Ok(Ok(tenant)) => Self::Named(tenant),
            _ => Self::Unreadable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&[u8]]) -> RequestedTenant {
        RequestedTenant::from_values(values.iter().copied())
    }

    #[test]
    fn one_readable_value_is_a_wish_and_anything_else_is_none() {
        let a = TenantId::new("org_a").unwrap();
        assert_eq!(read(&[]), RequestedTenant::None);
        assert_eq!(read(&[b" org_a "]), RequestedTenant::Named(a));
        for wrong in [
            &[b"".as_slice()] as &[&[u8]],
            &[b"org a"],
            &[b"\xff"],
            &[b"a", b"b"],
            &[b"a", b"a"],
            &[b"a", b"b", b"c"],
        ] {
            assert_eq!(read(wrong), RequestedTenant::Unreadable, "{wrong:?}");
        }
    }
}
