//! The container that makes messages up: `MESSAGE_EXPR` into a topic, a message each `MESSAGE_DELAY`.

use std::process;
use std::thread;

use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use streaming_containers::clock::{Clock, micros, rfc3339};
use streaming_containers::{Publisher, Schedule, Settings};

fn main() -> anyhow::Result<()> {
    // As the first process of a container it would otherwise be deaf to SIGTERM.
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("cannot listen for signals")?;
    let generator = thread::spawn(run);
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            process::exit(0);
        }
    });
    generator
        .join()
        .map_err(|_| anyhow::anyhow!("the generator came to a sudden end"))?
}

fn run() -> anyhow::Result<()> {
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    let clock = Clock::start();
    let log = |text: &str| println!("{} {text}", rfc3339(clock.now()));
    log(&format!(
        "a message each {:?} to {}",
        settings.delay, settings.address
    ));
    let publisher = Publisher::new(settings.address);
    let mut schedule = Schedule::new(clock.now(), micros(settings.delay), settings.count);
    while let Some((due, number)) = schedule.next() {
        thread::sleep(clock.until(due));
        publisher.publish(&settings.recipe.message(number, due)?, log);
        schedule.tick();
    }
    log("all messages are published");
    // A container that ends is started again, and would publish them again.
    loop {
        thread::park();
    }
}
