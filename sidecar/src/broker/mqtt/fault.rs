//! What MQTT brokers refuse, as errors that say what to do. Nothing that the client says holds credentials.

use std::io;

use rumqttc::{ConnectReturnCode, ConnectionError, DisconnectReasonCode, StateError, mqttbytes};

use super::super::BrokerError;
use super::settings::Settings;

/// Turns a client's error into ours.
pub(super) fn explain(settings: &Settings, error: &ConnectionError) -> BrokerError {
    let end = io::Error::from(io::ErrorKind::ConnectionAborted);
    let cause = match error {
        ConnectionError::Io(cause)
        | ConnectionError::MqttState(
            StateError::Io(cause) | StateError::Deserialization(mqttbytes::Error::Io(cause)),
        ) => Some(cause),
        ConnectionError::MqttState(StateError::ConnectionAborted) => Some(&end),
        _ => None,
    };
    if let Some(cause) = cause {
        let tls = settings.tls.as_ref();
        if let Some(what) = tls.and_then(|tls| tls.explain(cause)) {
            return settings.fault("TlsFailed", false, what);
        }
        let hint = tls.map_or("", |tls| tls.hint(cause));
        if matches!(error, ConnectionError::MqttState(StateError::ConnectionAborted)) {
            let what = format!("the MQTT broker ended the connection{hint}");
            return settings.fault("ConnectionLost", true, what);
        }
        let what = format!("can't reach the MQTT broker: {cause}{hint}");
        return settings.fault("Unreachable", true, what);
    }
    match error {
        ConnectionError::ConnectionRefused(code) => refused(settings, *code),
        ConnectionError::Timeout(_) => settings.fault("Unreachable", true, "the MQTT broker doesn't answer"),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => {
            disconnected(settings, *reason_code)
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            settings.fault("Unreachable", true, "the MQTT broker went silent")
        }
        _ => settings.fault("ConnectionLost", true, format!("the connection is gone: {error}")),
    }
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
pub(super) fn disconnected(settings: &Settings, code: DisconnectReasonCode) -> BrokerError {
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
