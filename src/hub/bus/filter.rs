//! What a subscription wants of one hub.

use crate::protocol::Subject;
use std::sync::Arc;

/// Subjects by number, and who wants them. Goes with the source whose they are.
#[derive(Debug)]
pub(crate) struct Filter {
    /// Sorted by number.
    subjects: Vec<(u32, Arc<str>)>,
    /// The subscription's own hub.
    pub(super) hub: u64,
}

impl Filter {
    pub(crate) fn new(hub: u64, subjects: Vec<Subject>) -> Self {
        let mut filter = Self { subjects: Vec::new(), hub };
        filter.add(subjects);
        filter
    }

    /// A number that comes again stands for what it is said to stand for last.
    pub(super) fn add(&mut self, subjects: Vec<Subject>) {
        for Subject { id, name, .. } in subjects {
            let subject = (id, name.into());
            match self.subjects.binary_search_by_key(&id, |(id, _)| *id) {
                Ok(at) => self.subjects[at] = subject,
                Err(at) => self.subjects.insert(at, subject),
            }
        }
    }

    #[inline]
    pub(super) fn name(&self, id: u32) -> Option<&Arc<str>> {
        let at = self.subjects.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(&self.subjects[at].1)
    }

    #[inline]
    pub(super) fn wants(&self, id: u32) -> bool {
        self.name(id).is_some()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.subjects.iter().map(|(_, name)| &**name)
    }
}
