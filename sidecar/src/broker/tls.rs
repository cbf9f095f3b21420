//! Encrypted connections, the same for every protocol: whom to believe, who one is, and what went wrong, in words that
//! name the setting that it is about.
//!
//! Properties by Dapr's names (`caCert`, `clientCert`, `clientKey`: PEM), and `serverName`, which a `ClusterStream`'s
//! `tls.serverName` becomes.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{fmt, io};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::BrokerError;
use super::properties::Properties;

/// How a connection is encrypted. It has a private key, so it can't be printed.
#[derive(Clone)]
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    /// The name that the broker's certificate must carry.
    pub(super) name: ServerName<'static>,
    /// Whether the broker is shown a certificate, if it asks for one.
    identified: bool,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.name).finish()
    }
}

/// A connection, encrypted or not.
pub(super) enum Socket {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Socket {
    /// Encrypts a connection that was just made, if it is to be.
    ///
    /// # Errors
    /// No certificate to believe in, or the connection's end: see [`Tls::explain`].
    pub(super) async fn new(stream: TcpStream, tls: Option<&Tls>) -> io::Result<Socket> {
        let Some(tls) = tls else {
            return Ok(Socket::Plain(stream));
        };
        let connector = TlsConnector::from(Arc::clone(&tls.config));
        let stream = connector.connect(tls.name.clone(), stream).await?;
        Ok(Socket::Encrypted(Box::new(stream)))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Socket::Encrypted(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Socket::Encrypted(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_flush(context),
            Socket::Encrypted(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Socket::Encrypted(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Socket::Encrypted(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Socket::Plain(stream) => stream.is_write_vectored(),
            Socket::Encrypted(stream) => stream.is_write_vectored(),
        }
    }
}

/// What is about encryption only.
const PROPERTIES: [&str; 4] = ["caCert", "clientCert", "clientKey", "serverName"];

impl Tls {
    /// That of a connection if it is to be `encrypted`; `host` is what is connected to, `how` what else to do so that it is.
    ///
    /// # Errors
    /// As [`Tls::new`]; and what only an encrypted connection has a use for: who gives it must not find passwords in
    /// plain text on the network.
    pub(super) fn wanted(
        properties: &Properties<'_>,
        host: &str,
        encrypted: bool,
        how: &str,
    ) -> Result<Option<Tls>, BrokerError> {
        if encrypted {
            return Tls::new(properties, host).map(Some);
        }
        let useless = PROPERTIES
            .into_iter()
            .find(|name| properties.text(name).is_some());
        let refused = |name| {
            let expected = format!(
                "of use to a connection that is not encrypted: set `tls` on the ClusterStream, or {how}"
            );
            properties.invalid(name, &expected)
        };
        useless.map_or(Ok(None), |name| Err(refused(name)))
    }

    /// From a connection's properties; `host` is what is connected to.
    ///
    /// # Errors
    /// What is no PEM, or belongs to nothing.
    fn new(properties: &Properties<'_>, host: &str) -> Result<Tls, BrokerError> {
        let name = properties.text("serverName").unwrap_or(host);
        let name = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
            .unwrap_or(name);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| properties.invalid("serverName", "a name that a certificate may carry"))?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| {
            BrokerError::new(
                properties.broker,
                "TlsFailed",
                format!("no encryption: {error}"),
                false,
            )
        })?;
        let builder = builder.with_root_certificates(trusted(properties)?);
        let identity = identity(properties)?;
        let identified = identity.is_some();
        let config = match identity {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|_| {
                properties.invalid("clientKey", "the private key of the certificate in `clientCert`")
            })?,
            None => builder.with_no_client_auth(),
        };
        Ok(Tls {
            config: Arc::new(config),
            name,
            identified,
        })
    }

    /// What a failure has to do with encryption, and what to do about it; `None` if nothing for certain.
    pub(super) fn explain(&self, error: &(dyn Error + 'static)) -> Option<String> {
        let name = self.name.to_str();
        let Some(Cause::Tls(error)) = cause(error) else {
            return None;
        };
        Some(match error {
            // An authority that was made again has the name of the one before it, and another key.
            rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            ) => {
                "the broker's certificate is not signed by an authority that is trusted: set the property `caCert` \
                 (`tls.ca`) to the one that signed it"
                    .to_owned()
            }
            rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => format!(
                "the broker's certificate is not for `{name}`: connect by a name that it is for, or set \
                 `tls.serverName` to one"
            ),
            rustls::Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            ) => "the broker's certificate has expired: renew it".to_owned(),
            rustls::Error::InvalidCertificate(why) => {
                format!("the broker's certificate can't be trusted: {why}")
            }
            rustls::Error::AlertReceived(alert) if self.is_about_us(*alert) => self.unwanted().to_owned(),
            rustls::Error::InvalidMessage(_) => "what answers there does not speak TLS: connect to the broker's port \
                 for it, or ask for no encryption"
                .to_owned(),
            error => format!("no encrypted connection: {error}"),
        })
    }

    /// What may be behind a connection that just ended: some brokers hang up on who shows no certificate, or one that they
    /// don't trust, before it can be read that they do.
    pub(super) fn hint(&self, error: &(dyn Error + 'static)) -> &'static str {
        match cause(error) {
            Some(Cause::HungUp) if self.identified => {
                "; perhaps the broker refuses the client's certificate, `clientCert` (`tls.certificate`)"
            }
            Some(Cause::HungUp) => {
                "; if the broker asks for a client's certificate, set the properties `clientCert` and `clientKey` \
                 (`tls.certificate`, `tls.privateKey`)"
            }
            _ => "",
        }
    }

    fn is_about_us(&self, alert: AlertDescription) -> bool {
        let certificate = matches!(
            alert,
            AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied
        );
        // Up to TLS 1.2 there is no alert of its own for a certificate that is missing.
        certificate || (alert == AlertDescription::HandshakeFailure && !self.identified)
    }

    fn unwanted(&self) -> &'static str {
        if self.identified {
            "the broker refuses the client's certificate: check that `clientCert` (`tls.certificate`) is signed by an \
             authority that the broker trusts, and has not expired"
        } else {
            "the broker asks for a client's certificate: set the properties `clientCert` and `clientKey` \
             (`tls.certificate`, `tls.privateKey`)"
        }
    }
}

/// Whom to believe: who is named, or else Mozilla's list.
fn trusted(properties: &Properties<'_>) -> Result<RootCertStore, BrokerError> {
    let Some(pem) = properties.text("caCert") else {
        return Ok(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect());
    };
    let refused = || properties.invalid("caCert", "one or more certificates in PEM");
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let added = certificate
            .ok()
            .and_then(|certificate| store.add(certificate).ok());
        added.ok_or_else(refused)?;
    }
    if store.is_empty() {
        Err(refused())
    } else {
        Ok(store)
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Who one is.
fn identity(properties: &Properties<'_>) -> Result<Option<Identity>, BrokerError> {
    let (chain, key) = match (properties.text("clientCert"), properties.text("clientKey")) {
        (None, None) => return Ok(None),
        (Some(chain), Some(key)) => (chain, key),
        (Some(_), None) => return Err(properties.invalid("clientKey", "set, though `clientCert` is")),
        (None, Some(_)) => return Err(properties.invalid("clientCert", "set, though `clientKey` is")),
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes())
        .collect::<Result<_, _>>()
        .ok()
        .filter(|chain: &Vec<_>| !chain.is_empty())
        .ok_or_else(|| properties.invalid("clientCert", "a certificate in PEM"))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|_| properties.invalid("clientKey", "a private key in PEM, without a password"))?;
    Ok(Some((chain, key)))
}

/// What made a connection fail.
enum Cause<'e> {
    Tls(&'e rustls::Error),
    HungUp,
}

/// Looks for it through the errors of a client library.
fn cause<'e>(error: &'e (dyn Error + 'static)) -> Option<Cause<'e>> {
    let mut next = Some(error);
    let mut hung_up = false;
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(Cause::Tls(tls));
        }
        next = error.source();
        if let Some(shared) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
            next = Some(&**shared);
        }
        if let Some(io) = error.downcast_ref::<io::Error>() {
            hung_up |= matches!(
                io.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::UnexpectedEof
            );
            // Its source is that of what it wraps.
            next = io.get_ref().map(|inner| inner as &(dyn Error + 'static));
        }
    }
    hung_up.then_some(Cause::HungUp)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn tls(given: &[(&str, &str)]) -> Result<Tls, BrokerError> {
        wanted(given, true).map(Option::unwrap)
    }

    fn wanted(given: &[(&str, &str)], encrypted: bool) -> Result<Option<Tls>, BrokerError> {
        let connection = given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let connection: BTreeMap<String, String> = connection.collect();
        let properties = Properties {
            broker: &"b".into(),
            own: None,
            connection: &connection,
        };
        Tls::wanted(&properties, "broker", encrypted, "make it so")
    }

    #[test]
    fn what_only_encryption_has_a_use_for_is_refused_without_it() {
        assert!(wanted(&[("caCert", "")], false).unwrap().is_none());
        for property in PROPERTIES {
            let error = wanted(&[(property, "s3cret")], false).err().unwrap();
            assert_eq!((error.reason, error.transient), ("InvalidProperty", false));
            assert_eq!(
                error.to_string(),
                format!(
                    "b: the property `{property}` is not of use to a connection that is not encrypted: set `tls` on the \
                     ClusterStream, or make it so"
                )
            );
        }
    }

    #[test]
    fn what_is_no_pem_is_refused_by_its_property_and_not_repeated() {
        for (given, property) in [
            (&[("caCert", "s3cret")][..], "caCert"),
            (&[("clientCert", "s3cret")], "clientKey"),
            (&[("clientKey", "s3cret")], "clientCert"),
            (&[("clientCert", "s3cret"), ("clientKey", "s3cret")], "clientCert"),
            (&[("serverName", "s3cret?")], "serverName"),
        ] {
            let error = tls(given).err().unwrap().to_string();
            assert!(
                error.contains(&format!("`{property}`")) && !error.contains("s3cret"),
                "{error}"
            );
        }
    }

    #[test]
    fn without_an_authority_the_public_ones_are_trusted() {
        let tls = tls(&[("serverName", "[::1]")]).unwrap();
        assert_eq!(tls.name.to_str(), "::1");
        assert!(
            tls.explain(&io::Error::from(io::ErrorKind::ConnectionRefused))
                .is_none()
        );
    }

    #[test]
    fn the_reason_is_found_however_deep_it_is() {
        let tls = tls(&[]).unwrap();
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let error = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, unknown));
        assert!(tls.explain(&error).unwrap().contains("`caCert`"));
        let alert = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
        assert!(
            tls.explain(&io::Error::other(alert))
                .unwrap()
                .contains("`clientCert`")
        );
        let hung_up = io::Error::from(io::ErrorKind::ConnectionReset);
        assert!(tls.explain(&hung_up).is_none() && tls.hint(&hung_up).contains("`clientCert`"));
    }
}
