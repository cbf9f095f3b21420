//! Real brokers for tests: each on a free port of the loopback interface with its data in a temporary folder. Dropping one
//! ends it; so does the end of the test's process, however it comes.

mod mosquitto;
mod process;
mod rabbitmq;
mod redis;
mod tls;

pub use mosquitto::Mosquitto;
pub use process::{Process, free_port};
pub use rabbitmq::RabbitMq;
pub use redis::{Redis, RedisServer};
pub use tls::{Authority, SERVER_NAME};
