//! Redis streams, as Dapr's pub/sub component uses them: XADD with the message in the field `data`.

use anyhow::{Context as _, Result, bail};

use super::{Counter, KEEP, Publisher, Wire};

/// Appends to one stream, many commands in flight.
pub(crate) struct RedisStream {
    wire: Wire,
    topic: String,
    unconfirmed: usize,
}

/// Commands in flight.
const DEPTH: usize = 512;

impl RedisStream {
    pub(crate) fn connect(port: u16, topic: &str) -> Result<RedisStream> {
        Ok(RedisStream {
            wire: Wire::connect(port)?,
            topic: topic.to_owned(),
            unconfirmed: 0,
        })
    }

    fn confirm(&mut self, left: usize) -> Result<()> {
        self.wire.send()?;
        while self.unconfirmed > left {
            // A bulk string, the entry's id: `$15\r\n1700000000000-0\r\n`.
            let answer = self.wire.waiting();
            let Some(line) = answer.windows(2).position(|end| end == b"\r\n") else {
                self.wire.need(answer.len() + 1)?;
                continue;
            };
            let text = String::from_utf8_lossy(answer.get(..line).unwrap_or(&[])).into_owned();
            let Some(Ok(len)) = text.strip_prefix('$').map(str::parse::<usize>) else {
                bail!("Redis answers {text}");
            };
            self.wire.need(line + 2 + len + 2)?;
            self.wire.consume(line + 2 + len + 2);
            self.unconfirmed -= 1;
        }
        Ok(())
    }
}

impl Counter for RedisStream {
    fn count(&mut self) -> Result<u64> {
        let topic = &self.topic;
        self.wire.output = format!("*2\r\n$4\r\nXLEN\r\n${}\r\n{topic}\r\n", topic.len()).into_bytes();
        self.wire.send()?;
        loop {
            let answer = String::from_utf8_lossy(self.wire.waiting()).into_owned();
            match answer.strip_suffix("\r\n") {
                Some(line) => {
                    self.wire.consume(answer.len());
                    let number = line.strip_prefix(':').and_then(|number| number.parse().ok());
                    return number.with_context(|| format!("Redis answers {line}"));
                }
                None => self.wire.need(answer.len() + 1)?,
            };
        }
    }
}

impl Publisher for RedisStream {
    fn send(&mut self, message: &[u8]) -> Result<()> {
        let out = &mut self.wire.output;
        out.extend_from_slice(b"*5\r\n");
        for part in [b"XADD", self.topic.as_bytes(), b"*", b"data", message] {
            out.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
            out.extend_from_slice(part);
            out.extend_from_slice(b"\r\n");
        }
        self.unconfirmed += 1;
        if self.unconfirmed >= DEPTH {
            self.confirm(DEPTH / 2)
        } else if self.wire.output.len() > KEEP {
            self.wire.send()
        } else {
            Ok(())
        }
    }

    fn push(&mut self) -> Result<()> {
        self.wire.send()
    }

    fn flush(&mut self) -> Result<()> {
        self.confirm(0)
    }
}
