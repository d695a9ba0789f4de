//! What is drawn: hubs, and one arrow for each way from one to another.

use std::collections::BTreeMap;

use crate::ui::format;
use crate::watch::model::{Count, HubRow, LinkRow, Model, Way};

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Scene {
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
}

/// A hub.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    /// What stands below the name.
    pub(super) below: String,
    /// Something was lost here.
    pub(super) alarming: bool,
    /// All there is to say, in lines.
    pub(super) details: String,
}

/// What goes from one hub to another, one way.
#[derive(Debug)]
pub(super) struct Edge {
    /// Where its ends are in `nodes`.
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) way: Way,
    /// Bytes a second, or events where bytes are not known.
    pub(super) weight: f64,
    /// Nothing where nothing moves.
    pub(super) label: String,
}

impl Scene {
    pub(super) fn of(model: &Model) -> Scene {
        let mut nodes: Vec<Node> = model.hubs.iter().map(|hub| node(hub, model)).collect();
        let mut places: BTreeMap<String, usize> =
            nodes.iter().enumerate().map(|(at, node)| (node.name.clone(), at)).collect();
        let mut edges = Vec::new();
        for link in &model.links {
            let mut place = |name: &String| {
                *places.entry(name.clone()).or_insert_with(|| {
                    nodes.push(unseen(name));
                    nodes.len() - 1
                })
            };
            let (from, to) = (place(&link.from), place(&link.to));
            edges.push(edge(from, to, link));
        }
        Scene { nodes, edges }
    }
}

fn node(hub: &HubRow, model: &Model) -> Node {
    let rate = |count: Count| match count.per_second {
        Some(rate) => format::rate(rate),
        None => format::count(count.total),
    };
    let mut details = format!(
        "{} (pid {})\nsent {}, received {}, missed {}\ndirectly sent {}, received {}\n\
         {} subscriptions, {} links",
        hub.hub,
        hub.pid,
        format::count(hub.sent.total),
        format::count(hub.received.total),
        format::count(hub.missed.total),
        format::count(hub.direct_sent.total),
        format::count(hub.direct_received.total),
        hub.subscriptions,
        hub.links,
    );
    for one in model.publications.iter().filter(|one| one.hub == hub.hub) {
        details.push_str(&format!("\npublishes {}: {}", one.subject, rate(one.sent)));
    }
    Node {
        name: hub.hub.clone(),
        below: format!(
            "↑ {}   ↓ {}",
            rate(hub.sent.and(hub.direct_sent)),
            rate(hub.received.and(hub.direct_received))
        ),
        alarming: hub.missed.total > 0 || hub.overtaken.total > 0,
        details,
    }
}

/// One that is spoken of, but is not of this user, or has just gone.
fn unseen(name: &str) -> Node {
    Node {
        name: name.to_owned(),
        below: "not seen".to_owned(),
        alarming: false,
        details: format!("{name}: its counters are not there"),
    }
}

fn edge(from: usize, to: usize, link: &LinkRow) -> Edge {
    let events = link.sent.or(link.received).map_or(0.0, Count::rate);
    let bytes = link.sent_bytes.or(link.read_bytes).or(link.written_bytes).map_or(0.0, Count::rate);
    let mut parts = Vec::new();
    if events > 0.0 {
        parts.push(format::rate(events));
    }
    if bytes > 0.0 {
        parts.push(format!("{}/s", format::bytes(bytes as u64)));
    }
    if let Some(latency) = link.latency.filter(|_| !parts.is_empty()) {
        parts.push(format::nanoseconds(latency.p50_ns));
    }
    Edge { from, to, way: link.way, weight: events.max(bytes), label: parts.join(" · ") }
}
