//! Who comes in: new hubs, and those that have lost an earlier supervisor.
//!
//! State lives at the edges: a supervisor that dies takes nothing with it. Its hubs come to the
//! next one, say who they are and what they hold, and the registry is rebuilt from that.

use super::flight::Count;
use super::registry::Registry;
use crate::limits::{HUBS_MAX, RETURN_MS};
use crate::protocol::{News, RefusalCode, ToHub, check_name};
use std::time::{Duration, Instant};

const RETURN: Duration = Duration::from_millis(RETURN_MS);

/// Where the number of the supervisor's run lies in the number of a hub or a link.
pub(super) const EPOCH_SHIFT: u32 = 32;

impl Registry {
    /// A hub introduces itself. `resume` is the number that it had under an earlier supervisor, 0
    /// if it is new.
    pub(super) fn hello(&mut self, from: u64, name: String, resume: u64) {
        if let Err(reason) = check_name(&name) {
            return self.refuse(from, 0, RefusalCode::InvalidName, reason);
        }
        if let Some(&holder) = self.names.get(&name) {
            if !self.gives_way(holder, resume) {
                return self.refuse_name(from, &name);
            }
            self.refuse_name(holder, &name);
            self.remove(holder, "its name belongs to a hub that came back");
        }
        if self.names.len() >= HUBS_MAX {
            let reason = format!("this domain has its maximum of {HUBS_MAX} hubs");
            return self.refuse(from, 0, RefusalCode::LimitReached, reason);
        }
        let id = if self.may_have(resume) { self.rename(from, resume) } else { from };
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let (uid, pid) = (connection.uid, connection.pid);
        tracing::info!(hub = %name, uid, pid, resumed = resume != 0, "joined");
        connection.name = Some(name.clone());
        connection.resumed = resume != 0;
        connection.joined = Instant::now();
        self.absent = self.absent.saturating_sub(u64::from(self.comes_back(resume)));
        self.names.insert(name.clone(), id);
        self.flight.add(Count::Joins);
        self.tell(id, &ToHub::Welcome { id }, Vec::new());
        self.announce_hub(id);
        for (hub, request) in self.waiting.remove(&name).unwrap_or_default() {
            if let Some(connection) = self.connections.get_mut(&hub) {
                connection.waits.remove(&request);
            }
            self.present(hub, request, id);
        }
    }

    fn announce_hub(&mut self, id: u64) {
        if let Some(info) = self.info(id) {
            self.announce(News::Joined(info));
        }
    }

    /// Whether the hub that has a name loses it to one that comes back: it took it while those of
    /// an earlier supervisor were still on their way.
    fn gives_way(&self, holder: u64, resume: u64) -> bool {
        let holder = self.connections.get(&holder);
        self.comes_back(resume)
            && holder.is_some_and(|c| !c.resumed && c.joined <= self.started + RETURN)
    }

    /// Whether who had this number had it under an earlier supervisor.
    fn comes_back(&self, resume: u64) -> bool {
        resume != 0 && resume >> EPOCH_SHIFT != u64::from(self.epoch)
    }

    /// Tells a hub that it cannot have a name, or no longer.
    fn refuse_name(&mut self, hub: u64, name: &str) {
        let holder = self.names.get(name).filter(|holder| **holder != hub);
        let reason = match holder.and_then(|holder| self.info(*holder)) {
            Some(holder) => format!(
                "the name {name} is taken by process {} of user {}; choose another name",
                holder.pid, holder.uid
            ),
            None => format!(
                "the name {name} belongs to a hub that came back after the supervisor was \
                 restarted; choose another name"
            ),
        };
        self.refuse(hub, 0, RefusalCode::NameTaken, reason);
    }

    /// Whether a hub can keep the number that it says it had. One that this run has yet to give is
    /// not one that it had.
    fn may_have(&self, id: u64) -> bool {
        let epoch = id >> EPOCH_SHIFT;
        (1..1 << 30).contains(&epoch)
            && (epoch != u64::from(self.epoch) || id < self.next_id)
            && !self.connections.contains_key(&id)
    }

    /// Gives a connection, known by its token until now, the number of a hub.
    fn rename(&mut self, token: u64, id: u64) -> u64 {
        if let Some(connection) = self.connections.remove(&token) {
            self.connections.insert(id, connection);
            self.renamed.insert(token, id);
        }
        id
    }
}
