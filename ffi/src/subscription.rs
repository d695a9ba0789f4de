//! Subscriptions: taking events, copying them, waiting for them, and having a function called.

use crate::codes::Code;
use crate::event::{Timeout, Until, after_release, show_envelope};
use crate::fault::Fault;
use crate::hub::wait_of;
use crate::memory::{In, Out, Place, User, zeros};
use crate::objects::{Callback, KIND_EVENT, Lent, Subscriber};
use crate::table::{Handle, Using, enter_lent, insert};
use crate::types::{DropFn, EventFn, EventView, SubscriptionOptions};
use ephapse::{Envelope, Flow, Hub};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

entries! {
    fn eph_subscribe(
        hub: Handle<Hub>,
        patterns: In<u8>,
        patterns_len: usize,
        options: In<SubscriptionOptions>,
        subscription: Out<Handle<Subscriber>>,
    ) {
        let place = subscription.clear("subscription")?;
        let patterns = patterns.text(patterns_len, "the patterns")?;
        let options = options_of(&options.sized("options")?)?;
        let subscription = hub.enter()?.subscribe_with(patterns.split_whitespace(), options)?;
        place.set(insert(Subscriber { subscription, callback: None })?);
        Ok(())
    }

    fn eph_subscription_free(subscription: Handle<Subscriber>) { subscription.free() }

    fn eph_subscription_take(
        subscription: Handle<Subscriber>,
        timeout_ns: i64,
        event: Out<EventView>,
    ) {
        event.filled_by("event", |place| take(subscription, Timeout::of(timeout_ns)?, place))
    }

    fn eph_subscription_next(
        subscription: Handle<Subscriber>,
        timeout_ns: i64,
        event: Out<EventView>,
    ) {
        let timeout = Timeout::of(timeout_ns)?;
        let using = after_release(subscription, event)?;
        event.filled_by("event", |place| lend(using, timeout, place))
    }

    fn eph_receive(
        subscription: Handle<Subscriber>,
        timeout_ns: i64,
        buffer: Out<u8>,
        capacity: usize,
        len: Out<usize>,
    ) {
        let place = len.clear("len")?;
        let timeout = Timeout::of(timeout_ns)?;
        let mut using = subscription.enter()?;
        let event = next(&mut using, timeout)?;
        place.set(event.bytes().len());
        buffer.fill(capacity, event.bytes(), "buffer")?;
        if event.bytes().len() > capacity {
            return Err(Fault::new(Code::TooLarge, "the event is longer than the buffer"));
        }
        Ok(())
    }

    fn eph_subscription_fd(subscription: Handle<Subscriber>, fd: Out<i32>) {
        let place = fd.clear("fd")?;
        place.set(subscription.enter()?.subscription.as_fd().as_raw_fd());
        Ok(())
    }

    fn eph_subscription_arm(subscription: Handle<Subscriber>, armed: Out<i32>) {
        let place = armed.clear("armed")?;
        place.set(i32::from(subscription.enter()?.subscription.arm()));
        Ok(())
    }

    fn eph_subscription_on_event(
        subscription: Handle<Subscriber>,
        function: Option<EventFn>,
        user: User,
        drop: Option<DropFn>,
    ) {
        let mut using = subscription.enter()?;
        let new = function.map(|function| Arc::new(Callback { function, user, drop }));
        let old = std::mem::replace(&mut using.callback, new);
        // Its function may use the subscription.
        std::mem::drop(using);
        std::mem::drop(old);
        Ok(())
    }

    fn eph_subscription_dispatch(
        subscription: Handle<Subscriber>,
        timeout_ns: i64,
        count_max: usize,
        count: Out<usize>,
    ) {
        let place = count.clear("count")?;
        let mut timeout = Timeout::of(timeout_ns)?;
        for done in 0..count_max {
            // It may have ended what it was called for: there is no other function, or nothing more.
            let callback = match callback(subscription) {
                Err(_) if done > 0 => return Ok(()),
                callback => callback?,
            };
            let mut view = zeros::<EventView>();
            match take(subscription, timeout, Place::of(&mut view)) {
                Ok(()) => {}
                // What there was has been dispatched.
                Err(fault) if done > 0 && fault.is(Code::TimedOut) => return Ok(()),
                Err(fault) => return Err(fault),
            }
            let handle = view.handle;
            (callback.function)(callback.user, &raw mut view);
            // It may have released the event itself.
            if let Ok(event) = enter_lent(handle, KIND_EVENT) {
                event.give_back(Lent::end);
            }
            place.set(done + 1);
            timeout = Timeout::NOW;
        }
        Ok(())
    }
}

/// Shared, so that it is there until it returns, whoever sets another or frees the subscription.
fn callback(subscription: Handle<Subscriber>) -> Result<Arc<Callback>, Fault> {
    let none = || Fault::invalid("there is no function for events: eph_subscription_on_event");
    subscription.enter()?.callback.clone().ok_or_else(none)
}

#[inline(always)]
fn take(
    subscription: Handle<Subscriber>,
    timeout: Timeout,
    place: Place<EventView>,
) -> Result<(), Fault> {
    lend(subscription.enter()?, timeout, place)
}

#[inline(always)]
fn lend(
    subscription: Using<Subscriber>,
    timeout: Timeout,
    place: Place<EventView>,
) -> Result<(), Fault> {
    let (subscriber, lending) = subscription.lend();
    let event = next(subscriber, timeout)?;
    show_envelope(&event, lending.handle, place);
    lending.out(Lent::Envelope(event))
}

#[inline(always)]
fn next(subscriber: &mut Subscriber, timeout: Timeout) -> Result<Envelope<'_>, Fault> {
    let (until, subscription) = (timeout.until(), &mut subscriber.subscription);
    // Looked at first: what is there can still be taken.
    let closed = matches!(until, Until::Never) || subscription.is_closed();
    let event = match until {
        Until::Now => subscription.try_recv(),
        Until::After(time) => subscription.recv_timeout(time),
        Until::Never => subscription.recv(),
    };
    match event {
        Ok(Some(event)) => Ok(event),
        Ok(None) if closed => Err(Code::Closed.into()),
        Ok(None) => Err(Code::TimedOut.into()),
        Err(error) => Err(error.into()),
    }
}

fn options_of(options: &SubscriptionOptions) -> Result<ephapse::SubscriptionOptions, Fault> {
    let flow = match options.flow {
        0 => Flow::Block,
        1 => Flow::DropOldest,
        _ => return Err(Fault::invalid("flow is none of EPH_FLOW_…")),
    };
    let new = ephapse::SubscriptionOptions::default().flow(flow);
    Ok(match wait_of(options.wait, options.spin_ns)? {
        Some(wait) => new.wait(wait),
        None => new,
    })
}
