//! Messages that would go round: found on the finished plans, where every topic is known.

use std::collections::{BTreeMap, VecDeque};

use streaming_plan::{Output, Plan, Role, Topic};

use crate::catalog::Catalog;
use crate::document::{Kind, Resource};
use crate::problem::Report;
use crate::reason;

/// An input of a plan. What is posted to a component is an input after the last.
type Node = (usize, usize);

struct Graph<'p> {
    plans: &'p [Plan],
    /// Who reads a topic exactly, by namespace, `ClusterStream` and topic.
    readers: BTreeMap<(&'p str, &'p str, &'p str), Vec<Node>>,
    /// Inputs with wildcards, which may read any topic.
    wildcards: Vec<Node>,
    /// Plans by namespace and name.
    components: BTreeMap<(&'p str, &'p str), usize>,
}

/// Reports cycles; returns the plans that must not run because of one.
pub(crate) fn check(plans: &[Plan], catalog: &Catalog<'_>, report: &mut Report) -> Vec<usize> {
    let graph = Graph::new(plans);
    let mut refused = Vec::new();
    for (at, plan) in plans.iter().enumerate() {
        for input in 0..plan.inputs.len() {
            if graph.dead_letter_returns((at, input)) {
                dead_letter_cycle(plan, input, catalog, report);
                refused.push(at);
            }
        }
    }
    let mut reported = vec![false; plans.len()];
    for at in 0..plans.len() {
        if reported[at] || refused.contains(&at) {
            continue;
        }
        let Some(cycle) = graph.cycle_through(at) else {
            continue;
        };
        for member in &cycle {
            reported[*member] = true;
        }
        if output_cycle(plans, &cycle, catalog, report) {
            refused.extend(cycle);
        }
    }
    refused.sort_unstable();
    refused.dedup();
    refused
}

impl<'p> Graph<'p> {
    fn new(plans: &'p [Plan]) -> Graph<'p> {
        let mut graph = Graph {
            plans,
            readers: BTreeMap::new(),
            wildcards: Vec::new(),
            components: BTreeMap::new(),
        };
        for (at, plan) in plans.iter().enumerate() {
            let namespace = plan.component.namespace.as_str();
            graph.components.insert((namespace, &plan.component.name), at);
            for (number, input) in plan.inputs.iter().enumerate() {
                if is_table(plan, number) {
                    // What comes to a Table is found there by others, and goes no further by itself.
                    continue;
                }
                let Topic {
                    cluster_stream,
                    topic,
                } = &input.source;
                graph
                    .readers
                    .entry((namespace, cluster_stream, topic))
                    .or_default()
                    .push((at, number));
                if plan
                    .cluster_streams
                    .get(cluster_stream)
                    .is_some_and(|c| c.protocol.wildcard(topic).is_some())
                {
                    graph.wildcards.push((at, number));
                }
            }
        }
        graph
    }

    /// Who reads what a plan publishes to a topic.
    fn readers(&self, plan: usize, topic: &Topic) -> Vec<Node> {
        let namespace = self.plans[plan].component.namespace.as_str();
        let key = (namespace, topic.cluster_stream.as_str(), topic.topic.as_str());
        let mut nodes = self.readers.get(&key).cloned().unwrap_or_default();
        nodes.extend(self.wildcards.iter().copied().filter(|(reader, input)| {
            let reader = &self.plans[*reader];
            let source = &reader.inputs[*input].source;
            reader.component.namespace == namespace
                && source.cluster_stream == topic.cluster_stream
                && source.topic != topic.topic
                && reader
                    .cluster_streams
                    .get(&source.cluster_stream)
                    .is_some_and(|c| c.protocol.is_read_by(&topic.topic, &source.topic))
        }));
        nodes
    }

    /// Where what arrives at a node may go on to.
    fn next(&self, (plan, input): Node, dead_letters: bool) -> Vec<Node> {
        let this = &self.plans[plan];
        let mut nodes = Vec::new();
        for output in &this.outputs {
            match output {
                Output::Stream(topic) => nodes.extend(self.readers(plan, topic)),
                Output::Component { component, .. } => {
                    let key = (this.component.namespace.as_str(), component.as_str());
                    nodes.extend(
                        self.components
                            .get(&key)
                            .map(|to| (*to, self.plans[*to].inputs.len())),
                    );
                }
            }
        }
        nodes.extend(this.late_to.iter().flat_map(|topic| self.readers(plan, topic)));
        if dead_letters
            && let Some(topic) = this
                .inputs
                .get(input)
                .and_then(|input| input.dead_letter.as_ref())
        {
            nodes.extend(self.readers(plan, topic));
        }
        nodes
    }

    /// Whether a dead letter of this input comes back to it.
    fn dead_letter_returns(&self, node: Node) -> bool {
        let Some(topic) = &self.plans[node.0].inputs[node.1].dead_letter else {
            return false;
        };
        self.path(self.readers(node.0, topic), |at| at == node, true)
            .is_some()
    }

    /// The plans of a cycle of outputs through this plan, itself first.
    fn cycle_through(&self, plan: usize) -> Option<Vec<usize>> {
        let path = self.path(self.next((plan, usize::MAX), false), |(at, _)| at == plan, false)?;
        let mut members = vec![plan];
        members.extend(path.into_iter().map(|(at, _)| at).filter(|at| *at != plan));
        members.dedup();
        Some(members)
    }

    /// The nodes of a shortest path from one of `starts` to a node that is the goal.
    fn path(&self, starts: Vec<Node>, goal: impl Fn(Node) -> bool, dead_letters: bool) -> Option<Vec<Node>> {
        let mut from: BTreeMap<Node, Option<Node>> = starts.iter().map(|start| (*start, None)).collect();
        let mut queue = VecDeque::from(starts);
        while let Some(node) = queue.pop_front() {
            if goal(node) {
                let mut path = vec![node];
                while let Some(Some(before)) = path.last().map(|last| from[last]) {
                    path.push(before);
                }
                path.reverse();
                return Some(path);
            }
            for next in self.next(node, dead_letters) {
                if let std::collections::btree_map::Entry::Vacant(entry) = from.entry(next) {
                    entry.insert(Some(node));
                    queue.push_back(next);
                }
            }
        }
        None
    }
}

fn resource<'r>(plan: &Plan, catalog: &Catalog<'r>) -> Option<&'r Resource> {
    catalog.component(&plan.component.namespace, &plan.component.name)
}

/// Told about whoever named the dead letter: the component, or else the Stream.
fn dead_letter_cycle(plan: &Plan, input: usize, catalog: &Catalog<'_>, report: &mut Report) {
    let input = &plan.inputs[input];
    let own =
        resource(plan, catalog).filter(|component| component.value.pointer("/spec/deadLetter").is_some());
    let stream = catalog.get(&plan.component.namespace, Kind::Stream, &input.stream);
    let (Some(about), Some(to)) = (own.or(stream), &input.dead_letter) else {
        return;
    };
    let message = format!(
        "dead letters of {} `{}` go to {}/{}, and come back to it from there",
        plan.component.kind, plan.component.name, to.cluster_stream, to.topic
    );
    let problem = about.at("spec.deadLetter", reason::DEAD_LETTER_CYCLE, message);
    report.problem(
        about,
        problem.help("name a dead letter that nothing brings back, or stop what brings it back"),
    );
}

fn is_table(plan: &Plan, input: usize) -> bool {
    match &plan.role {
        Role::Window(query) => query.inputs.get(input).is_some_and(|input| input.table.is_some()),
        Role::Map { .. } | Role::Relay { .. } => false,
    }
}

/// Told about the first component. A problem if nothing on the way could ever stop a message; returns whether it is.
fn output_cycle(plans: &[Plan], cycle: &[usize], catalog: &Catalog<'_>, report: &mut Report) -> bool {
    let Some(about) = cycle.first().and_then(|first| resource(&plans[*first], catalog)) else {
        return false;
    };
    let names: Vec<&str> = cycle
        .iter()
        .chain(cycle.first())
        .map(|at| plans[*at].component.name.as_str())
        .collect();
    let endless = cycle
        .iter()
        .all(|at| matches!(plans[*at].role, Role::Map { r#where: None, .. }));
    let (field, route) = (
        if about.kind == Kind::Processor {
            "spec.to"
        } else {
            "spec.stream.to"
        },
        names.join(" -> "),
    );
    if endless {
        let message = format!("every message would go round forever: {route}");
        let problem = about.at(field, reason::CYCLE, message);
        report.problem(
            about,
            problem.help("send results to a topic that none of these read, or filter them with where"),
        );
    } else {
        let message = format!("messages may go round: {route}");
        report.warning(
            about,
            about
                .at(field, reason::CYCLE, message)
                .help("make sure that a filter ends it"),
        );
    }
    endless
}
