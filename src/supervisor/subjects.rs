//! The subjects of the domain, and the numbers that stand for them in commit words.

use crate::limits::SUBJECTS_MAX;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

/// Bits of a number that count within one run of the supervisor. Those above say which run, so
/// that a new supervisor does not give what hubs still use from an earlier one.
const COUNTER_BITS: u32 = 20;

const _: () = assert!(SUBJECTS_MAX < 1 << COUNTER_BITS, "there is always a number left");

/// Subjects that somebody publishes on.
#[derive(Debug)]
pub(super) struct Subjects {
    /// Usually one number for each. After a restart, hubs may come back with one that a hub that
    /// came before them did not know.
    names: BTreeMap<Arc<str>, Vec<u32>>,
    ids: HashMap<u32, Entry>,
    run: u32,
    next: u32,
}

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    /// Hubs that publish on the subject by this number.
    publishers: u32,
}

impl Subjects {
    pub(super) fn new(epoch: u32) -> Self {
        let run = epoch << COUNTER_BITS;
        Self { names: BTreeMap::new(), ids: HashMap::new(), run, next: 1 }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The numbers of a subject; none if nobody publishes on it.
    pub(super) fn ids(&self, subject: &str) -> &[u32] {
        self.names.get(subject).map_or(&[], Vec::as_slice)
    }

    /// What a number stands for.
    pub(super) fn name(&self, id: u32) -> Option<&Arc<str>> {
        self.ids.get(&id).map(|entry| &entry.name)
    }

    /// Hubs that publish on a subject, by whatever number.
    pub(super) fn publishers(&self, subject: &str) -> u32 {
        let entries = self.ids(subject).iter().filter_map(|id| self.ids.get(id));
        entries.map(|entry| entry.publishers).sum()
    }

    /// Subjects after this one, in the order of their names.
    pub(super) fn after(&self, subject: &str) -> impl Iterator<Item = (&str, u32)> {
        let after = (Bound::Excluded(subject), Bound::Unbounded);
        let first = |ids: &Vec<u32>| ids.first().copied();
        self.names
            .range::<str, _>(after)
            .filter_map(move |(name, ids)| Some((&**name, first(ids)?)))
    }

    /// The number by which one more hub is to publish on a subject. `known` is one that it has
    /// from before; if `returned`, it may be one that this supervisor has never heard of. `None`
    /// if the domain has its maximum.
    pub(super) fn choose(&mut self, subject: &str, known: u32, returned: bool) -> Option<u32> {
        let ids = self.ids(subject);
        let first = ids.first().copied();
        if ids.contains(&known) {
            return Some(known);
        }
        // What stands for another subject cannot stand for this one too.
        let adopt = returned && known != 0 && !self.ids.contains_key(&known);
        if !adopt && first.is_some() {
            return first;
        }
        if self.ids.len() >= SUBJECTS_MAX {
            return None;
        }
        Some(if adopt { known } else { self.fresh() })
    }

    /// A number that nobody uses. It comes again only when all others have been given.
    fn fresh(&mut self) -> u32 {
        loop {
            let id = self.run | self.next;
            self.next = if self.next + 1 < 1 << COUNTER_BITS { self.next + 1 } else { 1 };
            if !self.ids.contains_key(&id) {
                return id;
            }
        }
    }

    /// One hub more publishes on a subject by this number.
    pub(super) fn publish(&mut self, id: u32, subject: &str) {
        let name = match self.names.get_key_value(subject) {
            Some((name, _)) => Arc::clone(name),
            None => subject.into(),
        };
        let entry = self.ids.entry(id).or_insert_with(|| {
            self.names.entry(Arc::clone(&name)).or_default().push(id);
            Entry { name, publishers: 0 }
        });
        entry.publishers += 1;
    }

    /// One hub less does. With the last one the number is forgotten.
    pub(super) fn retire(&mut self, id: u32) {
        let Some(entry) = self.ids.get_mut(&id) else { return };
        entry.publishers = entry.publishers.saturating_sub(1);
        if entry.publishers > 0 {
            return;
        }
        let Some(Entry { name, .. }) = self.ids.remove(&id) else { return };
        if let Some(ids) = self.names.get_mut(&name) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.names.remove(&name);
            }
        }
    }
}
