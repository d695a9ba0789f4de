//! Who is there: hubs, links, subjects, counters.

use crate::fault::Fault;
use crate::memory::{In, Out, Plain};
use crate::table::Handle;
use crate::types::{Counter, HubInfo, LinkInfo, SubjectInfo, array};
use ephapse::Hub;
use std::time::Duration;

entries! {
    fn eph_hub_list(hub: Handle<Hub>, infos: Out<HubInfo>, room: usize, count: Out<usize>) {
        list(infos, room, count, || Ok(hub.enter()?.hubs()?.iter().map(hub_info).collect()))
    }

    fn eph_hub_wait_for(
        hub: Handle<Hub>,
        name: In<u8>,
        name_len: usize,
        timeout_ns: i64,
        info: Out<HubInfo>,
    ) {
        let place = info.clear_if_wanted("info")?;
        let name = name.text(name_len, "the name")?;
        let found = hub.enter()?.wait_for(name, duration(timeout_ns)?)?;
        place.into_iter().for_each(|place| place.set(hub_info(&found)));
        Ok(())
    }

    fn eph_hub_links(hub: Handle<Hub>, infos: Out<LinkInfo>, room: usize, count: Out<usize>) {
        let info = |link: &ephapse::LinkInfo| LinkInfo {
            opener: array(&link.opener),
            acceptor: array(&link.acceptor),
            id: link.id,
        };
        list(infos, room, count, || Ok(hub.enter()?.links()?.iter().map(info).collect()))
    }

    fn eph_hub_subjects(hub: Handle<Hub>, infos: Out<SubjectInfo>, room: usize, count: Out<usize>) {
        let info = |subject: &ephapse::SubjectInfo| SubjectInfo {
            subject: array(&subject.subject),
            id: subject.id,
            publishers: subject.publishers,
            subscriptions: subject.subscriptions,
            reserved: 0,
        };
        list(infos, room, count, || Ok(hub.enter()?.subjects()?.iter().map(info).collect()))
    }

    fn eph_hub_counters(hub: Handle<Hub>, infos: Out<Counter>, room: usize, count: Out<usize>) {
        let info =
            |(label, value): &(String, u64)| Counter { label: array(label), value: *value };
        list(infos, room, count, || Ok(hub.enter()?.counters().iter().map(info).collect()))
    }

    fn eph_hub_unlink(hub: Handle<Hub>, name: In<u8>, name_len: usize, unlinked: Out<i32>) {
        let place = unlinked.clear_if_wanted("unlinked")?;
        let was = hub.enter()?.unlink(name.text(name_len, "the name")?)?;
        place.into_iter().for_each(|place| place.set(i32::from(was)));
        Ok(())
    }
}

/// Puts as many into an array as there is room for, and says how many there are.
fn list<T: Plain>(
    infos: Out<T>,
    room: usize,
    count: Out<usize>,
    find: impl FnOnce() -> Result<Vec<T>, Fault>,
) -> Result<(), Fault> {
    let place = count.clear("count")?;
    let found = find()?;
    infos.fill(room, &found, "the array")?;
    place.set(found.len());
    Ok(())
}

fn hub_info(hub: &ephapse::HubInfo) -> HubInfo {
    let ephapse::HubInfo { name, id, pid, uid, links } = hub;
    HubInfo { name: array(name), id: *id, pid: *pid, uid: *uid, links: *links, reserved: 0 }
}

/// A time-out of a call that can wait as long as one likes, but not for ever and one nanosecond.
pub(crate) fn duration(timeout_ns: i64) -> Result<Duration, Fault> {
    use crate::event::{Timeout, Until};
    Ok(match Timeout::of(timeout_ns)?.until() {
        Until::Now => Duration::ZERO,
        Until::After(time) => time,
        Until::Never => FOR_EVER,
    })
}

/// A hundred years.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
