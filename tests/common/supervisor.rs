//! A supervisor in a process of its own, which can be killed and started again.

use super::roles::{self, Child};
use ephapse::{Domain, Supervisor};

/// In the child, as the role "supervisor".
pub fn serve() {
    let supervisor = Supervisor::bind(roles::domain()).unwrap();
    roles::tell("serving");
    supervisor.run().unwrap();
}

/// Starts one, and waits until it serves.
pub fn start(domain: &Domain) -> Child {
    let mut child = Child::start("supervisor", domain, "supervisor");
    child.expect("serving");
    child
}

/// A directory with a domain, whose supervisor is another process.
pub struct Place {
    pub supervisor: Child,
    pub domain: Domain,
    _dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let domain = Domain::at(dir.path().join("domain"));
        Self { supervisor: start(&domain), domain, _dir: dir }
    }

    /// Starts another one, when the one before has been killed.
    pub fn start(&mut self) {
        self.supervisor = start(&self.domain);
    }
}
