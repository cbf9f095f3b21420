//! The container that makes messages up: `MESSAGE_EXPR` into a topic, a message each `MESSAGE_DELAY`.

use std::thread;

use streaming_containers::clock::{Clock, micros, rfc3339};
use streaming_containers::{Publisher, Schedule, Settings, until_told};

fn main() -> anyhow::Result<()> {
    until_told(run)
}

fn run() -> anyhow::Result<()> {
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    let clock = Clock::start();
    let log = |text: &str| println!("{} {text}", rfc3339(clock.now()));
    log(&format!(
        "a message each {:?} to {}",
        settings.delay, settings.address
    ));
    let publisher = Publisher::default();
    let mut schedule = Schedule::new(clock.now(), micros(settings.delay), settings.count);
    while let Some((due, number)) = schedule.next() {
        thread::sleep(clock.until(due));
        publisher.publish(&settings.address, &settings.recipe.message(number, due)?, log);
        schedule.tick();
    }
    log("all messages are published");
    // A container that ends is started again, and would publish them again.
    loop {
        thread::park();
    }
}
