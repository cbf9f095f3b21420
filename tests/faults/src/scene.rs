//! One run: everything around the sidecar that a fault happens to, and the verdict at its end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::broker::{Kind, Server};
use crate::container::{Container, Mood};
use crate::feed::{Feed, Load};
use crate::pipeline::{Pipeline, Request, Shape};
use crate::report::Outcome;
use crate::sidecar::{Sidecar, Station};

/// What all runs have in common.
pub struct World {
    /// The sidecar's program.
    pub program: PathBuf,
    /// What is drawn is drawn by it.
    pub seed: u64,
    brokers: Mutex<BTreeMap<Kind, Arc<Server>>>,
}

/// What a scene is made of.
#[derive(Clone, Copy)]
pub struct Setup<'s> {
    /// What the sidecar does.
    pub shape: Shape,
    /// Of what broker.
    pub kind: Kind,
    /// Where the sidecar finds it.
    pub port: u16,
    /// Its memory limit, if not the usual.
    pub memory: Option<&'s str>,
    /// Properties of the `ClusterStream` that are not the usual.
    pub properties: &'s [(&'s str, &'s str)],
}

impl Setup<'_> {
    /// With nothing unusual.
    pub fn new(shape: Shape, kind: Kind, port: u16) -> Setup<'static> {
        Setup {
            shape,
            kind,
            port,
            memory: None,
            properties: &[],
        }
    }
}

/// A pipeline of two sidecars: the one that faults happen to, and the one beside the container, which knows repeats.
pub struct Scene {
    program: PathBuf,
    kind: Kind,
    pipeline: Pipeline,
    container: Container,
    /// Beside the container.
    sink: Sidecar,
    sink_station: Station,
    /// Where the first pod of the sidecar under test runs.
    pub station: Station,
    /// Holds what the sidecars under test log.
    folder: TempDir,
    /// What those had counted that were told to end.
    counts: Mutex<Vec<String>>,
    peak: AtomicU64,
}

/// How long nothing may come before what is missing counts as lost.
const PATIENCE: Duration = Duration::from_secs(100);

impl World {
    /// With the sidecar's program and a seed.
    pub fn new(program: PathBuf, seed: u64) -> World {
        World {
            program,
            seed,
            brokers: Mutex::default(),
        }
    }

    /// The broker that all faults share that leave it alone.
    ///
    /// # Errors
    /// It can't be started.
    pub fn broker(&self, kind: Kind) -> Result<Arc<Server>> {
        let mut brokers = self.brokers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = brokers.get(&kind) {
            return Ok(Arc::clone(server));
        }
        let server = Arc::new(Server::start(kind).with_context(|| format!("starting {}", kind.name()))?);
        brokers.insert(kind, Arc::clone(&server));
        Ok(server)
    }

    /// A seed for a part of a run.
    pub fn seed_of(&self, part: &str, kind: Kind) -> u64 {
        // FNV-1a, so that it is the same on every machine.
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let text = format!("{part}/{}", kind.name());
        text.bytes().fold(0xcbf2_9ce4_8422_2325 ^ self.seed, step)
    }
}

impl Scene {
    /// Sets one up, with a container that takes everything. No sidecar under test runs yet.
    ///
    /// # Errors
    /// Something can't be started.
    pub async fn new(world: &World, setup: Setup<'_>) -> Result<Scene> {
        Scene::with(world, setup, |_| Mood::Well).await
    }

    /// Sets one up, with a container of these moods.
    ///
    /// # Errors
    /// Something can't be started.
    pub async fn with(
        world: &World,
        setup: Setup<'_>,
        mood: impl Fn(u64) -> Mood + Send + Sync + 'static,
    ) -> Result<Scene> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("run-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let container = Container::start(mood).await?;
        let pipeline = Pipeline::new(&Request {
            shape: setup.shape,
            kind: setup.kind,
            port: setup.port,
            name: &name,
            container: container.port(),
            memory: setup.memory,
            properties: setup.properties,
        })?;
        // Shorter than the other's patience with it: who asks first is to be the last who gives up.
        let folder = tempfile::Builder::new().prefix("faults-").tempdir()?;
        let log = folder.path().join("sink.log");
        let sink_station = Station::new(&world.program, "sink-0", &pipeline.sink, None, "2s", &log)?;
        let sink = sink_station.start_ready().await?;
        let mut scene = Scene {
            program: world.program.clone(),
            kind: setup.kind,
            station: Station::new(&world.program, "unused", &pipeline.plan, None, "1s", &log)?,
            pipeline,
            container,
            sink,
            sink_station,
            folder,
            counts: Mutex::default(),
            peak: AtomicU64::new(0),
        };
        scene.station = scene.pod("pod-0")?;
        Ok(scene)
    }

    /// A place for another pod of the same component.
    ///
    /// # Errors
    /// No folder can be made, or no port is free.
    pub fn pod(&self, name: &str) -> Result<Station> {
        let sink = &self.pipeline.sink.component.name;
        let recipient = Some((sink.as_str(), self.sink_station.deliver()));
        let log = self.folder.path().join("log");
        Station::new(&self.program, name, &self.pipeline.plan, recipient, "10s", &log)
    }

    /// Begins to send, to a broker at this port.
    ///
    /// # Errors
    /// The broker can't be reached.
    pub async fn feed(&self, port: u16, load: Load) -> Result<Feed> {
        let rows = self.container.counter();
        Feed::start(&self.pipeline, self.kind, port, load, rows).await
    }

    /// How many rows have come, each counted once.
    pub fn rows(&self) -> u64 {
        self.container.rows()
    }

    /// Waits until so many rows have come. False if none did for too long.
    pub async fn until_rows(&self, rows: u64) -> bool {
        let (mut last, mut since) = (self.rows(), Instant::now());
        while last < rows {
            sleep(Duration::from_millis(2)).await;
            let now = self.rows();
            if now > last {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() > PATIENCE {
                return false;
            }
        }
        true
    }

    /// Looks at the memory of a sidecar that is about to end.
    pub fn weigh(&self, sidecar: &Sidecar) {
        self.peak.fetch_max(sidecar.peak(), Ordering::Relaxed);
    }

    /// Kills a sidecar.
    pub fn kill(&self, sidecar: Sidecar) {
        self.weigh(&sidecar);
        sidecar.kill();
    }

    /// Ends a sidecar as a kubelet would.
    ///
    /// # Errors
    /// It doesn't end, or not well.
    pub async fn terminate(&self, sidecar: Sidecar) -> Result<()> {
        self.weigh(&sidecar);
        let counts = sidecar.counts().await;
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(counts);
        sidecar
            .terminate()
            .await
            .with_context(|| self.station.last_words())
    }

    /// Sends no more, waits for what is missing, ends all, and judges.
    ///
    /// # Errors
    /// A sidecar doesn't end, or not well.
    pub async fn end(self, feed: Feed, sidecars: Vec<Sidecar>) -> Result<Outcome> {
        let sent = feed.finish().await?;
        let all_came = self.until_rows(sent.pairs).await;
        for sidecar in sidecars {
            self.terminate(sidecar).await?;
        }
        if !all_came {
            let sink = self.sink.counts().await;
            let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            eprintln!("{}", self.station.last_words());
            eprintln!("they counted:\n{}", counts.join("\n\n"));
            eprintln!("the recipient's:\n{sink}");
        }
        let dropped = self.sink.metric("streaming_repeats_dropped_total").await;
        self.sink
            .terminate()
            .await
            .with_context(|| self.sink_station.last_words())?;
        Ok(Outcome {
            kind: self.kind,
            verdict: self.container.judge(sent.pairs),
            no_repeats: self.pipeline.promises_no_repeats(),
            dropped: dropped.unwrap_or_default(),
            peak: self.peak.load(Ordering::Relaxed),
            budget: self.pipeline.plan.memory_budget,
            sent,
            done: String::new(),
            wrong: Vec::new(),
        })
    }
}
