//! The container that reads a file on the web again and again: its new rows into topics, each `POLL_DELAY`.

use std::thread;

use jiff::Timestamp;
use jiff::civil::Date;
use streaming_containers::clock::{Clock, micros, rfc3339};
use streaming_containers::poll::{Address, Files, Message, Outside, Settings, Trouble};
use streaming_containers::{Publisher, Schedule, until_told};

fn main() -> anyhow::Result<()> {
    until_told(run)
}

fn run() -> anyhow::Result<()> {
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    let clock = Clock::start();
    let (delay, mut follow) = (settings.delay, settings.follow);
    let mut world = World {
        files: settings.files,
        address: settings.address,
        publisher: Publisher::default(),
        clock,
    };
    world.log(&format!("reading {} each {delay:?}", world.files.name()));
    let mut schedule = Schedule::new(clock.now(), micros(delay), None);
    while let Some((due, _)) = schedule.next() {
        thread::sleep(clock.until(due));
        follow.tick(Timestamp::now(), &mut world);
        schedule.tick();
        // What has become due meanwhile has been done with it.
        while schedule.next().is_some_and(|(due, _)| due < clock.now()) {
            schedule.tick();
        }
    }
    Ok(())
}

/// The web on one side, the sidecar on the other.
struct World {
    files: Files,
    address: Address,
    publisher: Publisher,
    clock: Clock,
}

impl Outside for World {
    fn get(&mut self, day: Date) -> Result<Vec<u8>, Trouble> {
        self.files.get(day)
    }

    fn publish(&mut self, message: &Message) {
        let address = self.address.of(&message.topic);
        self.publisher
            .publish(&address, &message.body, |text| log(self.clock, text));
    }

    fn log(&mut self, text: &str) {
        log(self.clock, text);
    }
}

fn log(clock: Clock, text: &str) {
    println!("{} {text}", rfc3339(clock.now()));
}
