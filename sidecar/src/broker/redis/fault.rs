//! What Redis refuses, as errors that say what to do.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::super::BrokerError;
use super::link::Link;

/// Another connection may fare better: it is not about the message or its topic.
pub(super) fn is_about_the_server(error: &RedisError) -> bool {
    let topic = matches!(error.code(), Some("WRONGTYPE" | "OOM"));
    !topic && error.kind() != ErrorKind::Server(ServerErrorKind::NoPerm)
}

/// The group is there already.
pub(super) fn is_group_there(error: &RedisError) -> bool {
    error.code() == Some("BUSYGROUP")
}

/// There is no such stream, so it has no groups.
pub(super) fn is_nothing_there(error: &RedisError) -> bool {
    let said = error.detail().unwrap_or_default();
    error.code() == Some("NOGROUP") || said.contains("requires the key to exist")
}

/// Turns a client's error into ours. Redis's own words hold no credentials; addresses are ours.
pub(super) fn explain(link: &Link, error: &RedisError) -> BrokerError {
    let fault = |reason, transient, what: String| BrokerError::new(&link.name, reason, what, transient);
    let said = error.detail().unwrap_or_default();
    if let Some(what) = link.tls.as_ref().and_then(|tls| tls.explain(error)) {
        return fault("TlsFailed", false, what);
    }
    match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS" | "NOAUTH")) => fault(
            "AuthenticationFailed",
            false,
            "Redis refuses the user or the password: check redisUsername and redisPassword".into(),
        ),
        (ErrorKind::Server(ServerErrorKind::NoPerm), _) => fault(
            "NotPermitted",
            false,
            format!("Redis forbids it to this user: {said}"),
        ),
        (_, Some("WRONGTYPE")) => {
            let what =
                "the topic's key holds something else than a stream: rename the topic or delete the key";
            fault("WrongType", false, what.into())
        }
        (
            ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::CrossSlot),
            _,
        ) => {
            let what = "this is a node of a Redis Cluster, which is not supported: use a single Redis";
            fault("ClusterNotSupported", false, what.into())
        }
        (ErrorKind::InvalidClientConfig | ErrorKind::RESP3NotSupported, _) => {
            fault("InvalidProperty", false, format!("can't connect: {error}"))
        }
        _ if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() => {
            let hint = link.tls.as_ref().map_or("", |tls| tls.hint(error));
            fault("Unreachable", true, format!("can't reach Redis: {error}{hint}"))
        }
        _ => fault("BrokerRefused", true, format!("Redis refuses: {error}")),
    }
}
