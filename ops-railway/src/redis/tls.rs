use std::sync::Arc;

use ops_core::error::{Error, ErrorKind, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::error;

/// How TLS is spoken: with ring, given explicitly, and Mozilla's roots or those of the operator.
#[derive(Clone)]
pub(super) struct Tls(TlsConnector);

impl Tls {
    /// With the certificate authorities of `roots` (PEM), or with Mozilla's.
    ///
    /// # Errors
    /// `InvalidConfig` when `roots` holds no certificate that can be read.
    pub(super) fn new(roots: Option<&str>) -> Result<Self> {
        let failed = || error(ErrorKind::InvalidConfig, "set up TLS");
        let store = match roots {
            None => RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            },
            Some(pem) => own_roots(pem)?,
        };
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|source| failed().source(source))?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// # Errors
    /// `Unavailable` when the other side is not who it should be, or speaks no TLS.
    pub(super) async fn connect(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|source| error(ErrorKind::InvalidConfig, "connect").source(source))?;
        self.0.connect(name, stream).await.map_err(|source| {
            error(ErrorKind::Unavailable, "connect")
                .context("reason", "the TLS handshake failed")
                .source(source)
        })
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

fn own_roots(pem: &str) -> Result<RootCertStore> {
    let wrong = |why: &'static str| -> Error {
        error(ErrorKind::InvalidConfig, "set up TLS").context("root certificates", why)
    };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| wrong("must be certificates in PEM"))?;
        store
            .add(certificate)
            .map_err(|_| wrong("hold one that is no certificate authority"))?;
    }
    if store.is_empty() {
        return Err(wrong("hold none"));
    }
    Ok(store)
}
