//! Writing a status, and telling what changed.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::runtime::events::{Event, Recorder, Reporter};
use kube::{Client, Resource as _};
use serde_json::json;
use streaming_api::Status;

use super::event;
use crate::apply::{in_time, told};
use crate::dereference::Resource;
use crate::labels::MANAGER;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::reason;
use crate::watch;

/// A status that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the API server did not take the status of {kind} `{name}`: {}", told(.source))]
pub(crate) struct StatusError {
    kind: &'static str,
    name: String,
    source: Box<kube::Error>,
}

/// The step's tools.
pub(crate) struct Writer<'a> {
    pub(crate) client: &'a Client,
    pub(crate) memory: &'a Memory,
    pub(crate) metrics: &'a Metrics,
    pub(crate) recorder: &'a Recorder,
}

impl Writer<'_> {
    /// Writes a status that differs from the one that the resource has.
    ///
    /// # Errors
    /// Where the API server refuses it, unless the resource has gone.
    pub(crate) async fn write(&self, resource: &Resource, status: Status) -> Result<(), StatusError> {
        if super::is_told(&resource.status, &status) {
            return Ok(());
        }
        let kinds = watch::kinds();
        let Some(kind) = kinds.get(resource.kind) else {
            return Ok(());
        };
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &resource.namespace, kind);
        let patch = Patch::Apply(json!({
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            // With the uid, it is refused for another resource that got the name meanwhile.
            "metadata": { "name": resource.name, "uid": resource.uid },
            "status": status,
        }));
        let how = PatchParams::apply(MANAGER).force();
        match in_time(api.patch_status(&resource.name, &how, &patch)).await {
            Ok(now) => {
                self.metrics.written(&kind.kind, "status", true);
                self.tell(resource, &status).await;
                self.memory.status_written(now.meta(), status);
                Ok(())
            }
            Err(kube::Error::Api(answer)) if [404, 409].contains(&answer.code) => Ok(()),
            Err(error) => Err(StatusError {
                kind: resource.kind(),
                name: resource.name.clone(),
                source: Box::new(error),
            }),
        }
    }

    async fn tell(&self, resource: &Resource, status: &Status) {
        for event in event::events(&resource.status, status) {
            self.publish(resource, event).await;
        }
    }

    /// Events are for people who look; that one is lost must not hold up anything.
    pub(crate) async fn publish(&self, resource: &Resource, event: Event) {
        let about = ObjectReference {
            api_version: Some(format!("{}/{}", streaming_api::GROUP, streaming_api::VERSION)),
            kind: Some(resource.kind().to_owned()),
            namespace: Some(resource.namespace.clone()),
            name: Some(resource.name.clone()),
            uid: Some(resource.uid.clone()),
            ..ObjectReference::default()
        };
        tracing::info!(
            kind = resource.kind(),
            namespace = resource.namespace,
            name = resource.name,
            reason = event.reason,
            "{}",
            event.note.as_deref().unwrap_or_default()
        );
        // The recorder counts events of one reason as one, with the first one's text. Of what is wrong with a resource,
        // the text matters, so each is an event of its own.
        let published = if reason::REASONS.contains(&event.reason.as_str()) {
            in_time(self.recorder.publish(&event, &about)).await
        } else {
            let recorder = Recorder::new(self.client.clone(), reporter());
            in_time(recorder.publish(&event, &about)).await
        };
        if let Err(error) = published {
            tracing::warn!(
                error = told(&error),
                name = resource.name,
                "an event could not be told"
            );
        }
    }
}

/// Who tells events.
pub(crate) fn reporter() -> Reporter {
    Reporter::from(MANAGER)
}
