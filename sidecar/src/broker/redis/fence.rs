//! One connection per consumer: a new one ends those that an earlier life left behind. A blocked read whose client is
//! gone would else be given messages that nobody sees before the next restart.

use std::fmt::Write as _;

use redis::aio::MultiplexedConnection;
use redis::streams::StreamInfoConsumersReply;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};

use super::super::Consumer;
use super::Member;
use super::fault::is_nothing_there;
use super::reader::BLOCK;

/// Names this connection, after it ended others of that name. Where the user may not do that, nothing happens.
pub(super) async fn raise(connection: &mut MultiplexedConnection, member: &Member) {
    let name = name(member);
    let mut set = redis::cmd("CLIENT");
    set.arg("SETNAME").arg(&name);
    let raised = match end(connection, &name).await {
        Ok(()) => set.exec_async(connection).await,
        failed => failed,
    };
    if let Err(error) = raised {
        tracing::debug!(topic = &*member.topic, %error, "can't look for connections that were left behind");
    }
}

/// Ends the connection of a member, and with it a read that is blocked.
pub(super) async fn lower(connection: &mut MultiplexedConnection, member: &Member) {
    if let Err(error) = end(connection, &name(member)).await {
        tracing::debug!(topic = &*member.topic, %error, "can't end a connection for sure");
    }
}

async fn end(connection: &mut MultiplexedConnection, name: &str) -> RedisResult<()> {
    let list = clients(connection).await?;
    for id in named(&list, name) {
        redis::cmd("CLIENT")
            .arg("KILL")
            .arg("ID")
            .arg(id)
            .exec_async(connection)
            .await?;
    }
    Ok(())
}

/// Whether a consumer of the group is connected, or where the user may not know that, whether one has read a moment ago.
pub(super) async fn is_read(
    connection: &mut MultiplexedConnection,
    consumer: &Consumer,
) -> RedisResult<bool> {
    let list = clients(connection).await;
    let prefix = name_of([&consumer.topic, &consumer.group, ""]);
    match list {
        Ok(list) => Ok(names(&list).any(|name| name.starts_with(&prefix))),
        Err(error) if may_not(&error) => has_read(connection, consumer).await,
        Err(error) => Err(error),
    }
}

/// Whether a consumer of the group has asked for something within the time that two reads take. Where the user may not know
/// that either, none has.
async fn has_read(connection: &mut MultiplexedConnection, consumer: &Consumer) -> RedisResult<bool> {
    let mut info = redis::cmd("XINFO");
    info.arg("CONSUMERS").arg(&consumer.topic).arg(&consumer.group);
    match info.query_async::<StreamInfoConsumersReply>(connection).await {
        Ok(found) => Ok(found
            .consumers
            .iter()
            .any(|consumer| u128::try_from(consumer.idle).unwrap_or_default() < 2 * BLOCK.as_millis())),
        Err(error) if may_not(&error) || is_nothing_there(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn may_not(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm)
}

async fn clients(connection: &mut MultiplexedConnection) -> RedisResult<String> {
    redis::cmd("CLIENT")
        .arg("LIST")
        .arg("TYPE")
        .arg("normal")
        .query_async(connection)
        .await
}

/// Unique to a member; without spaces, which such names can't have.
fn name(member: &Member) -> String {
    name_of([&member.topic, &member.group, &member.consumer])
}

fn name_of(parts: [&str; 3]) -> String {
    let mut name = String::from("streaming");
    for part in parts {
        name.push('/');
        for byte in part.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte) {
                name.push(char::from(byte));
            } else {
                // Writing to a string can't fail.
                write!(name, "%{byte:02X}").ok();
            }
        }
    }
    name
}

/// The ids of the connections with a name.
fn named<'l>(list: &'l str, name: &str) -> Vec<&'l str> {
    let lines = list.lines().filter(|line| field(line, "name=") == Some(name));
    lines.filter_map(|line| field(line, "id=")).collect()
}

/// The names of all connections that have one.
fn names(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter_map(|line| field(line, "name="))
}

fn field<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    line.split(' ').find_map(|field| field.strip_prefix(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_connections_of_the_same_member_are_ended() {
        let member = |topic: &str| Member {
            topic: topic.into(),
            group: "g".into(),
            consumer: "g-0".into(),
        };
        assert_eq!(name(&member("a b/ü")), "streaming/a%20b%2F%C3%BC/g/g-0");
        let list = "id=3 addr=1:1 name=streaming/a/g/g-0 db=0\nid=4 addr=1:2 name= db=0\nid=5 name=streaming/a/g/g-01\n";
        assert_eq!(named(list, &name(&member("a"))), ["3"]);
    }
}
