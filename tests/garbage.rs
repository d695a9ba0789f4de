//! Garbage on the supervisor's socket: whoever sends it is disconnected, and the others notice
//! nothing.

mod common;

use common::host::Holdings;
use common::process::LONG;
use common::random::Random;
use common::{Domain, pose};
use nix::sys::socket::sockopt::{Linger, ReceiveTimeout};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, sendmsg,
    setsockopt, socket,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io::{IoSlice, Write};
use std::os::fd::{AsRawFd, OwnedFd};

/// A connection that has said nothing.
fn dial(domain: &Domain) -> OwnedFd {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).unwrap();
    setsockopt(&socket, ReceiveTimeout, &TimeVal::seconds(10)).unwrap();
    let address = UnixAddr::new(&domain.domain().socket()).unwrap();
    connect(socket.as_raw_fd(), &address).unwrap();
    socket
}

/// Sends, and says whether the supervisor hung up. It may do so before all has been sent.
fn is_thrown_out(socket: &OwnedFd, bytes: &[u8], descriptors: &[i32]) -> bool {
    let rights = [ControlMessage::ScmRights(descriptors)];
    let control = if descriptors.is_empty() { &[][..] } else { &rights[..] };
    let slices = [IoSlice::new(bytes)];
    let _ = sendmsg::<()>(socket.as_raw_fd(), &slices, control, MsgFlags::MSG_NOSIGNAL, None);
    is_hung_up(socket)
}

/// Waits until the supervisor hangs up.
fn is_hung_up(socket: &OwnedFd) -> bool {
    loop {
        let mut answer = [0; 4096];
        match recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty()) {
            Ok(0) | Err(nix::errno::Errno::ECONNRESET) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

/// A message as it should be, but for its archive.
fn message(kind: u16, archive: &[u8]) -> Vec<u8> {
    let mut bytes = b"EPH:".to_vec();
    bytes.extend_from_slice(&1u16.to_le_bytes());
    bytes.extend_from_slice(&kind.to_le_bytes());
    bytes.extend_from_slice(&(archive.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(archive);
    bytes
}

/// Two hubs that have a link, and use it and the supervisor.
fn honest(domain: &Domain, mut during: impl FnMut()) {
    let (mut a, mut b) = (domain.hub("a"), domain.hub("b"));
    let before = Holdings::now();
    let mut link = a.link_to("b").unwrap();
    for i in 0..3 {
        during();
        link.send(&pose(i)).unwrap();
        assert_eq!(b.recv().unwrap().unwrap().sequence(), i);
        assert_eq!(a.hubs().unwrap().len(), 2);
        let late = domain.hub("late");
        assert_eq!(b.wait_for("late", LONG).unwrap().name, "late");
        drop(late);
    }
    drop((link, b.try_accept()));
    while a.link_count() + b.link_count() > 0 {
        let _ = (a.try_recv(), b.try_recv());
    }
    before.wait_for_return();
}

#[test]
fn random_bytes() {
    let domain = Domain::new();
    let mut random = Random::for_test("random_bytes");
    honest(&domain, || {
        for _ in 0..50 {
            let len = 1 + random.below(5000) as usize;
            let archive = random.bytes(len);
            assert!(is_thrown_out(&dial(&domain), &archive, &[]));
            let kind = 1 + random.below(2) as u16;
            assert!(is_thrown_out(&dial(&domain), &message(kind, &archive), &[]));
        }
    });
}

#[test]
fn messages_that_are_cut_or_too_long() {
    let domain = Domain::new();
    honest(&domain, || {
        for len in [0, 1, 15, 16, 17, 16 << 10, 100_000] {
            assert!(is_thrown_out(&dial(&domain), &vec![b'x'; len.max(1)], &[]), "{len}");
            let whole = message(1, &vec![7; len]);
            assert!(is_thrown_out(&dial(&domain), &whole, &[]), "{len}");
            assert!(is_thrown_out(&dial(&domain), &whole[..whole.len() - 1], &[]), "{len}");
        }
    });
}

#[test]
fn descriptors_that_nobody_asked_for() {
    let domain = Domain::new();
    let file = tempfile::tempfile().unwrap();
    honest(&domain, || {
        for count in [1, 4, 5, 100, 253] {
            let many = vec![file.as_raw_fd(); count];
            assert!(is_thrown_out(&dial(&domain), &message(1, &[0; 32]), &many), "{count}");
        }
        // A socket whose close waits: the supervisor must not be the one who waits.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let linger = libc::linger { l_onoff: 1, l_linger: 2 };
        setsockopt(&stream, Linger, &linger).unwrap();
        stream.set_nonblocking(true).unwrap();
        while stream.write(&[0; 65536]).is_ok() {}
        let socket = dial(&domain);
        assert!(is_thrown_out(&socket, &message(1, &[0; 32]), &[stream.as_raw_fd()]));
    });
}

#[test]
fn connections_that_stay_silent_use_up_only_their_share() {
    let domain = Domain::new();
    let silent: Vec<OwnedFd> = (0..200).map(|_| dial(&domain)).collect();
    let limit = ephapse::limits::PENDING_CONNECTIONS_PER_UID_MAX;
    // Those beyond the quota are sent away at once, the others when their time is up.
    let thrown_out = silent.iter().filter(|socket| is_hung_up(socket)).count();
    assert_eq!(thrown_out, silent.len(), "after {limit} silent ones and {}", silent.len());
    honest(&domain, || {});
}

#[test]
fn hanging_up_at_any_moment() {
    let domain = Domain::new();
    honest(&domain, || {
        for len in 0..40 {
            let socket = dial(&domain);
            let bytes = message(1, &[0; 64]);
            let slices = [IoSlice::new(&bytes[..len])];
            let flags = MsgFlags::MSG_NOSIGNAL;
            let _ = sendmsg::<()>(socket.as_raw_fd(), &slices, &[], flags, None);
            drop(socket);
        }
    });
}
