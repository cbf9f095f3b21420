//! What MQTT brokers refuse, as errors that say what to do. None of it holds credentials.

use std::io;

use rumqttc::{ConnectReturnCode, DisconnectReasonCode};

use super::super::BrokerError;
use super::frame::Malformed;
use super::settings::Settings;

/// How a connection ends, or doesn't begin.
#[derive(Debug)]
pub(super) enum Fault {
    Io(io::Error),
    /// The broker ended it without a word.
    HungUp,
    /// It doesn't answer.
    Silent,
    Refused(ConnectReturnCode),
    Disconnected(DisconnectReasonCode),
    Malformed(Malformed),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

impl From<Malformed> for Fault {
    fn from(error: Malformed) -> Fault {
        Fault::Malformed(error)
    }
}

/// Turns a fault into an error.
pub(super) fn explain(settings: &Settings, fault: &Fault) -> BrokerError {
    let end = io::Error::from(io::ErrorKind::ConnectionAborted);
    let cause = match fault {
        Fault::Io(cause) => cause,
        Fault::HungUp => &end,
        Fault::Silent => return settings.fault("Unreachable", true, "the MQTT broker doesn't answer"),
        Fault::Refused(code) => return refused(settings, *code),
        Fault::Disconnected(code) => return disconnected(settings, *code),
        Fault::Malformed(what) => {
            let what = format!("what the MQTT broker says makes no sense: {what}");
            return settings.fault("ConnectionLost", true, what);
        }
    };
    let tls = settings.tls.as_ref();
    if let Some(what) = tls.and_then(|tls| tls.explain(cause)) {
        return settings.fault("TlsFailed", false, what);
    }
    let hint = tls.map_or("", |tls| tls.hint(cause));
    if matches!(fault, Fault::HungUp) {
        let what = format!("the MQTT broker ended the connection{hint}");
        return settings.fault("ConnectionLost", true, what);
    }
    let what = format!("can't reach the MQTT broker: {cause}{hint}");
    settings.fault("Unreachable", true, what)
}

fn refused(settings: &Settings, code: ConnectReturnCode) -> BrokerError {
    match code {
        ConnectReturnCode::BadUserNamePassword
        | ConnectReturnCode::NotAuthorized
        | ConnectReturnCode::BadAuthenticationMethod => settings.fault(
            "AuthenticationFailed",
            false,
            "the MQTT broker refuses the user or the password: check `username` and `password`, or those in `url`",
        ),
        ConnectReturnCode::RefusedProtocolVersion | ConnectReturnCode::UnsupportedProtocolVersion => settings
            .fault(
                "ProtocolVersion",
                false,
                "the broker doesn't speak MQTT 5: set `protocolVersion` to auto",
            ),
        ConnectReturnCode::ServerBusy
        | ConnectReturnCode::ServerUnavailable
        | ConnectReturnCode::ServiceUnavailable
        | ConnectReturnCode::ConnectionRateExceeded => {
            settings.fault("BrokerRefused", true, format!("the MQTT broker takes nobody now: {code:?}"))
        }
        _ => settings.fault(
            "BrokerRefused",
            false,
            format!("the MQTT broker refuses the connection: {code:?}"),
        ),
    }
}

/// Why a broker ended a connection, in its words.
fn disconnected(settings: &Settings, code: DisconnectReasonCode) -> BrokerError {
    match code {
        DisconnectReasonCode::SessionTakenOver => settings.fault(
            "SessionTakenOver",
            true,
            "another client took over the session: only one of a component's processes can read a topic",
        ),
        DisconnectReasonCode::NotAuthorized => {
            settings.fault("NotPermitted", false, "the MQTT broker forbids it")
        }
        code => settings.fault(
            "ConnectionLost",
            true,
            format!("the MQTT broker ended the connection: {code:?}"),
        ),
    }
}
