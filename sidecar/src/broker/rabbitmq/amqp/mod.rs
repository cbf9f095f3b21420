//! AMQP 0-9-1 as a client speaks it (<https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf>, and `RabbitMQ`'s extensions:
//! confirms, nacks, blocked connections, cancellation by the broker).
//!
//! A message that comes in passes: `wire` (a frame is cut out of what was read), `state` (the connection), `channel`,
//! `content` (its parts are put together). One that goes out is written by `wire` into what leaves next, and `confirms`
//! keeps what becomes of it. All of these are pure: no I/O and no clock. `driver` moves bytes between them and a socket,
//! and `connection` is what the rest of the sidecar holds in its hands.
//!
//! Methods are read and written by `amq-protocol`. The few that every message needs are done here, without an allocation
//! for each field.

mod channel;
mod confirms;
mod connection;
mod content;
mod driver;
mod fault;
mod login;
mod properties;
mod state;
mod wire;

pub(super) use self::channel::Came;
pub(super) use self::confirms::Outcome;
pub(super) use self::connection::{Channel, Connection};
pub(super) use self::content::Delivery;
pub(super) use self::fault::Fault;
pub(super) use self::login::Login;
pub(super) use self::properties::Value;
pub(super) use self::wire::Publication;

/// The largest frame, in bytes. Large enough that messages are seldom cut, and small enough to be read at once.
const FRAME: u32 = 32 << 10;
