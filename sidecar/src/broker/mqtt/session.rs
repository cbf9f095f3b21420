//! A connection, and the session that the broker keeps for it: from CONNECT until its end, which ends the subscription.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{
    AckMode, AsyncClient, Broker, ConnectReturnCode, ConnectionError, Event, EventLoop, MqttOptions,
    Outgoing, Packet, Publish, QoS, RetainForwardRule, StateError, SubscribeFilterInput, SubscribeReasonCode,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::super::BrokerError;
use super::fault::{disconnected, explain};
use super::gate::{Gate, Gated, Over};
use super::kept::{NOTHING, NothingOfOurs};
use super::settings::{Reading, Settings};
use super::wire::Wire;

/// How long connecting, and an answer, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests that may wait for the connection. They leave together: each by itself would be a call of the system.
const REQUESTS: usize = 256;

/// Messages that may be unconfirmed. The client has a table of that size, and goes through all of it whenever something leaves.
const UNCONFIRMED: u16 = 512;

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

/// A connection that is being driven. It is cut when nobody holds this.
pub(super) struct Link {
    pub(super) client: AsyncClient,
    /// PUBACKs that have left.
    pub(super) acked: watch::Receiver<u64>,
    driver: JoinHandle<()>,
    /// Of a connection that reads: says when it is over.
    is_over: Option<watch::Receiver<()>>,
    settings: Arc<Settings>,
}

impl Link {
    /// Whether the connection is still there.
    pub(super) fn is_up(&self) -> bool {
        !self.driver.is_finished()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(is_over) = self.is_over.take() {
            self.settings.ends(is_over);
        }
        self.driver.abort();
    }
}

/// What comes over a connection.
pub(super) enum Came {
    Message(Publish),
    Subscribed(Vec<SubscribeReasonCode>),
    Lost(BrokerError),
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
    gate: &Arc<Gate>,
) -> Result<Opened, BrokerError> {
    let expiry = if reading.clean { 0 } else { u32::MAX };
    settings.ended().await;
    let (over, is_over) = watch::channel(());
    let over = Arc::new(over);
    let options = |older| {
        let mut options = options(settings, &identity.client, (gate, &over), older);
        options
            .set_clean_start(reading.clean)
            .set_session_expiry_interval(Some(expiry))
            .set_receive_maximum(Some(most))
            // It publishes nothing, and would keep a table for it.
            .set_outgoing_inflight_upper_limit(NOTHING)
            .set_ack_mode(AckMode::Manual)
            .set_keep_alive(0);
        if !reading.clean {
            options.set_session_store(NothingOfOurs { expiry });
        }
        options
    };
    let (client, driver, resumed) = connect(settings, options).await?;
    let filter = SubscribeFilterInput::new(identity.filter.clone(), reading.qos);
    // What is retained comes when a session begins, and not again each time that it is resumed.
    let filter = filter.retain_forward_rule(RetainForwardRule::OnNewSubscribe);
    client.subscribe_many([filter]).await.map_err(|_| {
        let what = format!("`{}` is no topic that MQTT has", identity.topic);
        settings.fault("InvalidTopic", false, what)
    })?;
    let (link, came) = drive(settings, client, driver, Some((Arc::clone(gate), is_over)));
    Ok(Opened { link, came, resumed })
}

/// Connects to publish: a session that ends with the connection.
pub(super) async fn open_publisher(settings: &Arc<Settings>) -> Result<Arc<Link>, BrokerError> {
    let name = format!(
        "{}-{:016x}",
        settings.producer,
        RandomState::new().hash_one(settings.port)
    );
    // Never shut: what comes are answers. Nobody waits for its end.
    let (gate, over) = (Arc::default(), Arc::new(watch::channel(()).0));
    let options = |older| {
        let mut options = options(settings, &name, (&gate, &over), older);
        options
            .set_clean_start(true)
            .set_keep_alive(15)
            .set_outgoing_inflight_upper_limit(UNCONFIRMED);
        options
    };
    let (client, driver, _) = connect(settings, options).await?;
    Ok(drive(settings, client, driver, None).0)
}

/// Begins the session of a component that isn't there, so that the broker keeps for it what is published.
pub(super) async fn declare(
    settings: &Arc<Settings>,
    identity: &Identity,
    reading: Reading,
) -> Result<(), BrokerError> {
    let mut opened = open(settings, identity, reading, 1, &Arc::default()).await?;
    let subscribed = async {
        loop {
            match opened.came.recv().await {
                Some(Came::Subscribed(codes)) => return subscribed(settings, &codes),
                // Unacked, so it comes again.
                Some(Came::Message(_)) => {}
                Some(Came::Lost(error)) => return Err(error),
                None => return Err(settings.gone()),
            }
        }
    };
    let outcome = tokio::time::timeout(PATIENCE, subscribed).await;
    outcome.unwrap_or_else(|_| Err(silent(settings)))
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

pub(super) fn options(
    settings: &Settings,
    client: &str,
    (gate, over): (&Arc<Gate>, &Over),
    older: bool,
) -> MqttOptions {
    let mut options = MqttOptions::new(client, Broker::tcp(settings.host.as_str(), settings.port));
    let (tls, gate, over) = (settings.tls.clone(), Arc::clone(gate), Arc::clone(over));
    options.set_socket_connector(move |address, _| {
        let connecting = Gated::connect(address, tls.clone(), Arc::clone(&gate), Arc::clone(&over));
        async move { Ok(Wire::new(connecting.await?, older)) }
    });
    match (&settings.user, &settings.password) {
        (Some(user), Some(password)) => options.set_credentials(user, password.clone()),
        (Some(user), None) => options.set_username(user),
        (None, Some(password)) => options.set_password(password.clone()),
        (None, None) => &mut options,
    };
    options
        .set_connect_timeout(PATIENCE)
        .set_max_request_batch(REQUESTS);
    options
}

/// A connection, and whether the broker had a session.
pub(super) type Connected = (AsyncClient, EventLoop, bool);

/// Connects in MQTT 5, or in 3.1.1 where the broker has no 5.
pub(super) async fn connect(
    settings: &Settings,
    options: impl Fn(bool) -> MqttOptions,
) -> Result<Connected, BrokerError> {
    let older = settings.is_older();
    let (error, speaks) = match attempt(settings, options(older)).await {
        Ok(connected) => return Ok(connected),
        Err(failed) => failed,
    };
    if older || !settings.may_be_older() || speaks == Speaks::Five {
        return Err(error);
    }
    let mut speaks = speaks;
    if speaks == Speaks::Nothing {
        // It may have hung up for any other reason, and the reason may be gone. Not if 3.1.1 fares no better, and else it is
        // seen in whether 5 is hung up on again.
        if attempt(settings, options(true)).await.is_err() {
            return Err(error);
        }
        speaks = match attempt(settings, options(false)).await {
            Ok(connected) => return Ok(connected),
            Err((error, Speaks::Five)) => return Err(error),
            Err((_, speaks)) => speaks,
        };
    }
    let connected = attempt(settings, options(true)).await;
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

async fn attempt(settings: &Settings, mut options: MqttOptions) -> Result<Connected, (BrokerError, Speaks)> {
    // Last: other settings would bring its default back.
    options.set_unlimited_incoming_packet_size();
    let (client, mut driver) = AsyncClient::builder(options).capacity(REQUESTS).build();
    let connected = async {
        loop {
            if let Event::Incoming(Packet::ConnAck(answer)) = driver.poll().await? {
                return Ok(answer.session_present);
            }
        }
    };
    match tokio::time::timeout(PATIENCE, connected).await {
        Ok(Ok(resumed)) => Ok((client, driver, resumed)),
        Ok(Err(error)) => {
            let speaks = match &error {
                ConnectionError::ConnectionRefused(
                    ConnectReturnCode::RefusedProtocolVersion | ConnectReturnCode::UnsupportedProtocolVersion,
                ) => Speaks::Older,
                ConnectionError::MqttState(StateError::ConnectionAborted) => Speaks::Nothing,
                _ => Speaks::Five,
            };
            Err((explain(settings, &error), speaks))
        }
        Err(_) => Err((silent(settings), Speaks::Five)),
    }
}

fn silent(settings: &Settings) -> BrokerError {
    settings.fault("Unreachable", true, "the MQTT broker doesn't answer")
}

/// Lets a connection run until its end.
fn drive(
    settings: &Arc<Settings>,
    client: AsyncClient,
    mut driver: EventLoop,
    reading: Option<(Arc<Gate>, watch::Receiver<()>)>,
) -> (Arc<Link>, mpsc::UnboundedReceiver<Came>) {
    let (gate, is_over) = reading.unzip();
    let explaining = Arc::clone(settings);
    let (out, came) = mpsc::unbounded_channel();
    let (left, acked) = watch::channel(0);
    let driver = tokio::spawn(async move {
        // Mosquitto 2.0.11 sends some messages of a long backlog three times in a row, with one identifier. While that is not
        // acked it can mean no other message, and takes one PUBACK: a second would end the connection.
        let mut unacked = HashSet::new();
        loop {
            let news = match driver.poll().await {
                Ok(Event::Incoming(Packet::Publish(message)))
                    if message.qos == QoS::AtLeastOnce && !unacked.insert(message.pkid) =>
                {
                    continue;
                }
                Ok(Event::Incoming(Packet::Publish(message))) => {
                    if let Some(gate) = &gate {
                        gate.came(message.payload.len());
                    }
                    Came::Message(message)
                }
                Ok(Event::Incoming(Packet::SubAck(answer))) => Came::Subscribed(answer.return_codes),
                Ok(Event::Outgoing(Outgoing::PubAck(packet))) => {
                    unacked.remove(&packet);
                    left.send_modify(|left| *left += 1);
                    continue;
                }
                Ok(Event::Incoming(Packet::Disconnect(end))) => {
                    Came::Lost(disconnected(&explaining, end.reason_code))
                }
                Ok(_) => continue,
                Err(error) => Came::Lost(explain(&explaining, &error)),
            };
            let lost = matches!(news, Came::Lost(_));
            // Who publishes doesn't listen.
            out.send(news).ok();
            if lost {
                return;
            }
        }
    });
    let link = Link {
        client,
        acked,
        driver,
        is_over,
        settings: Arc::clone(settings),
    };
    (Arc::new(link), came)
}
