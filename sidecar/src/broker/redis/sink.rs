//! Publishing: one XADD a message, a batch in one pipeline.

use async_trait::async_trait;
use redis::{Cmd, Pipeline, RedisError, Value};

use super::super::{BrokerError, Outgoing, Sink};
use super::entries::FIELD;
use super::fault::{explain, is_about_the_server};
use super::link::Lazy;

/// What goes into one pipeline, in bytes; its answers come when all of it is sent.
const CHUNK: usize = 8 << 20;

pub(super) struct Publisher {
    pub(super) connection: Lazy,
    /// About how many entries a stream keeps.
    pub(super) max_len: Option<u64>,
}

#[async_trait]
impl Sink for Publisher {
    async fn publish(&self, batch: Vec<Outgoing>) -> Vec<Result<(), BrokerError>> {
        let mut results = Vec::with_capacity(batch.len());
        let mut rest = batch.as_slice();
        while let Some(first) = rest.first() {
            let mut bytes = first.payload.len();
            let more = rest.iter().skip(1).take_while(|message| {
                bytes = bytes.saturating_add(message.payload.len());
                bytes <= CHUNK
            });
            let (chunk, after) = rest.split_at(1 + more.count());
            match self.send(chunk).await {
                Ok(answers) => results.extend(answers),
                // In order: what comes after a chunk that may be missing must not get ahead of it.
                Err(error) => {
                    results.extend(rest.iter().map(|_| Err(error.clone())));
                    break;
                }
            }
            rest = after;
        }
        results
    }
}

impl Publisher {
    /// An answer for each message, or one error for all where the connection broke.
    async fn send(&self, chunk: &[Outgoing]) -> Result<Vec<Result<(), BrokerError>>, BrokerError> {
        let mut connection = self.connection.get().await?;
        let mut pipeline = Pipeline::with_capacity(chunk.len());
        for message in chunk {
            pipeline.add_command(self.add(message));
        }
        pipeline.ignore_errors();
        let link = &self.connection.link;
        let answers: Result<Vec<Result<Value, RedisError>>, RedisError> =
            pipeline.query_async(&mut connection).await;
        match answers {
            Ok(answers) => {
                // A server that is no master any more keeps its connections, and refuses on them for ever.
                if answers
                    .iter()
                    .any(|answer| answer.as_ref().is_err_and(is_about_the_server))
                {
                    self.connection.broke().await;
                }
                let outcome = |answer: Result<Value, RedisError>| match answer {
                    Ok(_) => Ok(()),
                    Err(error) => Err(explain(link, &error)),
                };
                Ok(answers.into_iter().map(outcome).collect())
            }
            Err(error) => {
                self.connection.broke().await;
                Err(explain(link, &error))
            }
        }
    }

    fn add(&self, message: &Outgoing) -> Cmd {
        let mut add = redis::cmd("XADD");
        add.arg(&*message.topic);
        if let Some(most) = self.max_len {
            add.arg("MAXLEN").arg("~").arg(most);
        }
        add.arg("*").arg(FIELD).arg(&message.payload[..]);
        add
    }
}
