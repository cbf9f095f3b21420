//! Watches: every change that can matter to a resource becomes a request to look at its namespace again.
//!
//! References never leave a namespace, so the namespace is what is reconciled. A change of a `Stream` reaches all that
//! use it without anybody keeping a list of users, and the namespace is compiled once however many resources changed.

use std::collections::HashMap;
use std::fmt::Debug;

use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use futures_util::stream::Stream;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, PodTemplateSpec, Service};
use kube::api::{Api, ApiResource, DynamicObject, PartialObjectMeta, ResourceExt};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::{ObjectRef, Store, reflector, store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use streaming_api::{Channel, ClusterStream, Joiner, Processor, Stream as StreamResource, Table};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use crate::labels;
use crate::metrics::Metrics;

/// What is reconciled.
pub(crate) type Space = PartialObjectMeta<Namespace>;

/// What the API server has, as of the last change that it told.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(crate) namespaces: Store<Space>,
    /// Our kinds in the order of [`streaming_api::KINDS`]. Untyped: whatever was stored under an older schema is
    /// the compiler's to judge, and must not stop the watch.
    pub(crate) resources: [Store<DynamicObject>; 6],
    pub(crate) deployments: Store<Deployment>,
    pub(crate) services: Store<PartialObjectMeta<Service>>,
    pub(crate) config_maps: Store<PartialObjectMeta<ConfigMap>>,
    pub(crate) claims: Store<PartialObjectMeta<PersistentVolumeClaim>>,
    pub(crate) jobs: Store<Job>,
}

impl Stores {
    /// Waits until each store has been filled once. False if a watch ended before that.
    pub(crate) async fn ready(&self) -> bool {
        let ready = tokio::try_join!(
            self.namespaces.wait_until_ready(),
            try_join_all(self.resources.iter().map(Store::wait_until_ready)),
            self.deployments.wait_until_ready(),
            self.services.wait_until_ready(),
            self.config_maps.wait_until_ready(),
            self.claims.wait_until_ready(),
            self.jobs.wait_until_ready()
        );
        ready.is_ok()
    }
}

/// The API of each kind, in the order of [`streaming_api::KINDS`].
pub(crate) fn kinds() -> [ApiResource; 6] {
    [
        ApiResource::erase::<ClusterStream>(&()),
        ApiResource::erase::<StreamResource>(&()),
        ApiResource::erase::<Table>(&()),
        ApiResource::erase::<Channel>(&()),
        ApiResource::erase::<Joiner>(&()),
        ApiResource::erase::<Processor>(&()),
    ]
}

/// Starts all watches. They end when the set is dropped.
pub(crate) fn start(
    client: &Client,
    requests: &UnboundedSender<ObjectRef<Space>>,
    metrics: &Metrics,
) -> (Stores, JoinSet<()>) {
    let mut tasks = JoinSet::new();
    let all = || watcher::Config::default().any_semantic();
    let ours = || all().labels(&labels::selector());
    let (namespaces, writer) = store();
    let reporter = |kind: &'static str| Reporter {
        kind,
        requests: requests.clone(),
        namespaces: namespaces.clone(),
        metrics: metrics.clone(),
    };

    let events = watcher(Api::<Space>::all(client.clone()), all()).modify(slim);
    let name = |namespace: &Space| Some(namespace.name_any());
    tasks.spawn(reporter("Namespace").follow(reflector(writer, events), name, None));

    let resources = kinds().map(|kind| {
        let writer = kube::runtime::reflector::store::Writer::new(kind.clone());
        let store = writer.as_reader();
        let events = watcher(Api::<DynamicObject>::all_with(client.clone(), &kind), all()).modify(slim);
        let name = streaming_api::KINDS.iter().find(|name| **name == kind.kind);
        let reporter = reporter(name.copied().unwrap_or_default());
        tasks.spawn(reporter.follow(reflector(writer, events), ResourceExt::namespace, Some(spec)));
        store
    });

    let (deployments, writer) = store();
    let events = watcher(Api::<Deployment>::all(client.clone()), ours()).modify(|deployment| {
        // Its pods' template is never looked at, and large.
        deployment.spec.template = PodTemplateSpec::default();
    });
    tasks.spawn(reporter("Deployment").follow(reflector(writer, events), ResourceExt::namespace, None));

    let (services, writer) = store();
    let events = watcher(Api::<PartialObjectMeta<Service>>::all(client.clone()), ours());
    tasks.spawn(reporter("Service").follow(reflector(writer, events), ResourceExt::namespace, None));

    let (config_maps, writer) = store();
    let events = watcher(Api::<PartialObjectMeta<ConfigMap>>::all(client.clone()), ours());
    tasks.spawn(reporter("ConfigMap").follow(reflector(writer, events), ResourceExt::namespace, None));

    let (claims, writer) = store();
    let events = watcher(
        Api::<PartialObjectMeta<PersistentVolumeClaim>>::all(client.clone()),
        ours(),
    );
    tasks.spawn(reporter("PersistentVolumeClaim").follow(
        reflector(writer, events),
        ResourceExt::namespace,
        None,
    ));

    let (jobs, writer) = store();
    let events = watcher(Api::<Job>::all(client.clone()), ours()).modify(slim);
    tasks.spawn(reporter("Job").follow(reflector(writer, events), ResourceExt::namespace, None));

    let stores = Stores {
        namespaces,
        resources,
        deployments,
        services,
        config_maps,
        claims,
        jobs,
    };
    (stores, tasks)
}

/// Who wrote which field of users' resources is nothing to us, and often half of an object.
fn slim<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

struct Reporter {
    kind: &'static str,
    requests: UnboundedSender<ObjectRef<Space>>,
    namespaces: Store<Space>,
    metrics: Metrics,
}

impl Reporter {
    /// Follows a watch for as long as anybody listens: it reconnects by itself, with backoff. An object whose `state` is
    /// what it was is no change, so that the operator's own writes of a status don't make it look again; without a
    /// `state`, anything is.
    async fn follow<K>(
        self,
        events: impl Stream<Item = watcher::Result<Event<K>>> + Send,
        namespace: impl Fn(&K) -> Option<String> + Send,
        state: Option<fn(&K) -> State>,
    ) where
        K: Resource + Clone + Debug + DeserializeOwned + Send + Sync,
    {
        let mut known: HashMap<String, State> = HashMap::new();
        let mut events = Box::pin(events.default_backoff());
        while let Some(event) = events.next().await {
            let changed = match &event {
                Ok(Event::Apply(object) | Event::InitApply(object)) => {
                    let uid = object.meta().uid.clone().unwrap_or_default();
                    let now = state.map(|state| state(object));
                    let same = now.is_some() && known.get(&uid) == now.as_ref();
                    now.and_then(|now| known.insert(uid, now));
                    (!same).then_some(object)
                }
                Ok(Event::Delete(object)) => {
                    known.remove(object.meta().uid.as_deref().unwrap_or_default());
                    Some(object)
                }
                Ok(Event::Init) => {
                    known.clear();
                    None
                }
                // What was deleted while there was no watch brings no event of its own.
                Ok(Event::InitDone) => {
                    for namespace in self.namespaces.state() {
                        self.request(&namespace.name_any());
                    }
                    None
                }
                Err(error) => {
                    self.metrics.watch_failed(self.kind);
                    tracing::warn!(kind = self.kind, error = %error, "watch interrupted; it is taken up again");
                    None
                }
            };
            if let Some(namespace) = changed.and_then(&namespace) {
                self.request(&namespace);
            }
        }
    }

    /// Nobody listens any more only when the operator ends, and this with it.
    fn request(&self, namespace: &str) {
        self.requests.send(ObjectRef::new(namespace)).ok();
    }
}

/// What of a resource of ours matters: its generation, which changes with its spec, and whether it is being deleted.
type State = (Option<i64>, bool);

fn spec<K: Resource>(object: &K) -> State {
    (
        object.meta().generation,
        object.meta().deletion_timestamp.is_some(),
    )
}
