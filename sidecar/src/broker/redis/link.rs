//! Connections to one Redis: made from properties, made again when they break.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::AsyncDNSResolver;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisFuture, RedisResult, TlsCertificates,
};
use tokio::sync::Mutex;

use super::super::BrokerError;
use super::super::properties::Properties;
use super::super::tls::Tls;
use super::fault::explain;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take, beyond the time that a command is told to block.
const ANSWER: Duration = Duration::from_secs(30);

/// Where a Redis is and how to log in. It has secrets, so it can't be printed.
pub(super) struct Link {
    /// The `ClusterStream`'s name and the address, for errors.
    pub(super) name: Arc<str>,
    /// What is connected to.
    host: String,
    pub(super) tls: Option<Tls>,
    client: Client,
}

impl Link {
    /// From the properties of a `ClusterStream`.
    pub(super) fn new(cluster_stream: &str, properties: &Properties<'_>) -> Result<Link, BrokerError> {
        let host = properties.text("redisHost").unwrap_or("localhost:6379").trim();
        // Whoever wrote a URL by mistake may have put a password into it.
        let shown = host.rsplit('@').next().unwrap_or_default();
        let name: Arc<str> = format!("{cluster_stream} ({shown})").into();
        let properties = Properties {
            broker: &name,
            ..*properties
        };
        let cluster = properties.text("redisType").is_some_and(|kind| kind == "cluster");
        if cluster || host.contains(',') || properties.flag("failover")? == Some(true) {
            let what = "Redis Cluster and Sentinel are not supported: name one Redis in redisHost";
            return Err(BrokerError::new(&name, "ClusterNotSupported", what, false));
        }
        let (host, port) = address(host).ok_or_else(|| properties.invalid("redisHost", "host:port"))?;
        let encrypted = properties.flag("enableTLS")?.unwrap_or(false);
        let tls = Tls::wanted(&properties, &host, encrypted, "set `enableTLS` to \"true\"")?;
        let address = match &tls {
            Some(tls) => ConnectionAddr::TcpTls {
                // What the client holds the certificate against; where that is, the resolver says.
                host: tls.name.to_str().into_owned(),
                port,
                insecure: false,
                tls_params: None,
            },
            None => ConnectionAddr::Tcp(host.clone(), port),
        };
        let mut login = RedisConnectionInfo::default().set_db(properties.number("redisDB")?.unwrap_or(0));
        if let Some(user) = properties.text("redisUsername") {
            login = login.set_username(user);
        }
        if let Some(password) = properties.text("redisPassword") {
            login = login.set_password(password);
        }
        let pair = properties.text("clientCert").zip(properties.text("clientKey"));
        let certificates = TlsCertificates {
            client_tls: pair.map(|(cert, key)| ClientTlsConfig {
                client_cert: cert.into(),
                client_key: key.into(),
            }),
            root_cert: properties.text("caCert").map(|ca| ca.as_bytes().to_vec()),
        };
        let client = address.into_connection_info().and_then(|info| {
            let info = info.set_redis_settings(login);
            if tls.is_some() {
                Client::build_with_tls(info, certificates)
            } else {
                Client::open(info)
            }
        });
        let client = client.map_err(|error| {
            let what = format!("can't use the connection's properties: {error}");
            BrokerError::new(&name, "InvalidProperty", what, false)
        })?;
        Ok(Link {
            name,
            host,
            tls,
            client,
        })
    }

    /// A connection whose commands may block for so long.
    pub(super) async fn connect(&self, block: Duration) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_dns_resolver(Resolver(self.host.clone()))
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER.saturating_add(block)))
            .set_write_backpressure_boundary(256 << 10);
        self.client
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }
}

/// Finds a Redis where it is, by whatever name its certificate goes.
struct Resolver(String);

impl AsyncDNSResolver for Resolver {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        _: &'b str,
        port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((self.0.as_str(), port)).await?;
            let found: Vec<SocketAddr> = found.collect();
            Ok(Box::new(found.into_iter()) as Box<dyn Iterator<Item = SocketAddr> + Send>)
        })
    }
}

/// `host`, `host:port` or `[v6]:port`.
fn address(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => text
            .split_once(':')
            .map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(6379), |port| port.parse().ok())?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

/// A connection that is made when it is needed, and again after it broke.
pub(super) struct Lazy {
    pub(super) link: Arc<Link>,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Lazy {
    pub(super) fn new(link: Arc<Link>) -> Lazy {
        Lazy {
            link,
            connection: Mutex::new(None),
        }
    }

    /// The connection.
    pub(super) async fn get(&self) -> Result<MultiplexedConnection, BrokerError> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = &*slot {
            return Ok(connection.clone());
        }
        let made = self.link.connect(Duration::ZERO).await;
        let made = made.map_err(|error| explain(&self.link, &error))?;
        Ok(slot.insert(made).clone())
    }

    /// It broke: the next one who needs it gets a new one.
    pub(super) async fn broke(&self) {
        *self.connection.lock().await = None;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_certificate_without_encryption_is_refused() {
        let refusal = |given: &[(&str, &str)]| {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let connection: BTreeMap<String, String> = given.iter().map(own).collect();
            let properties = Properties {
                broker: &"r".into(),
                own: None,
                connection: &connection,
            };
            Link::new("r", &properties).err().map(|error| error.to_string())
        };
        assert_eq!(refusal(&[("redisPassword", "p")]), None);
        assert_eq!(refusal(&[("enableTLS", "true"), ("serverName", "s")]), None);
        for off in [&[][..], &[("enableTLS", "false")]] {
            let refusal = refusal(&[off, &[("caCert", "s3cret")]].concat()).unwrap();
            assert!(
                refusal.contains("`caCert`") && refusal.contains("`enableTLS`"),
                "{refusal}"
            );
        }
    }

    #[test]
    fn addresses_may_leave_the_port_out() {
        assert_eq!(address("redis:1234"), Some(("redis".to_owned(), 1234)));
        assert_eq!(address("redis"), Some(("redis".to_owned(), 6379)));
        assert_eq!(address("[::1]:7"), Some(("::1".to_owned(), 7)));
        assert_eq!(address("[::1]"), Some(("::1".to_owned(), 6379)));
        for bad in ["", ":6379", "redis:", "redis:x", "redis:70000"] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }
}
