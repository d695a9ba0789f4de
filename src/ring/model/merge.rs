//! Two rings of one writer, merged by number: the rule by which a subscription reads a hub that
//! changes between its broadcast ring and a link (`hub::bus::source`, which needs files and
//! processes and so is not compiled here).
//!
//! The writer numbers its events across both rings. The reader looks at the lane, then at the
//! broadcast, then at the lane again if only the broadcast had something; the lowest number is
//! next. Whatever is older than what it saw in the broadcast was committed before it, and so is
//! visible to the second look.

use super::*;

/// So long that the writer waits for nobody: eight lines each.
const LONG: usize = 2 * CAPACITY;

/// Looks beside the writer; what is left is read when it has ended.
const LOOKS: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Lane,
    Broadcast,
}

/// How a reader goes about it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    AsItIs,
    WithoutTheSecondLook,
    /// The lane always goes first.
    WithoutTheNumbers,
}

struct Writers {
    lane: Writer<HeapMemory>,
    broadcast: Writer<HeapMemory>,
}

impl Writers {
    /// Sends events with the numbers from 1 on, each by the way that is said.
    fn send_all(mut self, ways: &[Way]) -> Self {
        for (number, way) in (1..).zip(ways) {
            let writer = match way {
                Way::Lane => &mut self.lane,
                Way::Broadcast => &mut self.broadcast,
            };
            send(writer, number).unwrap();
        }
        self
    }
}

struct Source {
    lane: Reader<HeapMemory>,
    broadcast: Follower<HeapMemory>,
    rule: Rule,
    /// The number of the last event.
    last: u64,
}

impl Source {
    fn look_at_lane(&self) -> Option<u64> {
        let commit = self.lane.peek().unwrap()?;
        let mut body = [0; 16];
        self.lane.copy_body(&mut body[..commit.len]);
        Some(value(&body))
    }

    fn look_at_broadcast(&mut self) -> Option<u64> {
        let commit = self.broadcast.peek().unwrap()?;
        let mut body = [0; 16];
        self.broadcast.copy_body(commit, &mut body).unwrap();
        Some(value(&body))
    }

    /// Takes the next event, if there is one; whether there was.
    fn take(&mut self) -> bool {
        let mut lane = self.look_at_lane();
        let broadcast = self.look_at_broadcast();
        if lane.is_none() && broadcast.is_some() && self.rule != Rule::WithoutTheSecondLook {
            lane = self.look_at_lane();
        }
        let lane_first = match (lane, broadcast) {
            (Some(_), Some(_)) if self.rule == Rule::WithoutTheNumbers => true,
            (Some(lane), Some(broadcast)) => lane < broadcast,
            (lane, _) => lane.is_some(),
        };
        let Some(number) = (if lane_first { lane } else { broadcast }) else { return false };
        assert_eq!(number, self.last + 1, "{number} after {}", self.last);
        self.last = number;
        if lane_first {
            self.lane.release(16);
        } else {
            let commit = self.broadcast.peek().unwrap().unwrap();
            self.broadcast.advance(commit);
        }
        true
    }
}

fn both(rule: Rule) -> (Writers, Source) {
    let (lane, broadcast) = (HeapMemory::new(LONG), HeapMemory::new(LONG));
    let readings = [lane.share(), broadcast.share()];
    let mut writers =
        Writers { lane: Writer::format(lane, 0), broadcast: Writer::format(broadcast, 0) };
    let cursors = [Position::on_heap(), Position::on_heap()];
    let starts = [
        writers.lane.add_reader(1, cursors[0].clone()).unwrap(),
        writers.broadcast.add_reader(2, cursors[1].clone()).unwrap(),
    ];
    let ([lane, broadcast], [of_lane, of_broadcast]) = (readings, cursors);
    let lane = Reader::attach(lane, of_lane, starts[0], Fencing::Light);
    let broadcast = Follower::gating(broadcast, of_broadcast, starts[1], Fencing::Light);
    (writers, Source { lane, broadcast, rule, last: 0 })
}

/// Every event by the way that `ways` says: all are seen, once and in order.
fn merge(rule: Rule, preemptions: Option<usize>, ways: Vec<Way>) {
    check(preemptions, move || {
        let (writers, mut source) = both(rule);
        let sent = ways.clone();
        let thread = thread::spawn(move || writers.send_all(&sent));
        for _ in 0..LOOKS {
            if !source.take() {
                thread::yield_now();
            }
        }
        drop(thread.join().unwrap());
        while source.take() {}
        assert_eq!(source.last, ways.len() as u64, "not all were seen");
    });
}

/// All ways that so many events can go.
fn all_ways(events: usize) -> impl Iterator<Item = Vec<Way>> {
    (0..1_u32 << events).map(move |bits| {
        let way = |at| if bits >> at & 1 == 0 { Way::Lane } else { Way::Broadcast };
        (0..events).map(way).collect()
    })
}

/// Two events, in every interleaving.
#[test]
fn model_merge_of_two() {
    all_ways(2).for_each(|ways| merge(Rule::AsItIs, None, ways));
}

/// Three and four, with more changes between the threads than such a fault needs.
#[test]
fn model_merge_of_three() {
    all_ways(3).for_each(|ways| merge(Rule::AsItIs, Some(4), ways));
}

#[test]
fn model_merge_of_four() {
    all_ways(4).for_each(|ways| merge(Rule::AsItIs, Some(3), ways));
}

/// The canary: an older event is committed between the look at the lane and the one at the
/// broadcast, and overtaken.
#[test]
#[should_panic(expected = "2 after 0")]
fn broken_merge_without_the_second_look() {
    merge(Rule::WithoutTheSecondLook, None, vec![Way::Lane, Way::Broadcast]);
}

/// The canary: a change from the broadcast to the lane.
#[test]
#[should_panic(expected = "2 after 0")]
fn broken_merge_without_the_numbers() {
    merge(Rule::WithoutTheNumbers, None, vec![Way::Broadcast, Way::Lane]);
}
