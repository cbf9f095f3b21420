//! A connection, and the session that the broker keeps for it: from CONNECT until its end, which ends the subscription.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rumqttc::{
    ConnAck, Connect, ConnectAuth, ConnectProperties, ConnectReturnCode, RetainForwardRule, SubscribeFilter,
    SubscribeReasonCode,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::super::BrokerError;
use super::driver::{Came, Driver, Shared};
use super::exchange::Exchange;
use super::fault::{Fault, explain};
use super::frame::{Malformed, Version};
use super::line::{Line, Over};
use super::outbox::{Limits, Outbox};
use super::packet::{self, Packet};
use super::publish::Manner;
use super::pulse::{self, Pulse};
use super::settings::{Reading, Settings};

/// How long connecting, and an answer, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a broker hears from who publishes, in seconds.
const KEEP_ALIVE: u16 = 15;

/// Who a client is for the broker, which keeps what comes for it under this name.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) client: String,
    filter: String,
    /// As the topic's name has it, with wildcards or without.
    pub(super) topic: Arc<str>,
}

impl Identity {
    /// A component that reads all of a topic.
    pub(super) fn alone(group: &str, topic: &str) -> Identity {
        Identity {
            client: format!("{group}-{:016x}", fingerprint(topic)),
            filter: topic.to_owned(),
            topic: topic.into(),
        }
    }

    /// One of several that share a topic. By its seat, not by its pod, so that the pod that comes after it goes on where it
    /// stopped. Components have no dots in their names.
    pub(super) fn member(group: &str, seat: u32, topic: &str) -> Identity {
        Identity {
            filter: format!("$share/{group}/{topic}"),
            ..Identity::alone(&format!("{group}.{seat}"), topic)
        }
    }
}

/// FNV-1a: names of clients may not have a topic's characters everywhere, and are best short.
pub(super) fn fingerprint(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// A connection that is being driven. It ends when nobody holds this.
pub(super) struct Link {
    pub(super) shared: Arc<Shared>,
    /// How many bytes have left.
    pub(super) left: watch::Receiver<u64>,
    /// Of a connection that reads: says when it is over.
    is_over: Option<watch::Receiver<()>>,
    settings: Arc<Settings>,
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(is_over) = self.is_over.take() {
            self.settings.ends(is_over);
        }
        self.shared.close();
    }
}

/// A connection that reads.
pub(super) struct Opened {
    pub(super) link: Arc<Link>,
    pub(super) came: mpsc::UnboundedReceiver<Came>,
    /// The broker had a session of this name.
    pub(super) resumed: bool,
}

/// Connects to read: resumes the broker's session, or begins one, and subscribes.
pub(super) async fn open(
    settings: &Arc<Settings>,
    identity: &Identity,
    reading: Reading,
    most: u16,
) -> Result<Opened, BrokerError> {
    let filter = SubscribeFilter {
        // What is retained comes when a session begins, and not again each time that it is resumed.
        retain_forward_rule: RetainForwardRule::OnNewSubscribe,
        ..SubscribeFilter::new(identity.filter.as_str(), reading.qos)
    };
    let no_topic = || {
        let what = format!("`{}` is no topic that MQTT has", identity.topic);
        settings.fault("InvalidTopic", false, what)
    };
    if !rumqttc::valid_filter(&identity.filter) {
        return Err(no_topic());
    }
    settings.ended().await;
    let (over, is_over) = watch::channel(());
    let expiry = if reading.clean { 0 } else { u32::MAX };
    let connect = greeting(&identity.client, reading.clean, Some(expiry), Some(most));
    let connected = connect_to(settings, &connect, &Arc::new(over)).await?;
    let resumed = connected.answer.session_present;
    let (out, came) = mpsc::unbounded_channel();
    let link = drive(settings, connected, Some(out), Some(is_over));
    let subscribed = link.shared.ask(|exchange| exchange.subscribe(filter));
    subscribed.map_err(|_| no_topic())?;
    Ok(Opened { link, came, resumed })
}

/// Connects to publish: a session that ends with the connection.
pub(super) async fn open_publisher(settings: &Arc<Settings>) -> Result<Arc<Link>, BrokerError> {
    let name = format!(
        "{}-{:016x}",
        settings.producer,
        RandomState::new().hash_one(settings.port)
    );
    let connect = Connect {
        keep_alive: KEEP_ALIVE,
        ..greeting(&name, true, None, None)
    };
    // Nobody waits for its end.
    let connected = connect_to(settings, &connect, &Arc::new(watch::channel(()).0)).await?;
    Ok(drive(settings, connected, None, None))
}

/// Begins the session of a component that isn't there, so that the broker keeps for it what is published.
pub(super) async fn declare(
    settings: &Arc<Settings>,
    identity: &Identity,
    reading: Reading,
) -> Result<(), BrokerError> {
    let mut opened = open(settings, identity, reading, 1).await?;
    let subscribed = async {
        loop {
            match opened.came.recv().await {
                // Messages are unacked, so they come again.
                Some(Came::News(news)) => {
                    if let Some(codes) = news.subscribed {
                        return subscribed(settings, &codes);
                    }
                }
                Some(Came::Lost(fault)) => return Err(explain(settings, &fault)),
                None => return Err(settings.gone()),
            }
        }
    };
    let outcome = tokio::time::timeout(PATIENCE, subscribed).await;
    outcome.unwrap_or_else(|_| Err(explain(settings, &Fault::Silent)))
}

/// What the answer to a subscription means.
pub(super) fn subscribed(settings: &Settings, codes: &[SubscribeReasonCode]) -> Result<(), BrokerError> {
    match codes.first() {
        Some(SubscribeReasonCode::Success(_)) => Ok(()),
        Some(SubscribeReasonCode::NotAuthorized) => {
            let what = "the MQTT broker forbids to read this topic";
            Err(settings.fault("NotPermitted", false, what))
        }
        code => {
            let what = format!("the MQTT broker refuses the subscription: {code:?}");
            Err(settings.fault("BrokerRefused", false, what))
        }
    }
}

/// What a client says first: its name, whether its session begins afresh, how long that stays, and how many messages it takes
/// unacked.
pub(super) fn greeting(client: &str, clean: bool, expiry: Option<u32>, most: Option<u16>) -> Connect {
    Connect {
        // A reader's broker would have to wait for its answers behind messages.
        keep_alive: 0,
        client_id: client.to_owned(),
        clean_start: clean,
        properties: Some(ConnectProperties {
            session_expiry_interval: expiry,
            receive_maximum: most,
            ..ConnectProperties::new()
        }),
    }
}

fn login(settings: &Settings) -> ConnectAuth {
    let username = settings.user.clone();
    let password = settings.password.clone().map(Bytes::from);
    match (username, password) {
        (Some(username), Some(password)) => ConnectAuth::UsernamePassword { username, password },
        (Some(username), None) => ConnectAuth::Username { username },
        (None, Some(password)) => ConnectAuth::Password { password },
        (None, None) => ConnectAuth::None,
    }
}

/// A connection whose broker has said yes.
pub(super) struct Connected {
    line: Line,
    /// What has come after that.
    unread: BytesMut,
    version: Version,
    /// How often the broker is to hear something, in seconds.
    keep_alive: u16,
    pub(super) answer: ConnAck,
}

impl Connected {
    /// The next packet.
    pub(super) async fn next(&mut self) -> Result<Packet, Fault> {
        next(&mut self.line, &mut self.unread, self.version).await
    }
}

async fn next(line: &mut Line, unread: &mut BytesMut, version: Version) -> Result<Packet, Fault> {
    loop {
        if let Some(packet) = packet::read(unread, version, &mut Arc::default())? {
            return Ok(packet);
        }
        if line.read_buf(unread).await? == 0 {
            return Err(Fault::HungUp);
        }
    }
}

/// Connects in MQTT 5, or in 3.1.1 where the broker has no 5.
pub(super) async fn connect_to(
    settings: &Settings,
    connect: &Connect,
    over: &Over,
) -> Result<Connected, BrokerError> {
    let attempt = |version| attempt(settings, connect, over, version);
    let first = if settings.is_older() {
        Version::Older
    } else {
        Version::Five
    };
    let (error, speaks) = match attempt(first).await {
        Ok(connected) => return Ok(connected),
        Err(failed) => failed,
    };
    if first == Version::Older || !settings.may_be_older() || speaks == Speaks::Five {
        return Err(error);
    }
    let mut speaks = speaks;
    if speaks == Speaks::Nothing {
        // It may have hung up for any other reason, and the reason may be gone. Not if 3.1.1 fares no better, and else it is
        // seen in whether 5 is hung up on again.
        if attempt(Version::Older).await.is_err() {
            return Err(error);
        }
        speaks = match attempt(Version::Five).await {
            Ok(connected) => return Ok(connected),
            Err((error, Speaks::Five)) => return Err(error),
            Err((_, speaks)) => speaks,
        };
    }
    let connected = attempt(Version::Older).await;
    let connected = connected.map_err(|(error, _)| error)?;
    if speaks == Speaks::Older {
        settings.learn_older();
    } else {
        tracing::warn!(
            broker = &*settings.name,
            "the broker hangs up on MQTT 5 and takes 3.1.1; this connection goes on with that"
        );
    }
    Ok(connected)
}

/// What a broker seems to speak that can't be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    Five,
    /// It says so.
    Older,
    /// It ended the connection instead of an answer, as some do that don't understand the question.
    Nothing,
}

async fn attempt(
    settings: &Settings,
    connect: &Connect,
    over: &Over,
    version: Version,
) -> Result<Connected, (BrokerError, Speaks)> {
    let connected = tokio::time::timeout(PATIENCE, say(settings, connect, over, version)).await;
    let fault = match connected {
        Ok(Ok(connected)) => return Ok(connected),
        Ok(Err(fault)) => fault,
        Err(_) => Fault::Silent,
    };
    let speaks = match &fault {
        Fault::Refused(
            ConnectReturnCode::RefusedProtocolVersion | ConnectReturnCode::UnsupportedProtocolVersion,
        ) => Speaks::Older,
        Fault::HungUp => Speaks::Nothing,
        _ => Speaks::Five,
    };
    Err((explain(settings, &fault), speaks))
}

async fn say(
    settings: &Settings,
    connect: &Connect,
    over: &Over,
    version: Version,
) -> Result<Connected, Fault> {
    let address = format!("{}:{}", settings.host, settings.port);
    let mut line = Line::connect(address, settings.tls.as_ref(), over).await?;
    let mut buffer = BytesMut::new();
    packet::put_connect(connect, &login(settings), version, &mut buffer)?;
    line.write_all(&buffer).await?;
    line.flush().await?;
    buffer.clear();
    match next(&mut line, &mut buffer, version).await? {
        Packet::Connected(answer) if answer.code == ConnectReturnCode::Success => {
            let wanted = answer.properties.as_ref().and_then(|all| all.server_keep_alive);
            Ok(Connected {
                line,
                unread: buffer,
                version,
                keep_alive: wanted.unwrap_or(connect.keep_alive),
                answer: *answer,
            })
        }
        Packet::Connected(answer) => Err(Fault::Refused(answer.code)),
        _ => Err(Malformed::new("no answer to CONNECT").into()),
    }
}

/// Lets a connection run until its end.
fn drive(
    settings: &Arc<Settings>,
    connected: Connected,
    came: Option<mpsc::UnboundedSender<Came>>,
    is_over: Option<watch::Receiver<()>>,
) -> Arc<Link> {
    let Connected {
        line,
        unread,
        version,
        keep_alive,
        answer,
    } = connected;
    let manner = Manner {
        version,
        qos: settings.qos,
        retain: settings.retain,
    };
    let outbox = Outbox::new(manner, Limits::of(&answer));
    let shared = Arc::new(Shared::new(Exchange::new(version, outbox)));
    let pulse = Pulse::new(pulse::PATIENCE, keep_alive, Instant::now());
    let (out, left) = watch::channel(0);
    tokio::spawn(Driver::new(line, unread, &shared, pulse, came, out).run());
    Arc::new(Link {
        shared,
        left,
        is_over,
        settings: Arc::clone(settings),
    })
}
