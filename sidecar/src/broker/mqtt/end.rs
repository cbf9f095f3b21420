//! The end of a session, with what waits in it, after its component's.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::super::BrokerError;
use super::fault::{Fault, explain};
use super::packet::Packet;
use super::session::{Connected, Identity, connect_to, greeting};
use super::settings::Settings;

/// How soon who reads by a session takes it back, at the latest: it connects again at once, and where several share a topic
/// it may first turn to the session of another, who then comes here.
const BACK: Duration = Duration::from_secs(3);

/// Ends the session of a component, if there is one: one that begins afresh takes its place, and is over with its connection.
/// A broker doesn't say whether somebody reads by a session. So it is taken over first, as it is: who read by it takes it
/// back, and has lost nothing. Says whether there was one.
pub(super) async fn end(settings: &Settings, identity: &Identity) -> Result<bool, BrokerError> {
    let over = Arc::new(watch::channel(()).0);
    let as_it_is = greeting(&identity.client, false, Some(u32::MAX), Some(1));
    let mut connected = connect_to(settings, &as_it_is, &over).await?;
    let was_there = connected.answer.session_present;
    if was_there {
        let back = timeout(BACK, taken_back(settings, &mut connected)).await;
        if let Ok(ended) = back {
            ended?;
            let what = format!(
                "`{}` is still read by the session `{}`: end that component first, or give one of the two another name",
                identity.topic, identity.client
            );
            return Err(settings.fault("GroupInUse", false, what));
        }
    }
    drop(connected);
    let afresh = greeting(&identity.client, true, Some(0), None);
    connect_to(settings, &afresh, &over).await.map(|_| was_there)
}

/// Waits until a session is taken over.
async fn taken_back(settings: &Settings, connected: &mut Connected) -> Result<(), BrokerError> {
    loop {
        let fault = match connected.next().await {
            Ok(Packet::Disconnected(code)) => Fault::Disconnected(code),
            Ok(_) => continue,
            Err(fault) => fault,
        };
        let ended = explain(settings, &fault);
        // In MQTT 3.1.1 a broker doesn't say why it ends a connection.
        if ["SessionTakenOver", "ConnectionLost"].contains(&ended.reason) {
            return Ok(());
        }
        return Err(ended);
    }
}
