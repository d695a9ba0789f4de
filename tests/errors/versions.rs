//! Supervisors and hubs of other versions, made by hand: all that this version may know of them
//! is the preamble of sixteen bytes.

use crate::common::Domain;
use crate::common::roles::LONG;
use crate::directories::directory;
use crate::text;
use ephapse::{Error, Hub};
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, accept, bind, connect, listen,
    recv, send, setsockopt, socket,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const OURS: u16 = 3;
const WRONG_VERSION: u16 = 0xFFFF;

fn preamble(version: u16, kind: u16, length: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(b"EPH:");
    bytes[4..6].copy_from_slice(&version.to_le_bytes());
    bytes[6..8].copy_from_slice(&kind.to_le_bytes());
    bytes[8..12].copy_from_slice(&length.to_le_bytes());
    bytes
}

fn seqpacket() -> OwnedFd {
    socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap()
}

/// What the supervisor says to the first message of a connection, until it hangs up.
fn answers(domain: &Domain, message: &[u8]) -> Vec<Vec<u8>> {
    let socket = seqpacket();
    let address = UnixAddr::new(&domain.domain().socket()).unwrap();
    connect(socket.as_raw_fd(), &address).unwrap();
    send(socket.as_raw_fd(), message, MsgFlags::empty()).unwrap();
    let mut answers = Vec::new();
    loop {
        let mut bytes = [0; 1024];
        match recv(socket.as_raw_fd(), &mut bytes, MsgFlags::empty()) {
            Ok(0) | Err(nix::errno::Errno::ECONNRESET) => return answers,
            Ok(len) => answers.push(bytes[..len].to_vec()),
            Err(errno) => panic!("{errno}"),
        }
    }
}

#[test]
fn a_hub_of_another_version() {
    let domain = Domain::new();
    let mut hello = preamble(99, 1, 4).to_vec();
    hello.extend_from_slice(b"what");
    // Told which version would be right, then disconnected.
    assert_eq!(answers(&domain, &hello), [preamble(OURS, WRONG_VERSION, 0).to_vec()]);
    // What a program of that version makes of the answer, if it is as this one.
    let error = Error::Version { expected: 99, found: OURS };
    assert_eq!(
        error.to_string(),
        "the supervisor speaks protocol version 3, this program version 99; run the same version \
         of ephapse on both sides"
    );
    domain.hub("a"); // others are not disturbed
}

#[test]
fn a_visitor_that_is_no_hub_at_all() {
    let domain = Domain::new();
    let none: [Vec<u8>; 0] = [];
    assert_eq!(answers(&domain, b"GET / HTTP/1.1\r\n\r\n"), none);
    assert_eq!(answers(&domain, b"x"), none);
    assert_eq!(answers(&domain, &preamble(OURS, 1, 400)), none);
    assert_eq!(answers(&domain, &preamble(OURS, 2, 0)), none);
    assert_eq!(answers(&domain, &preamble(OURS, WRONG_VERSION, 0)), none);
    domain.hub("a");
}

/// What a hub says when a supervisor answers its first message with these bytes, and hangs up.
fn joining_where_the_answer_is(answer: Vec<u8>) -> Error {
    let dir = directory(0o700);
    let domain = ephapse::Domain::at(dir.path());
    let door = seqpacket();
    bind(door.as_raw_fd(), &UnixAddr::new(&domain.socket()).unwrap()).unwrap();
    listen(&door, Backlog::new(1).unwrap()).unwrap();
    setsockopt(&door, ReceiveTimeout, &TimeVal::seconds(LONG.as_secs() as i64)).unwrap();
    let supervisor = std::thread::spawn(move || {
        let visitor = accept(door.as_raw_fd()).unwrap();
        // SAFETY: the kernel has just made it for us.
        let visitor = unsafe { OwnedFd::from_raw_fd(visitor) };
        let mut hello = [0; 1024];
        let len = recv(visitor.as_raw_fd(), &mut hello, MsgFlags::empty()).unwrap();
        send(visitor.as_raw_fd(), &answer, MsgFlags::empty()).unwrap();
        hello[..len].to_vec()
    });
    let result = Hub::builder("a").domain(domain).connect();
    let hello = supervisor.join().unwrap();
    assert_eq!(&hello[..8], &preamble(OURS, 1, 0)[..8], "hubs introduce themselves by version");
    result.expect_err("there is no such supervisor")
}

#[test]
fn a_supervisor_of_another_version() {
    let mut longer = preamble(99, 77, 8).to_vec();
    longer.extend_from_slice(b"whatever");
    for answer in [preamble(99, WRONG_VERSION, 0).to_vec(), preamble(99, 2, 0).to_vec(), longer] {
        let error = joining_where_the_answer_is(answer);
        assert!(matches!(error, Error::Version { expected: OURS, found: 99 }), "{error}");
        assert_eq!(
            error.to_string(),
            "the supervisor speaks protocol version 99, this program version 3; run the same \
             version of ephapse on both sides"
        );
    }
}

#[test]
fn a_supervisor_that_is_none_at_all() {
    let said = "the supervisor does not keep to the protocol: ";
    let error = joining_where_the_answer_is(b"HTTP/1.1 400 Bad Request".to_vec());
    let why = "24 bytes that are not a message of this protocol";
    assert_eq!(error.to_string(), format!("{said}{why}"));
    let error = joining_where_the_answer_is(preamble(OURS, 2, 3).to_vec());
    let why = "a message of kind 2 and 16 bytes that is not valid";
    assert_eq!(text::<(), _>(Err(error)), format!("{said}{why}"));
    let error = joining_where_the_answer_is(Vec::new());
    assert!(matches!(error, Error::Disconnected { .. }), "{error}");
}
