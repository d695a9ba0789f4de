//! Links: opening, accepting, sending, lending.

use crate::codes::Code;
use crate::event::{Timeout, Until};
use crate::fault::Fault;
use crate::hub::{switch, time};
use crate::memory::{In, Out, zeros};
use crate::objects::Lent;
use crate::table::{Handle, insert};
use crate::types::{self, LinkState, LoanView, array};
use ephapse::{Hub, Link, LinkOptions, Loan, RawEvent, SendError};

entries! {
    fn eph_link_to(
        hub: Handle<Hub>,
        name: In<u8>,
        name_len: usize,
        options: In<types::LinkOptions>,
        link: Out<Handle<Link>>,
    ) {
        let place = link.clear("link")?;
        let name = name.text(name_len, "the name")?;
        let options = options_of(&options.sized("options")?)?;
        let link = hub.enter()?.link_with(name, options)?;
        place.set(insert(link)?);
        Ok(())
    }

    fn eph_link_accept(hub: Handle<Hub>, timeout_ns: i64, link: Out<Handle<Link>>) {
        let place = link.clear("link")?;
        let timeout = Timeout::of(timeout_ns)?;
        let mut using = hub.enter()?;
        let link = match timeout.until() {
            Until::Now => using.try_accept()?,
            Until::After(time) => using.accept_timeout(time)?,
            Until::Never => using.accept()?,
        };
        match link {
            Some(link) => place.set(insert(link)?),
            None if using.is_closed() => return Err(Code::Closed.into()),
            None => return Err(Code::TimedOut.into()),
        }
        Ok(())
    }

    fn eph_link_free(link: Handle<Link>) { link.free() }

    fn eph_link_state(link: Handle<Link>, state: Out<LinkState>) {
        let using = link.enter()?;
        let mut found: LinkState = zeros();
        found.peer = array(using.peer());
        found.id = using.id().number();
        found.capacity = using.capacity() as u64;
        found.max_payload = using.max_payload() as u64;
        found.is_open = i32::from(using.is_open());
        state.fill_sized(&found, "state")
    }

    fn eph_link_send(
        link: Handle<Link>,
        schema: u64,
        data: In<u8>,
        len: usize,
        timeout_ns: i64,
    ) {
        let (timeout, data) = (Timeout::of(timeout_ns)?, data.slice(len, "data")?);
        let mut link = link.enter()?;
        let event = RawEvent::bytes(schema, data);
        match timeout.until() {
            Until::Now => link.try_send_raw(&event)?,
            Until::After(time) => link.send_raw_timeout(&event, time)?,
            Until::Never => link.send_raw(&event)?,
        }
        Ok(())
    }

    fn eph_link_loan(
        link: Handle<Link>,
        schema: u64,
        len: usize,
        timeout_ns: i64,
        loan: Out<LoanView>,
    ) {
        loan.filled_by("loan", |place| {
            let timeout = Timeout::of(timeout_ns)?;
            let (link, lending) = link.enter()?.lend();
            let mut loan = self::loan(link, len, timeout)?.with_schema(schema);
            let data = loan.as_mut_ptr();
            place.set(LoanView { data, len, handle: lending.handle });
            lending.out(Lent::Loan(loan))
        })
    }
}

#[inline(always)]
fn loan(link: &mut Link, len: usize, timeout: Timeout) -> Result<Loan<'_>, SendError> {
    match timeout.until() {
        Until::Now => link.try_loan(len),
        Until::After(time) => link.loan_timeout(len, time),
        Until::Never => link.loan(len),
    }
}

fn options_of(options: &types::LinkOptions) -> Result<LinkOptions, Fault> {
    let mut new = LinkOptions::default();
    if options.send_capacity != 0 {
        new = new.send_capacity(options.send_capacity as usize);
    }
    if options.receive_capacity != 0 {
        new = new.receive_capacity(options.receive_capacity as usize);
    }
    if let Some(timeout) = time(options.timeout_ns, "timeout_ns")? {
        new = new.timeout(timeout);
    }
    Ok(match switch(options.huge_pages, "huge_pages")? {
        Some(on) => new.huge_pages(on),
        None => new,
    })
}
