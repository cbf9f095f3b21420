//! Where a component's credentials are: one volume into which the kubelet puts what Secrets and `ConfigMaps` hold, and
//! puts it anew when that changes. Only the sidecar has it mounted, and the operator never sees what is in it.

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, KeyToPath, ProjectedVolumeSource, SecretProjection, Volume, VolumeMount,
    VolumeProjection,
};
use streaming_compiler::{CREDENTIALS, Keeper, Kept};

use crate::component::Component;

/// Not a name that a user would give to a volume.
pub(super) const VOLUME: &str = "streaming-credentials";

/// The pod's volume.
pub(super) fn volume(component: &Component) -> Option<Volume> {
    let sources: Vec<VolumeProjection> = component.credentials.iter().map(projection).collect();
    (!sources.is_empty()).then(|| Volume {
        name: VOLUME.to_owned(),
        projected: Some(ProjectedVolumeSource {
            sources: Some(sources),
            ..ProjectedVolumeSource::default()
        }),
        ..Volume::default()
    })
}

fn projection(kept: &Kept) -> VolumeProjection {
    let name = kept.name.clone();
    let items = Some(vec![KeyToPath {
        key: kept.key.clone(),
        path: kept.path.clone(),
        ..KeyToPath::default()
    }]);
    let optional = kept.optional.then_some(true);
    match kept.keeper {
        Keeper::Secret => VolumeProjection {
            secret: Some(SecretProjection {
                name,
                items,
                optional,
            }),
            ..VolumeProjection::default()
        },
        Keeper::ConfigMap => VolumeProjection {
            config_map: Some(ConfigMapProjection {
                name,
                items,
                optional,
            }),
            ..VolumeProjection::default()
        },
    }
}

/// Where the sidecar has it.
pub(super) fn mount(component: &Component) -> Option<VolumeMount> {
    (!component.credentials.is_empty()).then(|| VolumeMount {
        name: VOLUME.to_owned(),
        mount_path: CREDENTIALS.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    })
}
