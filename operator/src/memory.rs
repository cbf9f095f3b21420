//! What the operator has written itself: caches lag behind its own writes, and who forgets what it wrote would write it
//! again, or tell an event twice.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use streaming_api::Status;

use crate::dereference::Resource;
use crate::labels::MANAGER;

/// The memory of one operator process. It may be lost: then everything is applied once more, which changes nothing.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Written>);

#[derive(Default)]
struct Written {
    /// By the resource's uid.
    statuses: HashMap<String, Told>,
    /// By the object's uid.
    objects: HashMap<String, Applied>,
    /// What was let go, by its uid, with its namespace.
    released: HashMap<String, String>,
}

struct Told {
    namespace: String,
    version: u64,
    status: Status,
}

struct Applied {
    namespace: String,
    desired: String,
    version: u64,
    generation: Option<i64>,
    /// The fields that were ours when it was applied.
    owned: Option<String>,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The status that was written last, if the cache does not have it yet.
    pub(crate) fn newer_status(&self, uid: &str, cached: u64) -> Option<Status> {
        let written = self.lock();
        let told = written.statuses.get(uid)?;
        (told.version > cached).then(|| told.status.clone())
    }

    pub(crate) fn status_written(&self, now: &ObjectMeta, status: Status) {
        let told = Told {
            namespace: now.namespace.clone().unwrap_or_default(),
            version: version(now),
            status,
        };
        if let Some(uid) = &now.uid {
            self.lock().statuses.insert(uid.clone(), told);
        }
    }

    /// Whether an object is as it was applied, and that is what would be applied now.
    ///
    /// Whoever changes a field that is ours takes it over, and the server notes that in `managedFields`. So nothing
    /// needs to be compared field by field, in spite of defaults and other spellings of the same value.
    pub(crate) fn is_current(&self, live: &ObjectMeta, desired: &str) -> bool {
        let written = self.lock();
        let Some(applied) = live.uid.as_ref().and_then(|uid| written.objects.get(uid)) else {
            return false;
        };
        applied.desired == desired && (version(live) <= applied.version || owned(live) == applied.owned)
    }

    pub(crate) fn object_written(&self, now: &ObjectMeta, desired: String) {
        let applied = Applied {
            namespace: now.namespace.clone().unwrap_or_default(),
            desired,
            version: version(now),
            generation: now.generation,
            owned: owned(now),
        };
        if let Some(uid) = &now.uid {
            self.lock().objects.insert(uid.clone(), applied);
        }
    }

    /// A component that was deleted isn't held any more, whatever the cache says.
    pub(crate) fn released(&self, resource: &Resource) {
        let (uid, namespace) = (resource.uid.clone(), resource.namespace.clone());
        self.lock().released.insert(uid, namespace);
    }

    pub(crate) fn is_released(&self, resource: &Resource) -> bool {
        self.lock().released.contains_key(&resource.uid)
    }

    /// The generation that an object has at least, whatever the cache says.
    pub(crate) fn generation(&self, live: &ObjectMeta) -> Option<i64> {
        let written = self.lock();
        let applied = live.uid.as_ref().and_then(|uid| written.objects.get(uid));
        live.generation
            .max(applied.and_then(|applied| applied.generation))
    }

    /// Forgets all of a namespace that is not there any more. What is there and not yet in the caches may be forgotten
    /// too: it is then applied once more, which changes nothing.
    pub(crate) fn keep_only(&self, namespace: &str, there: &HashSet<&str>) {
        let mut written = self.lock();
        let keep = |of: &str, uid: &str| of != namespace || there.contains(uid);
        written.released.retain(|uid, of| keep(of, uid));
        written.statuses.retain(|uid, told| keep(&told.namespace, uid));
        written
            .objects
            .retain(|uid, applied| keep(&applied.namespace, uid));
    }
}

/// An object's resource version; versions of one kind can be ordered
/// (<https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>).
pub(crate) fn version(meta: &ObjectMeta) -> u64 {
    let text = meta.resource_version.as_deref().unwrap_or_default();
    text.parse().unwrap_or_default()
}

/// The fields of an object that are ours.
fn owned(meta: &ObjectMeta) -> Option<String> {
    let mut entries = meta.managed_fields.iter().flatten();
    let ours = entries.find(|entry| {
        entry.manager.as_deref() == Some(MANAGER)
            && entry.operation.as_deref() == Some("Apply")
            && entry.subresource.as_deref().unwrap_or_default().is_empty()
    })?;
    Some(ours.fields_v1.as_ref()?.0.to_string())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
    use serde_json::json;

    use super::*;

    /// An object at a version, with one field of ours.
    fn object(version: u64, field: &str) -> ObjectMeta {
        let entry = |manager: &str, operation: &str, field: &str| ManagedFieldsEntry {
            manager: Some(manager.into()),
            operation: Some(operation.into()),
            fields_v1: Some(FieldsV1(json!({ field: {} }))),
            ..ManagedFieldsEntry::default()
        };
        ObjectMeta {
            namespace: Some("space".into()),
            uid: Some("u".into()),
            resource_version: Some(version.to_string()),
            managed_fields: Some(vec![
                entry("kubectl", "Update", &format!("f:theirs-{version}")),
                entry(MANAGER, "Apply", field),
            ]),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn an_object_is_current_while_our_fields_are_ours() {
        let memory = Memory::default();
        assert!(!memory.is_current(&object(5, "f:a"), "hash"), "never applied");
        memory.object_written(&object(5, "f:a"), "hash".into());
        assert!(memory.is_current(&object(5, "f:a"), "hash"));
        assert!(
            memory.is_current(&object(9, "f:a"), "hash"),
            "others changed what is theirs"
        );
        assert!(
            !memory.is_current(&object(9, "f:b"), "hash"),
            "others took a field of ours"
        );
        assert!(memory.is_current(&object(4, "f:b"), "hash"), "the cache lags");
        assert!(
            !memory.is_current(&object(5, "f:a"), "other"),
            "something else is wanted"
        );
    }

    #[test]
    fn a_status_is_remembered_until_the_cache_has_it() {
        let memory = Memory::default();
        memory.status_written(&object(5, "f:a"), Status::default());
        assert!(memory.newer_status("u", 4).is_some());
        assert!(memory.newer_status("u", 5).is_none());
        memory.keep_only("another", &HashSet::new());
        assert!(memory.newer_status("u", 4).is_some());
        memory.keep_only("space", &HashSet::new());
        assert!(memory.newer_status("u", 4).is_none());
    }
}
