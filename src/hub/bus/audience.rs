//! How the outbox takes account of those who listen.

use super::canary;
use super::crowd::{self, Crowd};
use super::outbox::{Heard, Outbox};
use super::outlet::Lane;
use super::routes::Audience;
use std::sync::Arc;

impl Outbox {
    /// Takes account of what the control thread has found out.
    #[cold]
    pub(crate) fn refresh(&mut self) {
        let routes = Arc::clone(&self.routes);
        let (mut audience, version) = routes.look();
        self.seen = version;
        self.part_with_those_gone(&audience);
        self.take_in_newcomers(&mut audience);
        self.take_in_lanes(&mut audience);
        drop(audience);
        if !self.closed {
            self.make_table();
        }
    }

    fn part_with_those_gone(&mut self, audience: &Audience) {
        let Self { heard, broadcast, lanes, .. } = self;
        heard.retain(|heard| {
            let stays = audience.listeners.contains_key(&heard.edge);
            if let (false, Some(gate), Some(outlet)) = (stays, heard.gate, broadcast.as_mut()) {
                outlet.writer.remove_reader(gate);
            }
            stays
        });
        lanes.retain(|hub, lane| {
            let stays = audience.lanes.contains_key(hub);
            if !stays {
                lane.outlet.writer.close();
            }
            stays
        });
    }

    fn take_in_newcomers(&mut self, audience: &mut Audience) {
        let Some(outlet) = &mut self.broadcast else { return };
        for (edge, listener) in &mut audience.listeners {
            if let Some(heard) = self.heard.iter_mut().find(|heard| heard.edge == *edge) {
                heard.subjects.clone_from(&listener.subjects);
                continue;
            }
            let Some(ringer) = listener.ringer.take().map(Arc::new) else { continue };
            let gate = listener.gate.as_ref().map(|gate| {
                let number = self.next_gate;
                self.next_gate += 1;
                outlet.admit(number, gate);
                number
            });
            let subjects = listener.subjects.clone();
            let name = Arc::clone(&listener.name);
            self.heard.push(Heard { edge: *edge, name, ringer, gate, subjects });
        }
    }

    fn take_in_lanes(&mut self, audience: &mut Audience) {
        for (hub, offered) in &mut audience.lanes {
            if let Some(writer) = offered.writer.take() {
                let of_hub = self.heard.iter().find(|heard| heard.edge.reader == *hub);
                let tally = match of_hub {
                    Some(heard) => self.tally.lane(&heard.name),
                    None => self.tally.lane(&hub.to_string()),
                };
                self.lanes.insert(*hub, Lane::new(writer, tally));
            }
            let Some(lane) = self.lanes.get_mut(hub) else { continue };
            let Lane { outlet, gates, .. } = lane;
            gates.retain(|subscription, number| {
                let stays = offered.readers.contains_key(subscription);
                if !stays {
                    outlet.writer.remove_reader(*number);
                }
                stays
            });
            for (subscription, gate) in &offered.readers {
                if !lane.gates.contains_key(subscription) {
                    let number = self.next_gate;
                    self.next_gate += 1;
                    lane.outlet.admit(number, gate);
                    lane.gates.insert(*subscription, number);
                }
            }
        }
    }

    fn make_table(&mut self) {
        for route in &mut self.table {
            let wants = |heard: &Heard| heard.subjects.contains(&route.subject);
            let listeners = self.heard.iter().enumerate().filter(|(_, heard)| wants(heard));
            route.listeners = listeners.map(|(index, _)| index).collect();
            let mut hubs: Vec<u64> =
                route.listeners.iter().map(|index| self.heard[*index].edge.reader).collect();
            hubs.sort_unstable();
            hubs.dedup();
            let reached = route.listeners.iter().all(|index| {
                let edge = self.heard[*index].edge;
                let lane = self.lanes.get(&edge.reader);
                let too_early = canary::is_on(canary::EARLY_LANE);
                lane.is_some_and(|lane| too_early || lane.gates.contains_key(&edge.subscription))
            });
            route.lanes = if reached && hubs.len() <= self.manners.few { hubs } else { Vec::new() };
            // Those who were called in the crowd before may not have been looked at.
            if let Some(before) = route.crowd.take() {
                before.look();
            }
            if route.listeners.len() > crowd::FEW {
                let ringers = route.listeners.iter().map(|at| Arc::clone(&self.heard[*at].ringer));
                route.crowd = Crowd::of(ringers.collect(), Arc::clone(&self.tally.woken));
            }
        }
    }
}
