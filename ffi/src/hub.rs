//! Hubs: joining a domain, receiving from links, waiting, leaving.

use crate::base::check_abi;
use crate::codes::Code;
use crate::event::{Timeout, Until, after_release, show_received};
use crate::fault::Fault;
use crate::memory::{In, Out, Place};
use crate::objects::Lent;
use crate::table::{Handle, Using, insert};
use crate::types::{EventView, HubOptions};
use ephapse::{Closer, Domain, Hub, HubBuilder, Payloads, Received, Wait};
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

entries! {
    fn eph_hub_open(
        abi: u32,
        name: In<u8>,
        name_len: usize,
        options: In<HubOptions>,
        hub: Out<Handle<Hub>>,
    ) {
        let place = hub.clear("hub")?;
        check_abi(abi)?;
        let builder = Hub::builder(name.text(name_len, "the name")?);
        let hub = with_options(builder, &options.sized("options")?)?.connect()?;
        place.set(insert(hub)?);
        Ok(())
    }

    fn eph_hub_free(hub: Handle<Hub>) { hub.free() }

    fn eph_hub_id(hub: Handle<Hub>, id: Out<u64>) {
        let place = id.clear("id")?;
        place.set(hub.enter()?.id());
        Ok(())
    }

    fn eph_hub_take(hub: Handle<Hub>, timeout_ns: i64, event: Out<EventView>) {
        event.filled_by("event", |place| {
            let timeout = Timeout::of(timeout_ns)?;
            lend(hub.enter()?, timeout, place)
        })
    }

    fn eph_hub_next(hub: Handle<Hub>, timeout_ns: i64, event: Out<EventView>) {
        let timeout = Timeout::of(timeout_ns)?;
        let using = after_release(hub, event)?;
        event.filled_by("event", |place| lend(using, timeout, place))
    }

    fn eph_hub_fd(hub: Handle<Hub>, fd: Out<i32>) {
        let place = fd.clear("fd")?;
        place.set(hub.enter()?.as_fd().as_raw_fd());
        Ok(())
    }

    fn eph_hub_arm(hub: Handle<Hub>, armed: Out<i32>) {
        let place = armed.clear("armed")?;
        place.set(i32::from(hub.enter()?.arm()));
        Ok(())
    }

    fn eph_hub_closer(hub: Handle<Hub>, closer: Out<Handle<Closer>>) {
        let place = closer.clear("closer")?;
        let closer = hub.enter()?.closer();
        place.set(insert(closer)?);
        Ok(())
    }

    fn eph_closer_close(closer: Handle<Closer>) {
        closer.enter()?.close();
        Ok(())
    }

    fn eph_closer_free(closer: Handle<Closer>) { closer.free() }
}

#[inline(always)]
fn lend(hub: Using<Hub>, timeout: Timeout, place: Place<EventView>) -> Result<(), Fault> {
    let (hub, lending) = hub.lend();
    let received = take(hub, timeout)?;
    show_received(&received, lending.handle, place);
    lending.out(Lent::Received(received))
}

#[inline(always)]
fn take(hub: &mut Hub, timeout: Timeout) -> Result<Received<'_>, Fault> {
    let until = timeout.until();
    // Looked at first: what is there can still be taken.
    let closed = matches!(until, Until::Never) || hub.is_closed();
    let received = match until {
        Until::Now => hub.try_recv(),
        Until::After(time) => hub.recv_timeout(time),
        Until::Never => hub.recv(),
    };
    match received {
        Ok(Some(received)) => Ok(received),
        Ok(None) if closed => Err(Code::Closed.into()),
        Ok(None) => Err(Code::TimedOut.into()),
        Err(error) => Err(error.into()),
    }
}

/// A domain's directory; that of the environment for an empty text.
pub(crate) fn domain_at(directory: &In<u8>, len: usize) -> Result<Domain, Fault> {
    let bytes = directory.slice(len, "the directory")?;
    if bytes.contains(&0) {
        return Err(Fault::invalid("the directory has a zero in its name"));
    }
    Ok(if bytes.is_empty() { Domain::from_env() } else { Domain::at(OsStr::from_bytes(bytes)) })
}

fn with_options(builder: HubBuilder, options: &HubOptions) -> Result<HubBuilder, Fault> {
    let mut builder = builder.domain(domain_at(&options.directory, options.directory_len)?);
    if let Some(wait) = wait_of(options.wait, options.spin_ns)? {
        builder = builder.wait(wait);
    }
    if let Some(on) = switch(options.timestamps, "timestamps")? {
        builder = builder.timestamps(on);
    }
    if let Some(on) = switch(options.embedded_supervisor, "embedded_supervisor")? {
        builder = builder.embedded_supervisor(on);
    }
    builder = match options.payloads {
        0 => builder,
        1 => builder.payloads(Payloads::Copied),
        _ => return Err(Fault::invalid("payloads is none of EPH_PAYLOADS_…")),
    };
    if options.largest_ring != 0 {
        builder = builder.largest_ring(options.largest_ring as usize);
    }
    if options.broadcast_capacity != 0 {
        builder = builder.broadcast_capacity(options.broadcast_capacity as usize);
    }
    if let Some(patience) = time(options.patience_ns, "patience_ns")? {
        builder = builder.patience(patience);
    }
    match options.links_for {
        0 => Ok(builder),
        -1 => Ok(builder.links_for(0)),
        1.. => Ok(builder.links_for(options.links_for as usize)),
        _ => Err(Fault::invalid("links_for is less than -1")),
    }
}

/// `EPH_ON`, `EPH_OFF`; nothing for the default.
pub(crate) fn switch(value: i32, what: &str) -> Result<Option<bool>, Fault> {
    match value {
        0 => Ok(None),
        1 => Ok(Some(true)),
        2 => Ok(Some(false)),
        _ => Err(Fault::invalid(format!("{what} is neither 0 nor EPH_ON nor EPH_OFF"))),
    }
}

/// `EPH_WAIT_…`; nothing for the default.
pub(crate) fn wait_of(wait: i32, spin_ns: i64) -> Result<Option<Wait>, Fault> {
    let spin = time(spin_ns, "spin_ns")?;
    match wait {
        0 => Ok(None),
        1 => Ok(Some(Wait::Spin)),
        2 => Ok(Some(Wait::Backoff)),
        3 => Ok(Some(Wait::Block)),
        4 => Ok(Some(spin.map_or(Wait::default(), |spin| Wait::Adaptive { spin }))),
        _ => Err(Fault::invalid("wait is none of EPH_WAIT_…")),
    }
}

/// A time in nanoseconds; nothing for 0.
pub(crate) fn time(ns: i64, what: &str) -> Result<Option<Duration>, Fault> {
    match ns {
        0 => Ok(None),
        1.. => Ok(Some(Duration::from_nanos(ns.unsigned_abs()))),
        _ => Err(Fault::invalid(format!("{what} is negative"))),
    }
}
