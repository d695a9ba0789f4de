//! Followers on memory that lies.

use super::*;
use crate::segment::SharedRing;
use crate::sync::AtomicU64;
use layout::HeaderWord;

/// What a hostile writer does between two looks of its victims, and what they do.
#[derive(Debug, Clone)]
enum Stroke {
    /// A commit word some lines after a victim: any, or one that is nearly right.
    Word {
        ahead: u64,
        word: u64,
    },
    /// Any word in the data.
    Data {
        at: u64,
        word: u64,
    },
    /// A header word, absolute or near a victim's position.
    Header {
        which: HeaderWord,
        near: i64,
        or: Option<u64>,
    },
    /// Claim and boundary of a writer that is so many lines ahead.
    Lap {
        lines: u64,
    },
    Poll,
    /// Peek, strike, copy, advance.
    Parts {
        prefix: usize,
        word: u64,
        claim: Option<u64>,
    },
    Skip,
    Publish,
    Join,
}

fn strokes() -> impl Strategy<Value = Vec<Stroke>> {
    use HeaderWord::*;
    let kind = prop_oneof![3 => 1..3u64, 1 => 0..8u64];
    let likely = (0..2100u64, kind, any::<u32>())
        .prop_map(|(len, kind, tag)| len | kind << 29 | u64::from(tag) << 32);
    let word = prop_oneof![6 => likely, 1 => any::<u64>(), 1 => Just(0)].boxed();
    let ahead = prop_oneof![Just(0), 0..70u64];
    let near = prop_oneof![3 => (-80..80i64).prop_map(|line| line * 64), 1 => -9000..9000i64];
    let which = prop_oneof![Just(Claim), Just(Boundary), Just(RoomWanted)];
    let or = prop::option::weighted(0.1, any::<u64>());
    let claim = prop::option::weighted(0.1, any::<u64>());
    let stroke = prop_oneof![
        6 => (ahead, word.clone()).prop_map(|(ahead, word)| Stroke::Word { ahead, word }),
        1 => (0..512u64, any::<u64>()).prop_map(|(at, word)| Stroke::Data { at, word }),
        3 => (which, near, or).prop_map(|(which, near, or)| Stroke::Header { which, near, or }),
        2 => (0..4u64).prop_map(|lines| Stroke::Lap { lines: lines.pow(3) }),
        4 => Just(Stroke::Poll),
        4 => (0..=2040usize, word, claim)
            .prop_map(|(prefix, word, claim)| Stroke::Parts { prefix, word, claim }),
        1 => Just(Stroke::Skip),
        1 => Just(Stroke::Publish),
        1 => Just(Stroke::Join),
    ];
    prop::collection::vec(stroke, 1..150)
}

/// A segment that its writer scribbles over, and two victims.
struct Hostile {
    writer: Writer<RingMemory>,
    victims: [Follower<RingMemory>; 2],
    shared: SharedRing,
    body: Vec<u8>,
}

impl Hostile {
    fn new(start: u64) -> Self {
        let options = RingOptions { capacity: 4096, start, ..Default::default() };
        let (writer, shared) = RingMemory::create(options).unwrap();
        let open = || RingMemory::open(&shared.file, 4096).unwrap();
        let gating = Follower::gating(open(), Position::on_heap(), start, Fencing::Light);
        let victims = [gating, Follower::lossy(open(), None)];
        Self { writer, victims, shared, body: Vec::new() }
    }

    fn store(&self, position: u64, word: u64) {
        self.writer.memory().word(position).store(word, Ordering::Release);
    }

    fn header(&self, which: HeaderWord, word: u64) {
        self.writer.memory().header_word(which).store(word, Ordering::Release);
    }

    fn strike(&mut self, stroke: &Stroke) {
        for index in 0..self.victims.len() {
            let before = self.victims[index].position();
            match *stroke {
                Stroke::Word { ahead, word } => self.store(before.wrapping_add(ahead * 64), word),
                Stroke::Data { at, word } => {
                    let body = self.writer.memory().record(at / 8 * 64, 56).cast::<AtomicU64>();
                    // SAFETY: a line holds seven words of a body; all access is atomic.
                    let place = unsafe { &*body.wrapping_add((at % 7) as usize) };
                    place.store(word, Ordering::Relaxed);
                }
                Stroke::Header { which, near, or } => {
                    self.header(which, or.unwrap_or(before.wrapping_add_signed(near)));
                }
                Stroke::Lap { lines } => {
                    let boundary = before + lines * 64;
                    self.header(HeaderWord::Claim, boundary + 4096);
                    self.header(HeaderWord::Boundary, boundary);
                }
                Stroke::Poll => {
                    let polled = self.victims[index].poll(&mut self.body);
                    self.judge(index, before, polled);
                }
                Stroke::Parts { prefix, word, claim } => self.parts(index, prefix, word, claim),
                Stroke::Skip => {
                    let result = self.victims[index].skip_to_end();
                    assert!(!matches!(result, Err(FollowError::Overrun { .. })));
                    assert!(self.victims[index].position() >= before);
                }
                Stroke::Publish => self.victims[index].publish(),
                Stroke::Join => {
                    let memory = RingMemory::open(&self.shared.file, 4096).unwrap();
                    self.victims[1] = Follower::lossy(memory, None);
                }
            }
        }
    }

    fn parts(&mut self, index: usize, prefix: usize, word: u64, claim: Option<u64>) {
        let before = self.victims[index].position();
        let Ok(Some(commit)) = self.victims[index].peek() else { return };
        assert!(commit.len <= max_body(4096));
        self.store(before, word);
        if let Some(claim) = claim {
            self.header(HeaderWord::Claim, claim);
        }
        let victim = &mut self.victims[index];
        self.body.clear();
        self.body.resize(commit.len, 0);
        let result = victim
            .copy_prefix(&mut self.body[..prefix.min(commit.len)])
            .and_then(|()| victim.copy_body(commit, &mut self.body));
        if result.is_ok() {
            assert!(claim.is_none_or(|claim| claim <= before + 4096), "believed after the claim");
            victim.advance(commit);
        }
        let missed_nothing = Err(FollowError::Overrun { missed_bytes: 0 });
        let result =
            if result == missed_nothing { Ok(None) } else { result.map(|()| Some(commit)) };
        self.judge(index, before, result);
    }

    /// A record that was accepted fits the ring; every error says what it did.
    fn judge(&self, index: usize, before: u64, result: Result<Option<CommitWord>, FollowError>) {
        let after = self.victims[index].position();
        assert!(after.is_multiple_of(64));
        match result {
            Ok(Some(commit)) => {
                assert!(commit.len <= max_body(4096));
                assert_eq!(self.body.len(), commit.len);
                assert_eq!(after - before, layout::stride(commit.len));
            }
            Err(FollowError::Overrun { missed_bytes }) => {
                assert!(missed_bytes > 0 && after - before == missed_bytes);
            }
            Ok(None) | Err(FollowError::Closed | FollowError::Corrupt { .. }) => {
                assert_eq!(after, before);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn memory_that_lies_leads_nowhere_else(
        start in prop_oneof![0..100u64, (1u64 << 57) - 3..1 << 57],
        strokes in strokes(),
    ) {
        let mut hostile = Hostile::new(start * 64);
        for stroke in &strokes {
            hostile.strike(stroke);
        }
    }
}

/// Memory of a writer that has announced more with every look: at each, the words in `moving` have
/// grown by half a lap.
struct Fleeing(HeapMemory, &'static [HeaderWord]);

// SAFETY: as `HeapMemory`.
unsafe impl Memory for Fleeing {
    fn capacity(&self) -> usize {
        self.0.capacity()
    }

    fn header_word(&self, word: HeaderWord) -> &AtomicU64 {
        let place = self.0.header_word(word);
        if self.1.contains(&word) {
            place.fetch_add(self.0.capacity() as u64 / 2, Ordering::Relaxed);
        }
        place
    }

    fn word(&self, position: u64) -> &AtomicU64 {
        self.0.word(position)
    }

    fn record(&self, position: u64, len: usize) -> *const u8 {
        self.0.record(position, len)
    }

    fn record_mut(&mut self, position: u64, len: usize) -> *mut u8 {
        self.0.record_mut(position, len)
    }

    fn is_writable(&self) -> bool {
        false
    }

    fn copy_out(&self, position: u64, to: &mut [u8]) {
        self.0.copy_out(position, to);
    }
}

#[test]
fn skipping_ends_beside_a_writer_that_never_does() {
    let moving: [&'static [HeaderWord]; 4] = [
        &[],
        &[HeaderWord::Boundary],
        &[HeaderWord::Claim],
        &[HeaderWord::Claim, HeaderWord::Boundary],
    ];
    for moving in moving {
        let memory = HeapMemory::new(4096);
        let word = CommitWord { len: 0, kind: Kind::Plain, tag: 0 }.pack();
        for line in 0..64 {
            // A ring that is full of records, lap after lap.
            memory.word(line * 64).store(word, Ordering::Relaxed);
        }
        let mut follower = Follower::lossy(Fleeing(memory, moving), Some(0));
        assert_eq!(follower.skip_to_end(), Ok(()));
        assert!(follower.position() < 1 << 20, "{moving:?}: {}", follower.position());
    }
}

#[test]
fn positions_from_the_header_become_possible_ones() {
    for boundary in [u64::MAX, u64::MAX - 63, 1 << 63, 4095, 1] {
        let memory = HeapMemory::new(4096);
        memory.header_word(HeaderWord::Boundary).store(boundary, Ordering::Relaxed);
        let mut follower = Follower::lossy(memory.share(), None);
        let position = follower.position();
        assert!(position.is_multiple_of(64) && position < 1 << 63);
        assert_eq!(follower.skip_to_end(), Ok(()));
        memory.header_word(HeaderWord::Claim).store(u64::MAX, Ordering::Relaxed);
        // Not a place to go on at, or not one that lies ahead.
        assert!(matches!(follower.peek(), Ok(None) | Err(FollowError::Corrupt { .. })));
        assert_eq!(follower.position(), position);
    }
}
