//! A real supervisor, and hubs that are made by hand: they say what the test wants them to.

mod edges;
mod epochs;
mod flood;
mod garbage;
mod lanes;
mod limits;
mod news;
mod restart;
mod subscriptions;

use super::{Stopper, Supervisor};
use crate::domain::Domain;
use crate::protocol::{
    Channel, ChannelError, Edge, RefusalCode, Subject, Terms, ToHub, ToSupervisor,
};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::sys::stat::fstat;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

/// The request of the question that only finds out what has come before its answer.
const LAST: u32 = u32::MAX;

/// A supervisor in a thread, that can be stopped and started again in the same directory.
struct Scene {
    domain: Domain,
    running: Option<(Stopper, JoinHandle<()>)>,
    _dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let domain = Domain::at(dir.path().join("domain"));
        let mut scene = Self { domain, running: None, _dir: dir };
        scene.start();
        scene
    }

    fn start(&mut self) {
        let supervisor = Supervisor::bind(self.domain.clone()).unwrap();
        let stopper = supervisor.stopper();
        let thread = std::thread::spawn(move || supervisor.run().unwrap());
        self.running = Some((stopper, thread));
    }

    fn stop(&mut self) {
        if let Some((stopper, thread)) = self.running.take() {
            stopper.stop();
            thread.join().unwrap();
        }
    }

    fn restart(&mut self) {
        self.stop();
        self.start();
    }

    fn connect(&self) -> Channel {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).unwrap();
        let address = UnixAddr::new(&self.domain.socket()).unwrap();
        connect(socket.as_raw_fd(), &address).unwrap();
        Channel::new(socket)
    }

    fn join(&self, name: &str) -> Client {
        self.resume(name, 0)
    }

    fn resume(&self, name: &str, resume: u64) -> Client {
        let mut client = Client { channel: self.connect(), id: 0 };
        client.say(&ToSupervisor::Hello { name: name.to_owned(), resume });
        match client.hear() {
            ToHub::Welcome { id } => client.id = id,
            other => panic!("{other:?}"),
        }
        client
    }

    /// A hub that has joined and has a ring to publish on.
    fn publisher(&self, name: &str) -> Client {
        let mut client = self.join(name);
        client.broadcast();
        client
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One connection, and the number of its hub.
struct Client {
    channel: Channel,
    id: u64,
}

impl Client {
    fn say(&mut self, message: &ToSupervisor) {
        self.channel.send(message, Vec::new()).unwrap();
    }

    fn say_with(&mut self, message: &ToSupervisor, descriptors: Vec<OwnedFd>) {
        self.channel.send(message, descriptors).unwrap();
    }

    fn hear_with(&mut self) -> (ToHub, Vec<OwnedFd>) {
        self.channel.receive_by(Instant::now() + LONG).unwrap()
    }

    fn hear(&mut self) -> ToHub {
        self.hear_with().0
    }

    /// All that the supervisor had to say before it hears this question. (What others say before
    /// this is called, it has heard when they have called this.)
    fn all(&mut self) -> Vec<ToHub> {
        self.say(&ToSupervisor::List { request: LAST, after: u64::MAX });
        let mut all = Vec::new();
        loop {
            match self.hear() {
                ToHub::Hubs { request: LAST, .. } => return all,
                other => all.push(other),
            }
        }
    }

    #[track_caller]
    fn hears_nothing(&mut self) {
        assert_eq!(self.all(), []);
    }

    /// What comes before the supervisor hangs up.
    fn until_hung_up(&mut self) -> Vec<ToHub> {
        let mut all = Vec::new();
        loop {
            match self.channel.receive_by(Instant::now() + LONG) {
                Ok((message, _)) => all.push(message),
                Err(ChannelError::HungUp) => return all,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Leaves, and is forgotten.
    fn leave(mut self) {
        self.say(&ToSupervisor::Leave);
        self.until_hung_up();
    }

    /// Says that it will publish; gives what tells ring, cursors and doorbell from others.
    fn broadcast(&mut self) -> [u64; 3] {
        let descriptors = vec![memory(), memory(), pipe()];
        let marks = [0, 1, 2].map(|at| mark(&descriptors[at]));
        self.say_with(&ToSupervisor::Broadcast { capacity: 4096 }, descriptors);
        marks
    }

    fn declare(&mut self, request: u32, subject: &str) {
        let subject = subject.to_owned();
        self.say(&ToSupervisor::Declare { request, subject, known: 0 });
    }

    /// Declares a subject that nobody has subscribed to, or that all follow at once.
    fn declared(&mut self, subject: &str) -> u32 {
        self.declare(9, subject);
        match self.hear() {
            ToHub::Declared { request: 9, id } => id,
            other => panic!("{other:?}"),
        }
    }

    /// Subscribes; gives what tells the cursors and the doorbell from others.
    fn subscribe(&mut self, request: u32, subscription: u32, patterns: &[&str]) -> [u64; 2] {
        let patterns = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let (gating, bell_slot) = (true, 7);
        let message =
            ToSupervisor::Subscribe { request, subscription, patterns, gating, bell_slot };
        let descriptors = vec![memory(), pipe()];
        let marks = [mark(&descriptors[0]), mark(&descriptors[1])];
        self.say_with(&message, descriptors);
        marks
    }

    /// The next message is a question to follow, which is answered. Gives what is to be followed.
    #[track_caller]
    fn follow(&mut self, position_slot: u32) -> (Edge, Vec<Subject>) {
        match self.hear() {
            ToHub::Follow { edge, subjects, .. } => {
                self.say(&ToSupervisor::Following { edge, position_slot });
                (edge, subjects)
            }
            other => panic!("{other:?}"),
        }
    }

    /// The next message is a question to listen, which is answered.
    #[track_caller]
    fn listen(&mut self, start_slot: u32) -> (Edge, Vec<u32>) {
        match self.hear() {
            ToHub::Listen { edge, subjects, .. } => {
                self.say(&ToSupervisor::Listening { edge, start_slot });
                (edge, subjects)
            }
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn begin(&mut self) -> Edge {
        match self.hear() {
            ToHub::Begin { edge, .. } => edge,
            other => panic!("{other:?}"),
        }
    }

    /// The request is refused; gives why.
    #[track_caller]
    fn refused(&mut self, request: u32) -> (RefusalCode, String) {
        match self.hear() {
            ToHub::Refused { request: of, code, reason } if of == request => (code, reason),
            other => panic!("{other:?}"),
        }
    }
}

/// Brings the only subscription of one hub and the only subject of another together.
fn tie(source: &mut Client, reader: &mut Client) -> Edge {
    let (edge, _) = reader.follow(3);
    assert_eq!(source.listen(4).0, edge);
    assert_eq!(reader.begin(), edge);
    edge
}

/// Opens a link.
fn link(opener: &mut Client, acceptor: &mut Client, to: &str) -> u64 {
    let terms = Terms { capacity: 4096, position_slot: 1, bell_slot: 2 };
    let half = || vec![memory(), memory(), pipe()];
    let offer = ToSupervisor::Link { request: 5, to: to.to_owned(), terms, wanted: 4096 };
    opener.say_with(&offer, half());
    let ToHub::Offer { link, .. } = acceptor.hear() else { panic!("an offer") };
    acceptor.say_with(&ToSupervisor::Accept { link, terms }, half());
    let ToHub::Established { .. } = opener.hear() else { panic!("an answer") };
    opener.say(&ToSupervisor::Attached { link });
    assert_eq!(acceptor.hear(), ToHub::Opened { link });
    link
}

fn memory() -> OwnedFd {
    memfd_create("test", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).unwrap()
}

fn pipe() -> OwnedFd {
    nix::unistd::pipe().unwrap().1
}

/// What tells a file from others, through whatever descriptor.
fn mark(fd: &OwnedFd) -> u64 {
    fstat(fd.as_fd()).unwrap().st_ino
}

fn marks(descriptors: &[OwnedFd]) -> Vec<u64> {
    descriptors.iter().map(mark).collect()
}

/// Of all but the last, which is one of this process, that of both hubs.
fn marks_beside_process(descriptors: &[OwnedFd]) -> Vec<u64> {
    let (process, others) = descriptors.split_last().unwrap();
    let what = std::fs::read_link(format!("/proc/self/fd/{}", process.as_raw_fd())).unwrap();
    assert!(what.to_string_lossy().contains("pidfd"), "{what:?}");
    marks(others)
}

fn ids(subjects: &[Subject]) -> Vec<u32> {
    subjects.iter().map(|subject| subject.id).collect()
}
