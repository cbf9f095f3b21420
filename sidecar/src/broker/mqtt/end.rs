//! The end of a session, with what waits in it, after its component's.

use std::sync::Arc;
use std::time::Duration;

use rumqttc::{AckMode, Event, EventLoop, Packet};
use tokio::sync::watch;
use tokio::time::timeout;

use super::super::BrokerError;
use super::fault::{disconnected, explain};
use super::kept::{NOTHING, NothingOfOurs};
use super::session::{Identity, connect, options};
use super::settings::Settings;

/// How soon who reads by a session takes it back, at the latest: it connects again at once, and where several share a topic
/// it may first turn to the session of another, who then comes here.
const BACK: Duration = Duration::from_secs(3);

/// Ends the session of a component, if there is one: one that begins afresh takes its place, and is over with its connection.
/// A broker doesn't say whether somebody reads by a session. So it is taken over first, as it is: who read by it takes it
/// back, and has lost nothing. Says whether there was one.
pub(super) async fn end(settings: &Settings, identity: &Identity) -> Result<bool, BrokerError> {
    let (gate, over) = (Arc::default(), Arc::new(watch::channel(()).0));
    let as_it_is = |older| {
        let mut options = options(settings, &identity.client, (&gate, &over), older);
        options
            .set_clean_start(false)
            .set_session_expiry_interval(Some(u32::MAX))
            .set_receive_maximum(Some(NOTHING))
            .set_outgoing_inflight_upper_limit(NOTHING)
            .set_ack_mode(AckMode::Manual)
            .set_session_store(NothingOfOurs { expiry: u32::MAX });
        options
    };
    let (client, mut driver, was_there) = connect(settings, as_it_is).await?;
    if was_there {
        let back = timeout(BACK, taken_back(settings, &mut driver)).await;
        if let Ok(ended) = back {
            ended?;
            let what = format!(
                "`{}` is still read by the session `{}`: end that component first, or give one of the two another name",
                identity.topic, identity.client
            );
            return Err(settings.fault("GroupInUse", false, what));
        }
    }
    drop((client, driver));
    let afresh = |older| {
        let mut options = options(settings, &identity.client, (&gate, &over), older);
        options.set_clean_start(true).set_session_expiry_interval(Some(0));
        options
    };
    connect(settings, afresh).await.map(|_| was_there)
}

/// Waits until a session is taken over.
async fn taken_back(settings: &Settings, driver: &mut EventLoop) -> Result<(), BrokerError> {
    loop {
        let ended = match driver.poll().await {
            Ok(Event::Incoming(Packet::Disconnect(end))) => disconnected(settings, end.reason_code),
            Ok(_) => continue,
            Err(error) => explain(settings, &error),
        };
        // In MQTT 3.1.1 a broker doesn't say why it ends a connection.
        if ["SessionTakenOver", "ConnectionLost"].contains(&ended.reason) {
            return Ok(());
        }
        return Err(ended);
    }
}
