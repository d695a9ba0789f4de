//! A supervisor in a thread of the program.

use crate::base::check_abi;
use crate::hub::domain_at;
use crate::memory::{In, Out};
use crate::objects::Serving;
use crate::table::{Handle, insert};
use ephapse::Supervisor;

entries! {
    fn eph_supervisor_start(
        abi: u32,
        directory: In<u8>,
        directory_len: usize,
        supervisor: Out<Handle<Serving>>,
    ) {
        let place = supervisor.clear("supervisor")?;
        check_abi(abi)?;
        let domain = domain_at(&directory, directory_len)?;
        place.set(insert(Serving { _thread: Supervisor::bind(domain)?.spawn()? })?);
        Ok(())
    }

    fn eph_supervisor_free(supervisor: Handle<Serving>) { supervisor.free() }
}
