//! Every bound, with its reason.
//!
//! A bound that another process could exceed is checked where its value comes in, and the error
//! names both numbers. The relations between bounds are asserted at compile time below.

/// Bytes in a cache line, the unit in which records are placed: a small event fills exactly one
/// line, and two records never share one.
pub const LINE: usize = 64;

/// Smallest ring: one page, because the data region is mapped twice in a row by page.
pub const RING_CAPACITY_MIN: usize = 4 << 10;

/// Largest ring. The length of a record has 29 bits in the commit word, and the largest record
/// is half a ring.
pub const RING_CAPACITY_MAX: usize = 1 << 30;

/// Ring size each way of a link that does not ask for another: 1,023 small events, and small
/// enough that an idle link keeps 136 KiB resident, both sides together.
pub const RING_CAPACITY_DEFAULT: usize = 64 << 10;

/// Largest ring that a hub lets others make it make or map, unless it says otherwise: room for
/// frames of 64 MiB, two at a time.
pub const ACCEPTED_RING_DEFAULT: usize = 256 << 20;

/// Gating readers of one ring. The writer looks at all of them when it runs out of room.
pub const GATING_READERS_MAX: usize = 1024;

/// Slots in a hub's cursor segment: its doorbell flag and one position for each ring it reads.
/// Four mapped pages hold what 250 links need; untouched pages cost nothing.
pub const CURSOR_SLOTS: usize = 4096;

/// Open links of one hub. Half of the cursor slots, so that broadcast readers fit beside them.
pub const LINKS_PER_HUB_MAX: usize = 2048;

/// Bytes of a hub's name: fits a log line and a table column.
pub const NAME_MAX: usize = 64;

/// Hubs in one domain. Each costs the supervisor a descriptor and about a kilobyte.
pub const HUBS_MAX: usize = 4096;

/// Connections of one uid that have not said who they are. A process that opens sockets and
/// stays silent must not use up the supervisor's descriptors.
pub const PENDING_CONNECTIONS_PER_UID_MAX: usize = 64;

/// Connections of one uid altogether.
pub const CONNECTIONS_PER_UID_MAX: usize = 4096;

/// Link requests and waits for names of one hub that have no answer yet.
pub const PENDING_REQUESTS_PER_HUB_MAX: usize = 256;

/// Offers of links that one hub has not answered yet. Each waits with four descriptors in the
/// supervisor or the kernel, so a hub that does not read must not collect many.
pub const UNANSWERED_OFFERS_MAX: usize = 32;

/// Links that the supervisor keeps account of, over all hubs: 128 hubs, all linked to all, are
/// 8,128.
pub const LINKS_MAX: usize = 65_536;

/// Milliseconds that a new connection may take to introduce itself.
pub const HELLO_DEADLINE_MS: u64 = 2_000;

/// Milliseconds that the other side of a link may take to answer, at most.
pub const LINK_DEADLINE_MS: u64 = 10_000;

/// Ring size of a hub's broadcasts that does not ask for another.
pub const BROADCAST_CAPACITY_DEFAULT: usize = 256 << 10;

/// Ring size of what is published over a link: as of the link's own rings.
pub const LANE_CAPACITY: usize = 64 << 10;

/// Hubs that an event is sent to over links, if it is for no more; for more it is broadcast once.
/// Each costs a copy of the event, a broadcast costs one and a copy on each side.
pub const FEW_DEFAULT: usize = 4;

/// Milliseconds that a subscription may hold a publisher up before it is overtaken.
pub const PATIENCE_DEFAULT_MS: u64 = 1_000;

/// Subjects of one domain. Each costs the supervisor its name and its place in two maps.
pub const SUBJECTS_MAX: usize = 65_536;

/// Subjects on which one hub publishes.
pub const SUBJECTS_PER_HUB_MAX: usize = 4096;

/// Subscriptions of one hub. Each has a doorbell, so two descriptors.
pub const SUBSCRIPTIONS_PER_HUB_MAX: usize = 1024;

/// Patterns of one subscription: as many as fit one control message.
pub const PATTERNS_MAX: usize = 32;

/// Subjects named in one control message.
pub const SUBJECTS_PER_PAGE: usize = 40;

/// Events about the domain that a subscription keeps which nobody looks at; the oldest go first.
pub const DOMAIN_EVENTS_MAX: usize = 1024;

/// Pairs of a subscription and a hub that it reads, over all hubs: 512 hubs that publish, each read
/// by 512 subscriptions.
pub const EDGES_MAX: usize = 262_144;

/// Questions about such pairs that one hub has not answered yet. Each waits with two descriptors
/// in the kernel, so a hub that does not read must not collect many; the others come after them.
pub const UNANSWERED_ASKS_MAX: usize = 16;

/// Milliseconds that hubs have to come back after the supervisor was restarted.
pub const RETURN_MS: u64 = 2_000;

/// Milliseconds that a publisher or a subscription waits at most for those at the other side of
/// it to take note; one that is stopped takes note when it goes on.
pub const NOTICE_MS: u64 = 500;

/// Bytes of one control message. A SEQPACKET socket passes 200 KiB at once; the largest message
/// that we send, a page of the list of hubs, stays below a tenth of that.
pub const MESSAGE_MAX: usize = 16 << 10;

/// Hubs named in one page of a list: 96 bytes each at most, so a page fits a message.
pub const HUBS_PER_PAGE: usize = 128;

/// Links named in one page of a list.
pub const LINKS_PER_PAGE: usize = 64;

/// Descriptors that one control message may carry: ring, cursors, doorbell, process.
pub const DESCRIPTORS_MAX: usize = 4;

/// Bytes of the text that explains a refusal.
pub const REASON_MAX: usize = 512;

/// Bytes of an event's extension. A reply subject and some dozens of pairs of metadata; what is
/// longer belongs into the payload.
pub const EXTENSION_MAX: usize = 4096;

/// Counters and histograms of one hub: some of its own, five for each link, two for each lane and
/// each subject that it publishes on, three for each subscription, and four for each hub that it
/// hears. Those that are not there cost nothing.
pub const COUNTERS_MAX: usize = 4096;

/// Bytes of a counter's label: a hub's name of any length fits, with what is said about it; label,
/// value and the word that keeps them together fill two lines.
pub const COUNTER_LABEL_MAX: usize = 112;

/// Buckets of a histogram of times: four for each doubling, from 16 ns to a minute.
pub const HISTOGRAM_BUCKETS: usize = 128;

/// Bytes of what a hub says of the types that it publishes: some hundreds of usual length, thirty of
/// the longest. What is not used costs nothing.
pub const DESCRIPTIONS_BYTES: usize = 64 << 10;

/// Counters of a supervisor: with what stands before them they fill one page.
pub const FLIGHT_COUNTERS_MAX: usize = 28;

/// Lines about troubles that a supervisor keeps: enough for what led to its end, in two pages.
pub const FLIGHT_LINES_MAX: usize = 32;

/// Bytes of such a line; with its number and its time it fills four lines of the cache.
pub const FLIGHT_LINE_MAX: usize = 240;

/// Bytes of a domain's directory beside counters. Longer ones are shortened: a socket's path has
/// 107 at most, but it may be relative, and here it is not.
pub const DOMAIN_TEXT_MAX: usize = 256;

/// Bytes of a subject or a pattern, dots and all: its length fits one byte, and a control message
/// has room for fifty of them.
pub const SUBJECT_MAX: usize = 255;

/// Tokens of a subject or a pattern. Whoever compares two looks at every token, and hierarchies
/// that people made up end long before.
pub const SUBJECT_TOKENS_MAX: usize = 16;

/// Bytes of the canonical text of an event type's layout.
pub const LAYOUT_TEXT_MAX: usize = 2048;

const _: () = {
    assert!(RING_CAPACITY_MIN.is_power_of_two() && RING_CAPACITY_MAX.is_power_of_two());
    assert!(RING_CAPACITY_DEFAULT.is_power_of_two());
    assert!(RING_CAPACITY_MIN >= 8 * LINE);
    assert!(RING_CAPACITY_MAX / 2 <= 1 << 29, "a record's length has 29 bits");
    assert!(LINKS_PER_HUB_MAX < CURSOR_SLOTS);
    assert!(HUBS_PER_PAGE * (NAME_MAX + 32) + 512 <= MESSAGE_MAX);
    assert!(LINKS_PER_PAGE * (2 * NAME_MAX + 48) + 512 <= MESSAGE_MAX);
    assert!(REASON_MAX + NAME_MAX + 512 <= MESSAGE_MAX);
    assert!(SUBJECTS_PER_PAGE * (SUBJECT_MAX + 32) + 512 <= MESSAGE_MAX);
    assert!(DESCRIPTIONS_BYTES / 8 <= u16::MAX as usize, "lengths in words have 16 bits");
    assert!(PATTERNS_MAX * (SUBJECT_MAX + 32) + 512 <= MESSAGE_MAX);
};
