//! Where a component's state is: a volume of its own, which the sidecar alone may write to.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, PersistentVolumeClaim, PersistentVolumeClaimSpec,
    PersistentVolumeClaimVolumeSource, PodSecurityContext, Volume, VolumeMount, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::pod::NOBODY;
use crate::component::Component;

/// Not a name that a user would give to a volume.
const VOLUME: &str = "streaming-state";

/// The claim, if there is to be one. It is the component's, and stays while that does, whatever is edited.
pub(super) fn claim(component: &Component) -> Option<PersistentVolumeClaim> {
    let (_, spec) = component.state.as_ref()?;
    let storage = Quantity(spec.storage.as_ref()?.to_string());
    Some(PersistentVolumeClaim {
        metadata: super::metadata(component, component.claim_name()),
        spec: Some(PersistentVolumeClaimSpec {
            // A component with windows is one pod, and the next waits until it is gone.
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".to_owned(), storage)])),
                ..VolumeResourceRequirements::default()
            }),
            storage_class_name: spec.storage_class_name.as_ref().map(ToString::to_string),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    })
}

/// The pod's volume.
pub(super) fn volume(component: &Component) -> Option<Volume> {
    let (_, spec) = component.state.as_ref()?;
    let claim = spec.storage.is_some().then(|| PersistentVolumeClaimVolumeSource {
        claim_name: component.claim_name(),
        ..PersistentVolumeClaimVolumeSource::default()
    });
    Some(Volume {
        name: VOLUME.to_owned(),
        empty_dir: claim.is_none().then(EmptyDirVolumeSource::default),
        persistent_volume_claim: claim,
        ..Volume::default()
    })
}

/// Where the sidecar has it.
pub(super) fn mount(component: &Component) -> Option<VolumeMount> {
    let (path, _) = component.state.as_ref()?;
    Some(VolumeMount {
        name: VOLUME.to_owned(),
        mount_path: path.clone(),
        ..VolumeMount::default()
    })
}

/// Volumes belong to root unless a pod says otherwise, and the sidecar is nobody.
pub(super) fn writable(component: &Component) -> Option<PodSecurityContext> {
    component.state.as_ref().map(|_| PodSecurityContext {
        fs_group: Some(NOBODY),
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        ..PodSecurityContext::default()
    })
}
