//! Two hubs that are awake exchange events without one system call.
//!
//! A child process forbids its threads every system call but the one that ends the process: the
//! kernel kills it at the first that is made. (The hub's control thread has been started before
//! and is not concerned.) A failure of another kind ends the child with a number instead, because
//! a panic would need system calls.

mod common;

use common::forbidden::{end, forbid_system_calls, one_call};
use common::roles::{self, Child};
use common::{Domain, Note, Pose, pose};
use ephapse::{Hub, Link, Payloads, SendError, Wait};
use nix::sys::signal::Signal;
use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Events in a row from one side before the other answers with as many.
const WINDOW: u64 = 256;
/// Windows from each side, so that a million events are exchanged.
const WINDOWS: u64 = 1_000_000 / (2 * WINDOW) + 1;
const WARM_UP_WINDOWS: u64 = 20;

/// How a child ends when an event does not arrive as it was sent, or is not taken.
const WRONG_EVENT: i32 = 3;
const NOT_SENT: i32 = 4;

/// May sleep, but has always something to do before.
const MAY_SLEEP: Wait = Wait::Adaptive { spin: Duration::from_secs(600) };

#[test]
fn child_entry() {
    match roles::role().as_deref() {
        None => {}
        Some("makes-one-call") => one_call(),
        Some("turns") => turns(),
        Some("threads-spin") => threads(Wait::Spin),
        Some("threads-adaptive") => threads(MAY_SLEEP),
        Some("opener-spin") => opener(Wait::Spin),
        Some("acceptor-spin") => acceptor(Wait::Spin),
        Some("opener-adaptive") => opener(MAY_SLEEP),
        Some("acceptor-adaptive") => acceptor(MAY_SLEEP),
        Some(other) => panic!("no role {other}"),
    }
}

fn expect_pose(hub: &mut Hub, i: u64) {
    let right = match hub.recv() {
        Ok(Some(event)) => event.get::<Pose>().is_ok_and(|pose| pose.frame == i ^ 0xFFFF),
        _ => false,
    };
    if !right {
        end(WRONG_EVENT);
    }
}

/// Sends a window of events and receives as many, so often.
fn exchange(hub: &mut Hub, link: &mut Link, windows: u64) {
    for window in 0..windows {
        for i in 0..WINDOW {
            while let Err(error) = link.try_send(&pose(window ^ i)) {
                if error != SendError::Full {
                    end(NOT_SENT);
                }
                std::hint::spin_loop();
            }
        }
        for i in 0..WINDOW {
            expect_pose(hub, window ^ i);
        }
    }
}

/// Two threads of one process.
fn threads(wait: Wait) {
    static DONE: AtomicU32 = AtomicU32::new(0);
    fn side(mut hub: Hub, mut link: Link) -> ! {
        exchange(&mut hub, &mut link, WARM_UP_WINDOWS);
        forbid_system_calls();
        exchange(&mut hub, &mut link, WINDOWS);
        DONE.fetch_add(1, Ordering::AcqRel);
        while DONE.load(Ordering::Acquire) < 2 {
            std::hint::spin_loop();
        }
        end(0)
    }
    let domain = Domain::new();
    let [mut a, mut b] = ["a", "b"].map(|name| domain.hub(name));
    a.set_wait(wait);
    b.set_wait(wait);
    let to_b = a.link_to("b").unwrap();
    let to_a = b.accept_timeout(roles::LONG).unwrap().expect("the link that a opened");
    std::thread::spawn(move || side(b, to_a));
    side(a, to_b);
}

fn opener(wait: Wait) {
    let mut hub = roles::join("opener");
    hub.set_wait(wait);
    hub.wait_for("acceptor", roles::LONG).unwrap();
    let link = hub.link_to("acceptor").unwrap();
    between_processes(hub, link);
}

fn acceptor(wait: Wait) {
    let mut hub = roles::join("acceptor");
    hub.set_wait(wait);
    let link = hub.accept_timeout(roles::LONG).unwrap().expect("the link that opener opened");
    between_processes(hub, link);
}

fn between_processes(mut hub: Hub, mut link: Link) {
    exchange(&mut hub, &mut link, WARM_UP_WINDOWS);
    forbid_system_calls();
    exchange(&mut hub, &mut link, WINDOWS);
    end(0);
}

/// One thread in turn as sender and as receiver, waiting as hubs do by default: every event is
/// there when it is asked for. All ways to send, both ways to receive.
fn turns() {
    let domain = Domain::new();
    let mut a = domain.hub("a");
    let builder = Hub::builder("b").domain(domain.domain()).payloads(Payloads::Copied);
    let mut b = builder.connect().unwrap();
    let mut to_b = a.link_to("b").unwrap();
    let mut to_a = b.accept_timeout(roles::LONG).unwrap().expect("the link that a opened");
    let note = Note { lines: (0..50).map(|i| format!("line {i}")).collect() };
    let turn = |i: u64, a: &mut Hub, b: &mut Hub, to_a: &mut Link, to_b: &mut Link| {
        let sent = send_all_ways(to_b, i, &note).and_then(|()| send_all_ways(to_a, i, &note));
        if sent.is_err() {
            end(NOT_SENT);
        }
        for hub in [a, b] {
            receive_all(hub, i);
        }
    };
    for i in 0..1_000 {
        turn(i, &mut a, &mut b, &mut to_a, &mut to_b);
    }
    forbid_system_calls();
    for i in 0..100_000 {
        turn(i, &mut a, &mut b, &mut to_a, &mut to_b);
    }
    end(0);
}

/// Five events.
fn send_all_ways(link: &mut Link, i: u64, note: &Note) -> Result<(), SendError> {
    link.send(&pose(i))?;
    link.send_bytes(&i.to_le_bytes())?;
    let mut loan = link.loan(100)?;
    loan[..8].copy_from_slice(&i.to_le_bytes());
    loan.send_len(8);
    let mut batch = link.batch();
    batch.send(&pose(i))?;
    batch.send(note)?;
    batch.commit();
    Ok(())
}

fn receive_all(hub: &mut Hub, i: u64) {
    expect_pose(hub, i);
    for _ in 0..2 {
        let right = match hub.recv() {
            Ok(Some(event)) => event.bytes() == i.to_le_bytes() && event.timestamp().is_some(),
            _ => false,
        };
        if !right {
            end(WRONG_EVENT);
        }
    }
    expect_pose(hub, i);
    let right = match hub.recv_timeout(Duration::from_secs(1)) {
        Ok(Some(event)) => event.get::<Note>().is_ok_and(|note| note.lines[49] == "line 49"),
        _ => false,
    };
    if !right || !matches!(hub.try_recv(), Ok(None)) {
        end(WRONG_EVENT);
    }
}

/// Pairs that spin have the machine to themselves: four threads on two cores take far longer.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[test]
fn one_system_call_would_be_deadly() {
    let status = Child::start_alone("makes-one-call").wait();
    assert_eq!(status.signal(), Some(Signal::SIGSYS as i32), "{status}");
}

#[test]
fn in_turns_waiting_as_by_default() {
    Child::start_alone("turns").succeed();
}

#[test]
fn two_threads_that_spin() {
    let _one = ONE_AT_A_TIME.lock();
    Child::start_alone("threads-spin").succeed();
}

#[test]
fn two_threads_that_may_sleep() {
    let _one = ONE_AT_A_TIME.lock();
    Child::start_alone("threads-adaptive").succeed();
}

fn two_processes(opener: &str, acceptor: &str) {
    let _one = ONE_AT_A_TIME.lock();
    let domain = Domain::new();
    let acceptor = Child::start(acceptor, &domain.domain(), "acceptor");
    let opener = Child::start(opener, &domain.domain(), "opener");
    opener.succeed();
    acceptor.succeed();
}

#[test]
fn two_processes_that_spin() {
    two_processes("opener-spin", "acceptor-spin");
}

#[test]
fn two_processes_that_may_sleep() {
    two_processes("opener-adaptive", "acceptor-adaptive");
}
