//! What `RabbitMQ` refuses, as errors that say what to do.

use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::{Error, ErrorKind};

use super::super::BrokerError;
use super::settings::Settings;

const HELD_TOO_LONG: &str = "messages were held for longer than consumer_timeout on the broker, and come again. A window holds \
    them until it has closed and its recipients have taken the result: shorten it, keep its messages with spec.state, or \
    raise consumer_timeout there and set the property consumerTimeout to the same; if a recipient is down, they wait for it";

fn is_timeout(said: &str) -> bool {
    said.contains("acknowledgement") && said.contains("timed out")
}

/// Turns a client's error into ours. The broker's own words hold no credentials.
pub(super) fn explain(settings: &Settings, error: &Error) -> BrokerError {
    if let Some(what) = settings.tls.as_ref().and_then(|tls| tls.explain(error)) {
        return settings.fault("TlsFailed", false, what);
    }
    let ErrorKind::ProtocolError(refusal) = error.kind() else {
        return match error.kind() {
            ErrorKind::IOError(cause) => {
                let hint = settings.tls.as_ref().map_or("", |tls| tls.hint(error));
                settings.fault(
                    "Unreachable",
                    true,
                    format!("can't reach RabbitMQ: {cause}{hint}"),
                )
            }
            ErrorKind::MissingHeartbeatError => settings.fault(
                "Unreachable",
                true,
                "RabbitMQ went silent: no heartbeat for too long",
            ),
            _ => settings.fault("ConnectionLost", true, format!("the connection is gone: {error}")),
        };
    };
    let said = refusal.get_message();
    match refusal.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) if said.as_str().contains("Login") => settings.fault(
            "AuthenticationFailed",
            false,
            "RabbitMQ refuses the user or the password: check the credentials in the connection's properties",
        ),
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => {
            settings.fault("NotPermitted", false, format!("RabbitMQ forbids it: {said}"))
        }
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) if said.as_str().contains("inequivalent") => {
            let help = "declare it as it is there (durable, deletedWhenUnused, exchangeKind, queueType)";
            settings.fault("DeclarationMismatch", false, format!("{said}: {help}"))
        }
        // "delivery acknowledgement on channel 1 timed out. Timeout value used: 1800000 ms. ...": the queue has them again.
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) if is_timeout(said.as_str()) => {
            settings.fault("ConsumerTimeout", true, format!("{said}: {HELD_TOO_LONG}"))
        }
        // An exchange or a queue was deleted under us: it is declared again by who comes next.
        _ => settings.fault("BrokerRefused", true, format!("RabbitMQ refuses: {said}")),
    }
}
