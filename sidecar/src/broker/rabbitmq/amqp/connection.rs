//! A connection as its users have it: what they ask is written into what leaves next, and they wait for what becomes of it.
//! All of them share one state; its lock is held for as long as it takes to write or to take something, never while
//! anything is waited for.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use amq_protocol::protocol::AMQPClass;
use futures_util::task::AtomicWaker;
use tokio::sync::{Notify, oneshot};

use super::super::super::tls::Socket;
use super::channel::Came;
use super::confirms::Outcome;
use super::driver::Driver;
use super::fault::Fault;
use super::login::Login;
use super::state::{Event, State, Ticket};
use super::wire::Publication;

type Answer = Result<AMQPClass, Fault>;

/// What a connection's users and its driver share.
pub(super) struct Shared {
    inner: Mutex<Inner>,
    /// The driver, which is woken when something is to leave.
    pub(super) driver: AtomicWaker,
    /// For the one who reads.
    came: Notify,
}

pub(super) struct Inner {
    pub(super) state: State,
    asked: HashMap<Ticket, oneshot::Sender<Answer>>,
    published: HashMap<Ticket, oneshot::Sender<Vec<Outcome>>>,
    said: HashMap<Ticket, oneshot::Sender<Result<(), Fault>>>,
}

impl Inner {
    fn await_answer(&mut self, ticket: Ticket) -> oneshot::Receiver<Answer> {
        let (sender, answer) = oneshot::channel();
        self.asked.insert(ticket, sender);
        answer
    }

    /// Tells everybody what came of what they wait for. Says whether there is something to read.
    fn tell(&mut self) -> bool {
        let mut came = false;
        // Who doesn't wait any more needn't be told.
        for event in self.state.events() {
            match event {
                Event::Answered(ticket, answer) => {
                    let _ = self.asked.remove(&ticket).map(|asked| asked.send(answer));
                }
                Event::Settled(ticket, outcomes) => {
                    let _ = self
                        .published
                        .remove(&ticket)
                        .map(|published| published.send(outcomes));
                }
                Event::Left(ticket, left) => {
                    let _ = self.said.remove(&ticket).map(|said| said.send(left));
                }
                Event::Came => came = true,
            }
        }
        came
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the state, and tells everybody what came of it.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Inner) -> R) -> R {
        let mut inner = self.lock();
        let result = act(&mut inner);
        let came = inner.tell();
        drop(inner);
        if came {
            self.came.notify_one();
        }
        result
    }

    /// The same for who may have something to say.
    fn say<R>(&self, act: impl FnOnce(&mut Inner) -> R) -> R {
        let (result, leaves) = self.with(|inner| {
            let result = act(inner);
            (result, inner.state.has_to_say())
        });
        if leaves {
            self.driver.wake();
        }
        result
    }
}

/// A connection. It is closed with the last of its users.
pub(crate) struct Connection {
    shared: Arc<Shared>,
}

impl Connection {
    /// Logs in on a connection that was just made. If this is cancelled, the connection is gone.
    ///
    /// # Errors
    /// What the broker refuses, or the connection's end.
    pub(crate) async fn open(socket: Socket, login: Login) -> Result<Connection, Fault> {
        let shared = Arc::new(Shared {
            inner: Mutex::new(Inner {
                state: State::new(login),
                asked: HashMap::new(),
                published: HashMap::new(),
                said: HashMap::new(),
            }),
            driver: AtomicWaker::new(),
            came: Notify::new(),
        });
        let mut driver = Driver::new(socket, Arc::clone(&shared));
        let opened = poll_fn(|context| {
            let _ = driver.poll(context);
            let state = &shared.lock().state;
            match state.fault() {
                Some(fault) => Poll::Ready(Err(fault)),
                None if state.is_open() => Poll::Ready(Ok(())),
                None => Poll::Pending,
            }
        });
        let opened = opened.await;
        // A broker that refuses us waits to hear that we know.
        tokio::spawn(driver.run());
        opened.map(|()| Connection { shared })
    }

    /// Opens a channel.
    pub(crate) async fn channel(self: &Arc<Connection>) -> Result<Channel, Fault> {
        let (id, answer) = self.shared.say(|inner| {
            let (id, ticket) = inner.state.open()?;
            Ok::<_, Fault>((id, inner.await_answer(ticket)))
        })?;
        let channel = Channel {
            connection: Arc::clone(self),
            id,
        };
        answered(answer).await?;
        Ok(channel)
    }

    /// Whether the broker takes no messages at the moment.
    pub(crate) fn is_blocked(&self) -> bool {
        self.shared.lock().state.is_blocked()
    }

    /// Begins to close it, whoever still uses it.
    pub(crate) fn begin_close(&self, why: &'static str) {
        self.shared.say(|inner| inner.state.close(why));
    }

    /// Closes it, and waits until the broker has done so.
    pub(crate) async fn close(&self, why: &'static str) {
        let answer = self.shared.say(|inner| {
            inner.state.close(why);
            let ticket = inner.state.wait();
            inner.await_answer(ticket)
        });
        if let Err(fault) = answered(answer).await
            && !matches!(fault, Fault::Closed)
        {
            // It is gone already, and what was unacked with it.
            tracing::debug!(?fault, "closing the connection");
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.begin_close("nobody uses it any more");
    }
}

async fn answered(answer: oneshot::Receiver<Answer>) -> Answer {
    // Without a driver there is no connection.
    answer.await.unwrap_or(Err(Fault::Closed))
}

/// A channel of a connection. It is closed when it is dropped. Of the channels of a connection one may be read from, by
/// one task.
pub(crate) struct Channel {
    connection: Arc<Connection>,
    id: u16,
}

impl Channel {
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    fn shared(&self) -> &Shared {
        &self.connection.shared
    }

    /// Why it can't be used any more; `None` while it can.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.shared().lock().state.fault_of(self.id)
    }

    /// Asks something, and waits for the answer. A refusal ends the channel.
    pub(crate) async fn call(&self, method: AMQPClass) -> Answer {
        let answer = self.shared().say(|inner| {
            let ticket = inner.state.ask(self.id, method, true)?;
            Ok::<_, Fault>(inner.await_answer(ticket))
        })?;
        answered(answer).await
    }

    /// Asks things in order and waits for no answer. A refusal ends the channel, which is told to who reads.
    pub(crate) fn post(&self, methods: impl IntoIterator<Item = AMQPClass>) -> Result<(), Fault> {
        self.shared().say(|inner| {
            for method in methods {
                inner.state.ask(self.id, method, false)?;
            }
            Ok(())
        })
    }

    /// Publishes messages, all in one go. What is waited for afterwards is what became of each.
    pub(crate) fn publish<'m>(
        &self,
        messages: impl Iterator<Item = Publication<'m>>,
    ) -> Result<oneshot::Receiver<Vec<Outcome>>, Fault> {
        self.shared().say(|inner| {
            let ticket = inner.state.publish(self.id, messages)?;
            let (sender, outcomes) = oneshot::channel();
            inner.published.insert(ticket, sender);
            Ok(outcomes)
        })
    }

    /// Acks deliveries by their tags, or with `true` all up to them. Waits until that has left: whoever ends its process
    /// next has acked them.
    pub(crate) async fn ack(&self, acks: impl IntoIterator<Item = (u64, bool)>) -> Result<(), Fault> {
        let left = self.shared().say(|inner| {
            if let Some(fault) = inner.state.fault_of(self.id) {
                return Err(fault);
            }
            for (tag, multiple) in acks {
                inner.state.ack(self.id, tag, multiple);
            }
            if !inner.state.has_to_say() {
                return Ok(None);
            }
            let ticket = inner.state.wait_until_left();
            let (sender, left) = oneshot::channel();
            inner.said.insert(ticket, sender);
            Ok(Some(left))
        })?;
        match left {
            Some(left) => left.await.unwrap_or(Err(Fault::Closed)),
            None => Ok(()),
        }
    }

    /// What has come already, up to so many messages and about so many bytes.
    pub(crate) fn try_read(&self, most: usize, bytes: usize) -> Result<Vec<Came>, Fault> {
        self.shared().lock().state.take(self.id, most, bytes)
    }

    /// Waits for what comes next. May be cancelled without losing any.
    pub(crate) async fn read(&self, most: usize, bytes: usize) -> Result<Vec<Came>, Fault> {
        loop {
            let came = self.try_read(most, bytes)?;
            if !came.is_empty() {
                return Ok(came);
            }
            self.shared().came.notified().await;
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.shared().say(|inner| inner.state.release(self.id));
    }
}
