//! A supervisor in a thread of a program that has hubs.

use crate::domain::Domain;
use crate::error::Error;
use crate::hub::{Hosted, HubBuilder};
use crate::supervisor::{Stopper, Supervisor};
use std::thread::JoinHandle;

/// A supervisor in a thread of its own, which has all signals blocked. Dropping it stops the
/// supervisor and waits for the thread to end.
#[derive(Debug)]
pub struct SupervisorThread {
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Serves in a thread of its own, until what is returned is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`] if there can be no more threads.
    pub fn spawn(self) -> Result<SupervisorThread, Error> {
        let stopper = self.stopper();
        let thread = std::thread::Builder::new().name("ephapse-supervisor".to_owned());
        let run = move || {
            // Signals are the program's own threads' business; this cannot fail with a full set.
            let _ = nix::sys::signal::SigSet::all().thread_block();
            if let Err(error) = self.run() {
                tracing::error!(%error, "the embedded supervisor has ended");
            }
        };
        let thread = thread.spawn(run).map_err(Error::io("starting the supervisor's thread"))?;
        Ok(SupervisorThread { stopper, thread: Some(thread) })
    }
}

fn host(domain: &Domain) -> Result<Hosted, Error> {
    Ok(Box::new(Supervisor::bind(domain.clone())?.spawn()?))
}

impl Drop for SupervisorThread {
    fn drop(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            // A panic in there has been reported already.
            let _ = thread.join();
        }
    }
}

impl HubBuilder {
    /// Whether this hub hosts a supervisor, in a thread of its process, when its domain has none:
    /// no unless said otherwise. The first such hub of a domain hosts it for as long as it is
    /// there, then another takes over.
    #[must_use]
    pub fn embedded_supervisor(self, wanted: bool) -> Self {
        self.hosting(wanted.then_some(host))
    }
}
