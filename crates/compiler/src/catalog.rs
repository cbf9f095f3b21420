//! Resources by name, as references look them up: within one namespace.

use std::collections::BTreeMap;

use streaming_api::{ClusterStreamSpec, StreamSpec};

use crate::document::{Kind, Resource, Spec};
use crate::problem::Report;
use crate::reason;

/// All resources that have a name, the first of each.
pub(crate) struct Catalog<'r> {
    by_name: BTreeMap<(&'r str, Kind, &'r str), &'r Resource>,
}

/// What a name leads to.
pub(crate) enum Lookup<T> {
    Found(T),
    /// It is there, but is refused itself.
    Broken,
    Missing,
}

impl<'r> Catalog<'r> {
    /// Indexes resources, and reports those whose name another already has.
    pub(crate) fn new(resources: &'r [Resource], report: &mut Report) -> Catalog<'r> {
        let mut catalog = Catalog {
            by_name: BTreeMap::new(),
        };
        for resource in resources.iter().filter(|resource| !resource.name.is_empty()) {
            let key = (resource.namespace.as_str(), resource.kind, resource.name.as_str());
            if catalog.by_name.contains_key(&key) {
                let message = format!(
                    "another document defines {} `{}` too",
                    resource.kind, resource.name
                );
                let problem = resource.at("metadata.name", reason::DEFINED_TWICE, message);
                report.problem(
                    resource,
                    problem.help("on a cluster the last one applied would win; remove or rename one"),
                );
                continue;
            }
            if let Some(other) = catalog
                .component(&resource.namespace, &resource.name)
                .filter(|_| resource.kind.is_component())
            {
                let message = format!(
                    "there is a {} `{}` in this namespace already",
                    other.kind, other.name
                );
                let help = "components of one namespace need different names: each becomes a Deployment, a Service and a consumer group";
                report.problem(
                    resource,
                    resource
                        .at("metadata.name", reason::NAME_TAKEN, message)
                        .help(help),
                );
            }
            catalog.by_name.insert(key, resource);
        }
        catalog
    }

    /// Whether this very document is the one that its name leads to.
    pub(crate) fn leads_to(&self, resource: &Resource) -> bool {
        self.get(&resource.namespace, resource.kind, &resource.name)
            .is_some_and(|found| std::ptr::eq(found, resource))
    }

    pub(crate) fn get(&self, namespace: &str, kind: Kind, name: &str) -> Option<&'r Resource> {
        self.by_name.get(&(namespace, kind, name)).copied()
    }

    /// The Channel, Joiner or Processor of that name; the first, if there are several.
    pub(crate) fn component(&self, namespace: &str, name: &str) -> Option<&'r Resource> {
        let kinds = [Kind::Processor, Kind::Channel, Kind::Joiner].into_iter();
        kinds
            .filter_map(|kind| self.get(namespace, kind, name))
            .min_by_key(|resource| resource.index)
    }

    /// All of a kind in a namespace, by name.
    pub(crate) fn all<'c>(
        &'c self,
        namespace: &'c str,
        kind: Kind,
    ) -> impl Iterator<Item = &'r Resource> + 'c {
        self.by_name
            .range((namespace, kind, "")..)
            .take_while(move |((ns, k, _), _)| *ns == namespace && *k == kind)
            .map(|(_, resource)| *resource)
    }

    /// The names of all of some kinds in a namespace, for suggestions.
    pub(crate) fn names<'c>(
        &'c self,
        namespace: &'c str,
        kinds: &'c [Kind],
    ) -> impl Iterator<Item = &'r str> + 'c {
        kinds
            .iter()
            .flat_map(move |kind| self.all(namespace, *kind))
            .map(|resource| resource.name.as_str())
    }

    /// For a name that another namespace has: that this does not help.
    pub(crate) fn elsewhere(&self, namespace: &str, kind: Kind, name: &str) -> Option<String> {
        let mut others = self
            .by_name
            .keys()
            .filter(|(ns, k, n)| *ns != namespace && *k == kind && *n == name);
        let (other, ..) = others.next()?;
        Some(format!(
            "there is one in namespace `{other}`, but a resource refers to others of its own namespace only"
        ))
    }

    pub(crate) fn cluster_stream(&self, namespace: &str, name: &str) -> Lookup<&'r ClusterStreamSpec> {
        match self
            .get(namespace, Kind::ClusterStream, name)
            .map(|resource| &resource.spec)
        {
            Some(Some(Spec::ClusterStream(spec))) => Lookup::Found(spec),
            Some(_) => Lookup::Broken,
            None => Lookup::Missing,
        }
    }

    /// The Streams of a namespace whose topic this is, refused ones included.
    pub(crate) fn streams_of_topic<'c>(
        &'c self,
        namespace: &'c str,
        topic: &'c str,
    ) -> impl Iterator<Item = &'r Resource> + 'c {
        self.all(namespace, Kind::Stream)
            .filter(move |stream| stream.value.pointer("/spec/topic").and_then(|t| t.as_str()) == Some(topic))
    }
}

/// The spec of a Stream, if the schema has accepted it.
pub(crate) fn stream_spec(resource: &Resource) -> Option<&StreamSpec> {
    match &resource.spec {
        Some(Spec::Stream(spec)) => Some(spec),
        _ => None,
    }
}
