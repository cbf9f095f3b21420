//! Watches: every change that can matter to a resource becomes a request to look at its namespace again.
//!
//! References never leave a namespace, so the namespace is what is reconciled. A change of a `Stream` reaches all that
//! use it without anybody keeping a list of users, and the namespace is compiled once however many resources changed.

use std::fmt::Debug;

use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use futures_util::stream::Stream;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PodTemplateSpec, Service};
use kube::api::{Api, ApiResource, DynamicObject, PartialObjectMeta, ResourceExt};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::{Lookup, ObjectRef, Store, reflector, store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use streaming_api::{Channel, ClusterStream, Joiner, Processor, Stream as StreamResource};
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
    /// The five kinds in the order of [`streaming_api::KINDS`]. Untyped: whatever was stored under an older schema is
    /// the compiler's to judge, and must not stop the watch.
    pub(crate) resources: [Store<DynamicObject>; 5],
    pub(crate) deployments: Store<Deployment>,
    pub(crate) services: Store<PartialObjectMeta<Service>>,
    pub(crate) config_maps: Store<PartialObjectMeta<ConfigMap>>,
}

impl Stores {
    /// Waits until each store has been filled once. False if a watch ended before that.
    pub(crate) async fn ready(&self) -> bool {
        let ready = tokio::try_join!(
            self.namespaces.wait_until_ready(),
            try_join_all(self.resources.iter().map(Store::wait_until_ready)),
            self.deployments.wait_until_ready(),
            self.services.wait_until_ready(),
            self.config_maps.wait_until_ready()
        );
        ready.is_ok()
    }
}

/// The API of each kind, in the order of [`streaming_api::KINDS`].
pub(crate) fn kinds() -> [ApiResource; 5] {
    [
        ApiResource::erase::<ClusterStream>(&()),
        ApiResource::erase::<StreamResource>(&()),
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
    let reporter = |kind: &'static str| Reporter {
        kind,
        requests: requests.clone(),
        metrics: metrics.clone(),
    };

    let (namespaces, writer) = store();
    let events = watcher(Api::<Space>::all(client.clone()), all()).modify(slim);
    tasks.spawn(
        reporter("Namespace").follow(reflector(writer, events), |namespace: &Space| {
            Some(namespace.name_any())
        }),
    );

    let resources = kinds().map(|kind| {
        let writer = kube::runtime::reflector::store::Writer::new(kind.clone());
        let store = writer.as_reader();
        let events = watcher(Api::<DynamicObject>::all_with(client.clone(), &kind), all()).modify(slim);
        let name = streaming_api::KINDS.iter().find(|name| **name == kind.kind);
        let reporter = reporter(name.copied().unwrap_or_default());
        tasks.spawn(reporter.follow(reflector(writer, events), ResourceExt::namespace));
        store
    });

    let (deployments, writer) = store();
    let events = watcher(Api::<Deployment>::all(client.clone()), ours()).modify(|deployment| {
        // Its pods' template is never looked at, and large.
        deployment.spec.template = PodTemplateSpec::default();
    });
    tasks.spawn(reporter("Deployment").follow(reflector(writer, events), ResourceExt::namespace));

    let (services, writer) = store();
    let events = watcher(Api::<PartialObjectMeta<Service>>::all(client.clone()), ours());
    tasks.spawn(reporter("Service").follow(reflector(writer, events), ResourceExt::namespace));

    let (config_maps, writer) = store();
    let events = watcher(Api::<PartialObjectMeta<ConfigMap>>::all(client.clone()), ours());
    tasks.spawn(reporter("ConfigMap").follow(reflector(writer, events), ResourceExt::namespace));

    let stores = Stores {
        namespaces,
        resources,
        deployments,
        services,
        config_maps,
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
    metrics: Metrics,
}

impl Reporter {
    /// Follows a watch for as long as anybody listens: it reconnects by itself, with backoff.
    async fn follow<K>(
        self,
        events: impl Stream<Item = watcher::Result<Event<K>>> + Send,
        namespace: impl Fn(&K) -> Option<String> + Send,
    ) where
        K: Lookup + Clone + Debug + DeserializeOwned + Send + Sync,
    {
        let mut objects = Box::pin(events.default_backoff().touched_objects());
        while let Some(object) = objects.next().await {
            match object {
                Ok(object) => {
                    let Some(namespace) = namespace(&object) else {
                        continue;
                    };
                    if self.requests.send(ObjectRef::new(&namespace)).is_err() {
                        return;
                    }
                }
                Err(error) => {
                    self.metrics.watch_failed(self.kind);
                    tracing::warn!(kind = self.kind, error = %error, "watch interrupted; it is taken up again");
                }
            }
        }
    }
}
