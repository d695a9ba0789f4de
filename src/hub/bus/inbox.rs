//! What the control thread leaves for a subscription.

use super::news::{DomainEvent, DomainEvents};
use super::source::{Port, Source};
use crate::protocol::Subject;
use crate::ring::{JOINING, Position, Reader};
use crate::segment::RingMemory;
use crate::wait::ring;
use core::sync::atomic::{AtomicBool, Ordering};
use parking_lot::Mutex;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Something that a subscription should know.
#[derive(Debug)]
pub(crate) enum News {
    /// A hub whose events it may want.
    Source(Box<Source>),
    /// More subjects of the source that match.
    Subjects(u64, Vec<Subject>),
    /// The source takes account of us; the word says where we begin, when it is settled.
    Begin(u64, Option<Position>),
    /// A second ring of the source, at the end of a link.
    Lane(u64, Box<Port<Reader<RingMemory>>>),
    /// Where in it we begin.
    LaneBegin(u64, Position),
    /// The source will write nothing more for us.
    Over(u64),
}

impl News {
    /// Which source it is about.
    fn source(&self) -> u64 {
        match self {
            Self::Source(source) => source.peer.id,
            Self::Subjects(id, _)
            | Self::Begin(id, _)
            | Self::Lane(id, _)
            | Self::LaneBegin(id, _)
            | Self::Over(id) => *id,
        }
    }

    fn is_beginning_of(&self, id: u64) -> bool {
        matches!(self, Self::Source(source) if source.peer.id == id)
    }

    /// Whether a source has said where we begin, which it does before it sends anything for us.
    fn says_where(&self, id: u64) -> bool {
        match self {
            // Relaxed: who asks has been told that the source is gone.
            Self::Begin(source, Some(word)) if *source == id => {
                word.word().load(Ordering::Relaxed) != JOINING
            }
            // Nobody waits for us there, so it may have sent what it likes.
            Self::Source(source) if source.peer.id == id => source.is_open(),
            _ => false,
        }
    }
}

/// The news of one subscription. Bounded by what the supervisor knows: at most a few for each hub
/// and each subject.
#[derive(Debug)]
pub(crate) struct Inbox {
    has_news: AtomicBool,
    closed: AtomicBool,
    news: Mutex<Vec<News>>,
    domain_events: Mutex<DomainEvents>,
    /// To wake the subscription, whoever it is that sleeps on its bell.
    bell: OwnedFd,
}

impl Inbox {
    pub(crate) fn new(bell: OwnedFd) -> Self {
        let (has_news, closed) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { has_news, closed, news: Mutex::default(), domain_events: Mutex::default(), bell }
    }

    pub(crate) fn post(&self, news: News) {
        {
            let mut all = self.news.lock();
            if let News::Over(source) = news
                && all.iter().any(|news| news.is_beginning_of(source))
                && !all.iter().any(|news| news.says_where(source))
            {
                // It has come and gone unseen, and sent nothing.
                return all.retain(|news| news.source() != source);
            }
            all.push(news);
        }
        self.ring();
    }

    /// Something has happened in the domain.
    pub(crate) fn post_event(&self, event: Arc<DomainEvent>) {
        self.domain_events.lock().push(event);
        self.ring();
    }

    fn ring(&self) {
        // Relaxed: the locks order the news; who misses the flag is woken below.
        self.has_news.store(true, Ordering::Relaxed);
        ring(&self.bell);
    }

    #[inline(always)]
    pub(crate) fn has_news(&self) -> bool {
        // Relaxed: as above.
        self.has_news.load(Ordering::Relaxed)
    }

    pub(super) fn take(&self) -> (Vec<News>, DomainEvents) {
        let (mut news, mut events) = (self.news.lock(), self.domain_events.lock());
        // Relaxed: under the locks, so that no news is left without the flag.
        self.has_news.store(false, Ordering::Relaxed);
        (std::mem::take(&mut news), std::mem::take(&mut events))
    }

    pub(crate) fn close(&self) {
        // Relaxed: the pipe wakes who sleeps, and who looks sees it soon.
        self.closed.store(true, Ordering::Relaxed);
        ring(&self.bell);
    }

    pub(crate) fn is_closed(&self) -> bool {
        // Relaxed: as above.
        self.closed.load(Ordering::Relaxed)
    }
}
