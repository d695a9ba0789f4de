//! What was measured, between which processors, and where.

use serde::Serialize;

use super::args::{Layer, PathMode, Setup, WaitMode};
use super::events::is_typed;
use super::origin::Origin;
use super::topology::Placement;
use crate::ui::format::count;

/// What was measured, and where.
#[derive(Debug, Serialize)]
pub(super) struct Conditions {
    /// What an event is: `typed`, `raw`, or `record`.
    event: &'static str,
    layer: Layer,
    path: PathMode,
    /// Hubs in the domain, beside those that hold idle links.
    hubs: u32,
    /// Events of the one process that went another way.
    pub(super) detours: u64,
    timestamps: bool,
    cpus: [usize; 2],
    /// Ended before all rounds were complete.
    interrupted: bool,
    pub(super) placement: Placement,
    #[serde(flatten)]
    pub(super) origin: Origin,
}

impl Conditions {
    /// Of this run.
    pub(super) fn of(setup: &Setup, interrupted: bool) -> Conditions {
        Conditions {
            event: match setup.layer {
                Layer::Ring => "record",
                Layer::Hub if is_typed(setup.size) => "typed",
                Layer::Hub => "raw",
            },
            layer: setup.layer,
            path: setup.path,
            hubs: setup.hubs,
            detours: 0,
            timestamps: setup.timestamps,
            cpus: [setup.cpus.0, setup.cpus.1],
            interrupted,
            placement: Placement::of([setup.cpus.0, setup.cpus.1]),
            origin: Origin::here(),
        }
    }

    /// One line that says what the figures are of, and where they come from.
    pub(super) fn text(&self, wait: WaitMode, payload_bytes: usize, links: u32) -> String {
        let [first, second] = self.cpus;
        let (what, machine) = (self.what(wait, payload_bytes, links), self.origin.machine());
        let early = if self.interrupted { "interrupted: " } else { "" };
        let relation = &self.placement.relation;
        format!("{early}{what}, processors {first} and {second} ({relation}) of {machine}")
    }

    /// What events these are, and how they are received.
    pub(super) fn what(&self, wait: WaitMode, payload_bytes: usize, links: u32) -> String {
        let wait = match wait {
            WaitMode::Spin => "spinning",
            WaitMode::Block => "sleeping",
            WaitMode::Adaptive => "spinning, then sleeping",
        };
        let stamped = if self.timestamps { ", with timestamps" } else { "" };
        let links = match (self.path, links) {
            (PathMode::Link, 1) => String::new(),
            (PathMode::Link, links) => format!(", {links} links"),
            (PathMode::Broadcast, _) => ", broadcast".to_owned(),
            (PathMode::Auto, _) => ", published over a link".to_owned(),
        };
        let links = match self.hubs {
            2 => links,
            hubs => format!("{links} among {hubs} hubs"),
        };
        let links = match self.detours {
            0 => links,
            detours => format!("{links} ({} went another way)", count(detours)),
        };
        format!("{payload_bytes}-byte {} events{stamped}{links}, {wait}", self.event)
    }

    /// Where all this was, as names and values.
    pub(super) fn facts(&self) -> Vec<(String, String)> {
        let Placement { relation, governor, floor_ns } = &self.placement;
        let [first, second] = self.cpus;
        let floor = match floor_ns {
            Some(ns) => format!("; floor {ns} ns one way"),
            None => String::new(),
        };
        let processors = format!("{first} and {second}: {relation}{floor}; governor {governor}");
        let mut facts = self.origin.facts();
        facts.insert(1, ("processors".to_owned(), processors));
        facts
    }
}
