//! One connection per consumer: a new one ends those that an earlier life left behind. A blocked read whose client is
//! gone would else be given messages that nobody sees before the next restart.

use std::fmt::Write as _;

use redis::RedisResult;
use redis::aio::MultiplexedConnection;

use super::Member;

/// Names this connection, after it ended others of that name. Where the user may not do that, nothing happens.
pub(super) async fn raise(connection: &mut MultiplexedConnection, member: &Member) {
    if let Err(error) = end_others(connection, &name(member)).await {
        tracing::debug!(topic = &*member.topic, %error, "can't look for connections that were left behind");
    }
}

async fn end_others(connection: &mut MultiplexedConnection, name: &str) -> RedisResult<()> {
    let list: String = redis::cmd("CLIENT")
        .arg("LIST")
        .arg("TYPE")
        .arg("normal")
        .query_async(connection)
        .await?;
    for id in named(&list, name) {
        redis::cmd("CLIENT")
            .arg("KILL")
            .arg("ID")
            .arg(id)
            .exec_async(connection)
            .await?;
    }
    redis::cmd("CLIENT")
        .arg("SETNAME")
        .arg(name)
        .exec_async(connection)
        .await
}

/// Unique to a member; without spaces, which such names can't have.
fn name(member: &Member) -> String {
    let mut name = String::from("streaming");
    for part in [&member.topic, &member.group, &member.consumer] {
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
    let field = |line: &'l str, key: &str| line.split(' ').find_map(|field| field.strip_prefix(key));
    let lines = list.lines().filter(|line| field(line, "name=") == Some(name));
    lines.filter_map(|line| field(line, "id=")).collect()
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
