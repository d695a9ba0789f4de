//! Camera images and tensors: written in place, read in place, in rings that are large enough.

mod common;

use common::process::{Child, LONG, Wire, enter};
use common::{Domain, pose};
use ephapse::{Error, Hub, Link, LinkOptions, SendError};

const MIB: usize = 1 << 20;

#[test]
fn child_entry() {
    enter(|_, wire| {
        let (domain, frames) = {
            let setup = wire.receive().unwrap();
            let (domain, frames) = setup.split_once(' ').unwrap();
            (ephapse::Domain::at(domain), frames.parse::<u64>().unwrap())
        };
        read_frames(&domain, frames, wire);
    });
}

/// A table of bytes, from which frames are cut: each block of a frame is a stretch of it that
/// depends on the frame and on the block, so that no two blocks in a ring are the same.
struct Pattern(Vec<u8>);

const BLOCK: usize = 64 << 10;

impl Pattern {
    fn new() -> Self {
        Self(common::random::Random::seeded(1).bytes(2 * BLOCK))
    }

    fn block(&self, frame: u64, index: usize, len: usize) -> &[u8] {
        let start = common::random::mix(frame << 32 | index as u64) as usize % BLOCK;
        &self.0[start..start + len]
    }

    fn write(&self, frame: u64, to: &mut [u8]) {
        for (index, block) in to.chunks_mut(BLOCK).enumerate() {
            block.copy_from_slice(self.block(frame, index, block.len()));
        }
    }

    /// Every byte is compared.
    fn verify(&self, frame: u64, bytes: &[u8]) {
        for (index, block) in bytes.chunks(BLOCK).enumerate() {
            let same = block == self.block(frame, index, block.len());
            assert!(same, "frame {frame} of {} bytes, block {index}", bytes.len());
        }
    }
}

fn read_frames(domain: &ephapse::Domain, frames: u64, wire: &Wire) {
    let mut hub = Hub::builder("viewer").domain(domain.clone()).connect().unwrap();
    wire.send("joined");
    let pattern = Pattern::new();
    let mut bytes = 0;
    for frame in 0..frames {
        let event = hub.recv_timeout(LONG).unwrap().expect("a frame");
        assert_eq!(event.sequence(), frame);
        // In place: inside of the mapping of the ring.
        let address = event.bytes().as_ptr() as usize;
        let inside = |s: &common::host::Segment| (s.start..s.start + s.len).contains(&address);
        if frame < 3 {
            let ring = common::host::mappings().into_iter().find(inside).expect("in place");
            assert!(ring.name == "ephapse-ring" && !ring.writable, "{ring:?}");
        }
        pattern.verify(frame, event.bytes());
        bytes += event.bytes().len();
    }
    wire.send(&bytes.to_string());
}

/// Sends frames of these sizes, in turn, until each byte of the ring has been used several times.
fn send_frames(capacity: usize, sizes: &[usize], laps: usize) {
    let domain = Domain::new();
    let mut hub = domain.hub("camera");
    let total: usize = sizes.iter().sum();
    let frames = sizes.len() * (laps * capacity).div_ceil(total);
    let child = Child::spawn("viewer");
    child.wire.send(&format!("{} {frames}", domain.domain().path().display()));
    child.wire.expect("joined");
    let options = LinkOptions::default().send_capacity(capacity).receive_capacity(4096);
    let mut link = hub.link_with("viewer", options).unwrap();
    let pattern = Pattern::new();
    let mut sent = 0;
    for frame in 0..frames {
        let size = sizes[frame % sizes.len()];
        let mut loan = link.loan_timeout(size, LONG).unwrap();
        pattern.write(frame as u64, &mut loan);
        loan.send();
        sent += size;
    }
    assert!(sent >= laps * capacity);
    child.wire.expect(&sent.to_string());
    child.finish();
}

#[test]
fn frames_of_1_mib() {
    send_frames(128 * MIB, &[MIB], 3);
}

#[test]
fn frames_of_16_mib() {
    send_frames(128 * MIB, &[16 * MIB], 3);
}

#[test]
fn frames_of_64_mib() {
    send_frames(256 * MIB, &[64 * MIB], 3);
}

#[test]
fn frames_of_all_sizes_up_to_the_largest_possible() {
    let largest = 64 * MIB - 32;
    send_frames(128 * MIB, &[largest, 1, 16 * MIB + 1, 0, largest, MIB - 1, 100], 3);
}

fn link_with(domain: &Domain, capacity: usize) -> (Hub, Hub, Link) {
    let mut a = domain.hub("a");
    let b = Hub::builder("b").domain(domain.domain()).largest_ring(1 << 30).connect().unwrap();
    let options = LinkOptions::default().send_capacity(capacity).receive_capacity(capacity);
    let link = a.link_with("b", options).unwrap();
    (a, b, link)
}

#[test]
fn the_largest_payload_fits_and_one_byte_more_does_not() {
    let domain = Domain::new();
    for capacity in [4096, 64 << 10, 128 * MIB] {
        let (_a, mut b, mut link) = link_with(&domain, capacity);
        let max = capacity / 2 - 32;
        assert_eq!((link.capacity(), link.max_payload()), (capacity, max));
        let text = format!(
            "a payload of {} bytes does not fit: this link takes at most {max} (its ring has \
             {capacity} bytes); open the link with a larger send capacity",
            max + 1
        );
        let too_large = SendError::TooLarge { len: max + 1, max, capacity };
        assert_eq!(too_large.to_string(), text);
        let bytes = vec![0xA5; max + 1];
        for _ in 0..5 {
            assert_eq!(link.send_bytes(&bytes), Err(too_large.clone()));
            assert_eq!(link.try_send_bytes(&bytes), Err(too_large.clone()));
            assert_eq!(link.loan(max + 1).map(drop), Err(too_large.clone()));
            assert_eq!(link.batch().send_bytes(&bytes), Err(too_large.clone()));
            link.send_bytes(&bytes[..max]).unwrap();
            let event = b.recv_timeout(LONG).unwrap().unwrap();
            assert!(event.bytes() == &bytes[..max]);
        }
    }
}

#[test]
fn no_length_is_too_large_to_be_refused() {
    let domain = Domain::new();
    let (_a, mut b, mut link) = link_with(&domain, 4096);
    for len in [1 << 29, 1 << 32, isize::MAX as usize, usize::MAX - 64, usize::MAX] {
        let error = link.try_loan(len).map(drop).unwrap_err();
        assert!(matches!(error, SendError::TooLarge { .. }), "{len}: {error}");
    }
    link.send(&pose(1)).unwrap();
    assert_eq!(b.recv_timeout(LONG).unwrap().unwrap().sequence(), 0);
}

#[test]
fn the_smallest_and_the_largest_ring_work() {
    let domain = Domain::new();
    for capacity in [4 << 10, 1 << 30] {
        let (_a, mut b, mut link) = link_with(&domain, capacity);
        let mut answering = b.accept_timeout(LONG).unwrap().unwrap();
        assert_eq!((link.capacity(), answering.capacity()), (capacity, capacity));
        link.send(&pose(1)).unwrap();
        assert_eq!(b.recv_timeout(LONG).unwrap().unwrap().sequence(), 0);
        answering.send(&pose(2)).unwrap();
        // The largest record of all, in place.
        let pattern = Pattern::new();
        let mut loan = link.loan(link.max_payload()).unwrap();
        pattern.write(7, &mut loan);
        loan.send();
        pattern.verify(7, b.recv_timeout(LONG).unwrap().unwrap().bytes());
    }
}

#[test]
fn impossible_capacities_are_refused() {
    let domain = Domain::new();
    let (mut a, _b) = (domain.hub("a"), domain.hub("b"));
    for capacity in [0, 3000, 2 << 10, 5 << 12, 2 << 30, usize::MAX] {
        let why = format!(
            "a capacity of {capacity} bytes is not possible: it must be a power of two from 4096 \
             to 1073741824, and a multiple of the page size"
        );
        let options = LinkOptions::default().send_capacity(capacity);
        let error = a.link_with("b", options).unwrap_err();
        assert!(matches!(error, Error::Segment { .. }), "{error:?}");
        assert_eq!(error.to_string(), format!("shared memory for the ring that we write: {why}"));
        let options = LinkOptions::default().receive_capacity(capacity);
        let error = a.link_with("b", options).unwrap_err();
        assert!(matches!(error, Error::Segment { .. }), "{error:?}");
        assert_eq!(error.to_string(), format!("shared memory for the ring that we ask for: {why}"));
    }
    a.link_to("b").expect("nothing stays behind");
}

#[test]
fn others_cannot_make_a_hub_make_or_map_more_than_it_wants() {
    let domain = Domain::new();
    let mut a = domain.hub("a");
    let _b = Hub::builder("b").domain(domain.domain()).largest_ring(1 << 20).connect().unwrap();
    for options in [
        LinkOptions::default().send_capacity(2 << 20),
        LinkOptions::default().receive_capacity(2 << 20),
    ] {
        let error = a.link_with("b", options).unwrap_err();
        assert_eq!(
            error.to_string(),
            "hub b accepts rings of at most 1048576 bytes, not 2097152; see \
             HubBuilder::largest_ring"
        );
    }
}
