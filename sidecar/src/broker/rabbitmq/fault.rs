//! What `RabbitMQ` refuses, as errors that say what to do.

use super::super::BrokerError;
use super::amqp::Fault;
use super::settings::Settings;

const HELD_TOO_LONG: &str = "messages were held for longer than consumer_timeout on the broker, and come again. A window holds \
    them until it has closed and its recipients have taken the result: shorten it, keep its messages with spec.state, or \
    raise consumer_timeout there and set the property consumerTimeout to the same; if a recipient is down, they wait for it";

fn is_timeout(said: &str) -> bool {
    said.contains("acknowledgement") && said.contains("timed out")
}

/// Turns a connection's fault into an error. The broker's own words hold no credentials.
pub(super) fn explain(settings: &Settings, fault: &Fault) -> BrokerError {
    let lost = |what: &str| settings.fault("ConnectionLost", true, format!("the connection is gone: {what}"));
    match fault {
        Fault::Refused { code, said } => refused(settings, *code, said),
        Fault::Lost(cause) => {
            let tls = settings.tls.as_ref();
            if let Some(what) = tls.and_then(|tls| tls.explain(&**cause)) {
                return settings.fault("TlsFailed", false, what);
            }
            let hint = tls.map_or("", |tls| tls.hint(&**cause));
            let what = format!("can't reach RabbitMQ: {cause}{hint}");
            settings.fault("Unreachable", true, what)
        }
        Fault::Silent => settings.fault(
            "Unreachable",
            true,
            "RabbitMQ went silent: no heartbeat for too long",
        ),
        Fault::Unexpected(what) => lost(&format!("what answers there said what RabbitMQ doesn't, {what}")),
        Fault::Closed => lost("it was closed"),
    }
}

fn refused(settings: &Settings, code: u16, said: &str) -> BrokerError {
    match code {
        Fault::ACCESS_REFUSED if said.contains("Login") => settings.fault(
            "AuthenticationFailed",
            false,
            "RabbitMQ refuses the user or the password: check the credentials in the connection's properties",
        ),
        Fault::ACCESS_REFUSED | Fault::NOT_ALLOWED => {
            settings.fault("NotPermitted", false, format!("RabbitMQ forbids it: {said}"))
        }
        Fault::PRECONDITION_FAILED if said.contains("inequivalent") => {
            let help = "declare it as it is there (durable, deletedWhenUnused, exchangeKind, queueType)";
            settings.fault("DeclarationMismatch", false, format!("{said}: {help}"))
        }
        // "delivery acknowledgement on channel 1 timed out. Timeout value used: 1800000 ms. ...": the queue has them again.
        Fault::PRECONDITION_FAILED if is_timeout(said) => {
            settings.fault("ConsumerTimeout", true, format!("{said}: {HELD_TOO_LONG}"))
        }
        // An exchange or a queue was deleted under us: it is declared again by who comes next.
        _ => settings.fault("BrokerRefused", true, format!("RabbitMQ refuses: {said}")),
    }
}
