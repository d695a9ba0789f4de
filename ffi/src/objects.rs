//! What handles stand for.

use crate::memory::User;
use crate::types::{DropFn, EventFn};
use ephapse::event::PAYLOAD_ALIGN;
use ephapse::rkyv::util::AlignedVec;
use ephapse::{
    Closer, Envelope, Hub, Link, Loan, RawPublisher, Received, Reply, Subscription,
    SupervisorThread,
};
use std::sync::Arc;

/// The kind of nothing.
pub(crate) const KIND_NONE: u64 = 0;
/// Kinds of what is lent.
pub(crate) const KIND_EVENT: u64 = 14;
pub(crate) const KIND_LOAN: u64 = 15;
/// The kind of [`Answer`].
pub(crate) const KIND_ANSWER: u64 = 7;

/// Something that can be in the table.
pub(crate) trait Stored: Sized + 'static {
    /// Its number in handles.
    const KIND: u64;
    /// That of what it lends.
    const LENDS: u64;
    fn into_object(self) -> Object;
    fn of(object: &mut Object) -> Option<&mut Self>;
}

macro_rules! objects {
    ($($kind:literal $name:ident $lends:ident)*) => {
        /// What a slot holds. In boxes, because what is lent refers to it.
        pub(crate) enum Object {
            $($name(Box<$name>),)*
        }

        $(impl Stored for $name {
            const KIND: u64 = $kind;
            const LENDS: u64 = $lends;

            fn into_object(self) -> Object {
                Object::$name(Box::new(self))
            }

            #[inline(always)]
            fn of(object: &mut Object) -> Option<&mut Self> {
                match object {
                    Object::$name(it) => Some(it),
                    _ => None,
                }
            }
        })*
    };
}

objects! {
    1 Hub KIND_EVENT
    2 Link KIND_LOAN
    3 Publisher KIND_LOAN
    4 Subscriber KIND_EVENT
    5 Serving KIND_NONE
    6 Closer KIND_NONE
    7 Answer KIND_EVENT
}

/// What a part of an object is lent as.
pub(crate) enum Lent {
    /// Of a subscription, or of an [`Answer`].
    Envelope(Envelope<'static>),
    /// Of a hub, from a link.
    Received(Received<'static>),
    /// Of a link.
    Loan(Loan<'static>),
    /// Of a publisher.
    Draft(&'static mut Publisher, usize),
}

impl Lent {
    /// Releases an event, discards a loan.
    #[inline(always)] // what is dropped as a whole is not
    pub(crate) fn end(self) {
        match self {
            Self::Received(event) => drop(event),
            Self::Envelope(event) => drop(event),
            // Nothing has to be done for what is not sent.
            Self::Loan(_) | Self::Draft(..) => {}
        }
    }
}

/// `eph_publisher_t`
pub(crate) struct Publisher {
    pub(crate) publisher: RawPublisher,
    pub(crate) schema: u64,
    /// Where loans are written.
    pub(crate) draft: AlignedVec<PAYLOAD_ALIGN>,
}

/// `eph_subscription_t`
pub(crate) struct Subscriber {
    pub(crate) subscription: Subscription,
    pub(crate) callback: Option<Arc<Callback>>,
}

/// A function of the caller's, for events.
pub(crate) struct Callback {
    pub(crate) function: EventFn,
    pub(crate) user: User,
    pub(crate) drop: Option<DropFn>,
}

impl Drop for Callback {
    fn drop(&mut self) {
        if let Some(drop) = self.drop {
            drop(self.user);
        }
    }
}

/// `eph_supervisor_t`: held until it is freed, which stops it.
pub(crate) struct Serving {
    pub(crate) _thread: SupervisorThread,
}

/// The reply to a request, until its event is released.
pub(crate) struct Answer(pub(crate) Reply);
