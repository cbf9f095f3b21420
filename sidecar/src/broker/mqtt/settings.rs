//! What the properties of a `ClusterStream` say, by the names of Dapr's `pubsub.mqtt3`
//! (<https://docs.dapr.io/reference/components-reference/supported-pubsub/setup-mqtt3/>; `qos` 1, `retain` false,
//! `cleanSession` false).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rumqttc::QoS;
use tokio::sync::watch;
use tokio::time::timeout;

use super::super::BrokerError;
use super::super::properties::Properties;
use super::super::tls::Tls;
use super::super::url::Url;
use super::line::LINGER;

/// Whether a text is a URL that a broker can be reached at.
pub(in super::super) fn is_address(url: &str) -> bool {
    address(url).is_some()
}

/// Everything that the connection's properties say. It has secrets, so it can't be printed.
pub(super) struct Settings {
    /// The `ClusterStream`'s name and the address, for errors.
    pub(super) name: Arc<str>,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Option<Tls>,
    version: Version,
    /// The broker has said that it doesn't speak MQTT 5.
    is_older: AtomicBool,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    /// Connections that nobody uses any more, and that are not over yet.
    ending: Mutex<Vec<watch::Receiver<()>>>,
    /// What messages are published with.
    pub(super) qos: QoS,
    pub(super) retain: bool,
    /// What the names of publishing clients begin with.
    pub(super) producer: String,
}

/// What is spoken with a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// MQTT 5, or 3.1.1 with a broker that doesn't take it.
    Auto,
    Five,
    /// 3.1.1.
    Older,
}

/// How a subscription reads; its own properties come before its connection's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// A message comes with the lower of this and what it was published with.
    pub(super) qos: QoS,
    /// The broker forgets the session when the connection ends.
    pub(super) clean: bool,
}

impl Reading {
    pub(super) fn new(properties: &Properties<'_>) -> Result<Reading, BrokerError> {
        Ok(Reading {
            // A message that comes once more is known by its id; the second handshake of QoS 2 would only delay its ack.
            qos: match qos(properties)? {
                QoS::AtMostOnce => QoS::AtMostOnce,
                QoS::AtLeastOnce | QoS::ExactlyOnce => QoS::AtLeastOnce,
            },
            clean: properties.flag("cleanSession")?.unwrap_or(false),
        })
    }
}

impl Settings {
    pub(super) fn new(
        cluster_stream: &str,
        connection: &BTreeMap<String, String>,
    ) -> Result<Settings, BrokerError> {
        let broker: Arc<str> = cluster_stream.into();
        let properties = Properties {
            broker: &broker,
            own: None,
            connection,
        };
        let form = "a URL as mqtt://user:password@host:1883";
        let url = properties
            .text("url")
            .ok_or_else(|| properties.invalid("url", form))?;
        let (url, encrypted, host, port) = address(url).ok_or_else(|| properties.invalid("url", form))?;
        let encrypted = properties.flag("enableTLS")?.unwrap_or(false) || encrypted;
        let port = port.unwrap_or(if encrypted { 8883 } else { 1883 });
        let name: Arc<str> = format!("{cluster_stream} ({}://{host}:{port})", url.scheme).into();
        let properties = Properties {
            broker: &name,
            ..properties
        };
        let owned = |name| properties.text(name).map(str::to_owned);
        Ok(Settings {
            tls: Tls::wanted(&properties, &host, encrypted, "make `url` mqtts://")?,
            version: match properties.text("protocolVersion").map(str::trim) {
                None | Some("auto") => Version::Auto,
                Some("5") => Version::Five,
                Some("3.1.1") => Version::Older,
                Some(_) => return Err(properties.invalid("protocolVersion", "auto, 5 or 3.1.1")),
            },
            is_older: AtomicBool::new(false),
            ending: Mutex::default(),
            user: url.user.or_else(|| owned("username")),
            password: url.password.or_else(|| owned("password")),
            qos: qos(&properties)?,
            retain: properties.flag("retain")?.unwrap_or(false),
            producer: owned("producerID").unwrap_or_else(|| "streaming".to_owned()),
            host,
            port,
            name,
        })
    }

    /// Nobody uses a connection any more. The other half is held by what is not over of it.
    pub(super) fn ends(&self, is_over: watch::Receiver<()>) {
        self.ending().push(is_over);
    }

    /// Waits a little for connections that nobody uses any more to be over.
    pub(super) async fn ended(&self) {
        let ending = {
            let mut ending = self.ending();
            ending.retain(|is_over| is_over.has_changed().is_ok());
            ending.clone()
        };
        let all = async {
            for mut is_over in ending {
                while is_over.changed().await.is_ok() {}
            }
        };
        timeout(2 * LINGER, all).await.ok();
    }

    fn ending(&self) -> MutexGuard<'_, Vec<watch::Receiver<()>>> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether to speak MQTT 3.1.1 from the beginning.
    pub(super) fn is_older(&self) -> bool {
        self.version == Version::Older || self.is_older.load(Ordering::Relaxed)
    }

    /// Whether 3.1.1 may be tried where MQTT 5 fails.
    pub(super) fn may_be_older(&self) -> bool {
        self.version == Version::Auto
    }

    /// The broker has said that it has no MQTT 5.
    pub(super) fn learn_older(&self) {
        if !self.is_older.swap(true, Ordering::Relaxed) {
            tracing::info!(
                broker = &*self.name,
                "the broker has no MQTT 5; going on with 3.1.1"
            );
        }
    }

    /// An error of this connection's.
    pub(super) fn fault(
        &self,
        reason: &'static str,
        transient: bool,
        what: impl Into<String>,
    ) -> BrokerError {
        BrokerError::new(&self.name, reason, what, transient)
    }

    /// The error of who uses a connection after its end.
    pub(super) fn gone(&self) -> BrokerError {
        self.fault(
            "ConnectionLost",
            true,
            "the connection to the MQTT broker is gone",
        )
    }
}

/// A URL, whether it asks for encryption, and where it points.
fn address(url: &str) -> Option<(Url<'_>, bool, String, Option<u16>)> {
    let url = Url::parse(url)?;
    let encrypted = match url.scheme.as_str() {
        "mqtt" | "tcp" => false,
        "mqtts" | "ssl" | "tls" => true,
        _ => return None,
    };
    let bracketed = url.host.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = if let Some((host, port)) = bracketed {
        (format!("[{host}]"), port.strip_prefix(':'))
    } else {
        let parts = url.host.split_once(':');
        let (host, port) = parts.map_or((url.host, None), |(host, port)| (host, Some(port)));
        (host.to_owned(), port)
    };
    let port = port.map(str::parse).transpose().ok()?;
    (!host.is_empty()).then_some((url, encrypted, host, port))
}

fn qos(properties: &Properties<'_>) -> Result<QoS, BrokerError> {
    match properties.text("qos").map(str::trim) {
        Some("0") => Ok(QoS::AtMostOnce),
        None | Some("1") => Ok(QoS::AtLeastOnce),
        Some("2") => Ok(QoS::ExactlyOnce),
        Some(_) => Err(properties.invalid("qos", "0, 1 or 2")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(properties: &[(&str, &str)]) -> Result<Settings, BrokerError> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Settings::new("mosquitto", &properties.iter().map(own).collect())
    }

    #[test]
    fn a_broker_is_named_by_its_url_and_shown_without_its_password() {
        let url = settings(&[("url", "tcp://u:s3cret@h")]).unwrap();
        assert_eq!((&*url.name, url.port), ("mosquitto (tcp://h:1883)", 1883));
        assert_eq!(url.password.as_deref(), Some("s3cret"));
        let apart = [("url", "mqtt://[::1]:7"), ("username", "u"), ("password", "p")];
        let apart = settings(&apart).unwrap();
        assert_eq!(
            (&*apart.host, apart.port, apart.user.as_deref()),
            ("[::1]", 7, Some("u"))
        );
        let encrypted = settings(&[("url", "mqtt://h"), ("enableTLS", "true")]).unwrap();
        assert!(encrypted.port == 8883 && encrypted.tls.is_some());
        assert!(settings(&[("url", "mqtt://h"), ("caCert", "c")]).is_err());
        assert!(!apart.retain && apart.qos == QoS::AtLeastOnce && apart.tls.is_none());
        for bad in [
            "",
            "h:1883",
            "http://s3cret@h",
            "mqtt://u:s3cret@",
            "mqtt://h:s3cret",
        ] {
            let error = settings(&[("url", bad)]).err().unwrap().to_string();
            assert!(error.contains("url") && !error.contains("s3cret"), "{error}");
        }
    }
}
