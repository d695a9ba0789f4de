//! What the demo comes to: the books of both ends of every link, compared.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::counted::Percentiles;
use super::report::{Data, Decisions, Final};
use super::{ACTUATOR, LOGGER, PLANNER, SENSOR};
use crate::ui::{Stream, Table, Ui, format};

/// The books of the processes.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) sensor: Option<Final>,
    pub(crate) planner: Option<Final>,
    pub(crate) actuator: Option<Final>,
    pub(crate) logger: Option<Final>,
}

/// The result, as `--json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    bench: &'static str,
    duration_s: f64,
    interrupted: bool,
    links: Vec<LinkSummary>,
    broadcast: Vec<BroadcastSummary>,
    /// With `--kill`: who was, in this order.
    #[serde(skip_serializing_if = "Option::is_none")]
    killed: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decisions: Option<Decisions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data>,
    pub(crate) ok: bool,
}

#[derive(Debug, Serialize)]
struct LinkSummary {
    from: &'static str,
    to: &'static str,
    /// Received.
    events: u64,
    sent: u64,
    lost: u64,
    repeated: u64,
    one_way_ns: Percentiles,
}

impl LinkSummary {
    fn new(books: &Books, from: &'static str, to: &'static str) -> LinkSummary {
        let sender = books.of(from).and_then(|own| own.sent.iter().find(|sent| sent.to == to));
        let receiver = books.of(to).and_then(|own| own.received.iter().find(|r| r.from == from));
        let sent = sender.map_or(0, |books| books.events);
        // Over a link, what comes late is as bad as what comes twice.
        let (events, repeated) =
            receiver.map_or((0, 0), |r| (r.events, r.repeated + r.out_of_order));
        // Gaps that the receiver has seen, or what is missing at the end.
        let missing = sent.saturating_sub(events - repeated.min(events));
        let lost = receiver.map_or(sent, |r| r.lost).max(missing);
        let one_way_ns = receiver.map_or(Percentiles::default(), |r| r.one_way_ns);
        LinkSummary { from, to, events, sent, lost, repeated, one_way_ns }
    }

    fn agrees(&self) -> bool {
        self.lost == 0 && self.repeated == 0 && self.events == self.sent && self.events > 0
    }
}

/// What the logger has seen of one publisher.
#[derive(Debug, Serialize)]
struct BroadcastSummary {
    from: &'static str,
    to: &'static str,
    /// Received.
    events: u64,
    sent: u64,
    lost: u64,
    repeated: u64,
    out_of_order: u64,
    one_way_ns: Percentiles,
}

impl BroadcastSummary {
    fn new(books: &Books, from: &'static str) -> BroadcastSummary {
        let sender = books.of(from).and_then(|own| own.sent.first());
        let receiver =
            books.of(LOGGER).and_then(|own| own.received.iter().find(|r| r.from == from));
        let sent = sender.map_or(0, |books| books.published);
        let mut summary = BroadcastSummary {
            from,
            to: LOGGER,
            events: 0,
            sent,
            lost: sent,
            repeated: 0,
            out_of_order: 0,
            one_way_ns: Percentiles::default(),
        };
        if let Some(seen) = receiver {
            let missing = sent.saturating_sub(seen.events - seen.repeated);
            summary.events = seen.events;
            summary.lost = seen.lost.max(missing);
            (summary.repeated, summary.out_of_order) = (seen.repeated, seen.out_of_order);
            summary.one_way_ns = seen.one_way_ns;
        }
        summary
    }

    fn agrees(&self) -> bool {
        let faults = self.lost + self.repeated + self.out_of_order;
        faults == 0 && self.events == self.sent && self.events > 0
    }
}

impl Books {
    fn of(&self, role: &str) -> Option<&Final> {
        match role {
            SENSOR => self.sensor.as_ref(),
            PLANNER => self.planner.as_ref(),
            LOGGER => self.logger.as_ref(),
            _ => self.actuator.as_ref(),
        }
    }

    fn data(&self, role: &str) -> Option<Data> {
        self.of(role).and_then(|books| books.data)
    }
}

impl Summary {
    /// Compares the books.
    pub(crate) fn new(
        books: &Books,
        elapsed: Duration,
        interrupted: bool,
        killed: Option<Vec<&'static str>>,
    ) -> Summary {
        let links = [(SENSOR, PLANNER), (PLANNER, ACTUATOR), (ACTUATOR, PLANNER)]
            .map(|(from, to)| LinkSummary::new(books, from, to));
        let broadcast = [SENSOR, PLANNER, ACTUATOR].map(|from| BroadcastSummary::new(books, from));
        let data = books.data(SENSOR);
        let same_data = data == books.data(PLANNER) && data == books.data(ACTUATOR);
        let agree =
            links.iter().all(LinkSummary::agrees) && broadcast.iter().all(BroadcastSummary::agrees);
        let ok = same_data && agree;
        Summary {
            bench: "demo",
            duration_s: elapsed.as_secs_f64(),
            interrupted,
            links: links.into(),
            broadcast: broadcast.into(),
            killed,
            decisions: books.planner.as_ref().and_then(|planner| planner.decisions),
            data,
            ok,
        }
    }

    /// For people.
    pub(crate) fn print(&self, ui: &Ui, stream: Stream) -> Result<()> {
        let head = ["from", "to", "events", "lost", "repeated", "p50", "p99", "p99.9", "max"];
        let mut table = Table::new(head, 2);
        let mut add = |ends: [&str; 2], counts: [u64; 3], times: Percentiles| {
            let times = [times.p50, times.p99, times.p999, times.max].map(format::nanoseconds);
            let ends = ends.map(str::to_owned);
            table.row(ends.into_iter().chain(counts.map(format::count)).chain(times));
        };
        for link in &self.links {
            let counts = [link.events, link.lost, link.repeated];
            add([link.from, link.to], counts, link.one_way_ns);
        }
        for row in &self.broadcast {
            let counts = [row.events, row.lost, row.repeated + row.out_of_order];
            add([row.from, row.to], counts, row.one_way_ns);
        }
        ui.table(stream, table)?;
        let received: u64 = self.links.iter().map(|link| link.events).sum();
        let seconds = self.duration_s.max(1e-9);
        let took = format::duration(Duration::from_secs_f64(seconds));
        let rate = format::rate(received as f64 / seconds);
        ui.line(
            stream,
            format_args!("{} events over links in {took}, {rate}", format::count(received)),
        )?;
        if let Some(Decisions { throttle, hold, boost }) = self.decisions {
            let [throttle, hold, boost] = [throttle, hold, boost].map(format::count);
            let text = format_args!("decisions: {throttle} throttle, {hold} hold, {boost} boost");
            ui.line(stream, text)?;
        }
        if let Some(Data { lines, bytes }) = self.data {
            let (lines, bytes) = (format::count(lines), format::bytes(bytes));
            ui.line(stream, format_args!("data: {lines} lines, {bytes}, the same at both ends"))?;
        }
        if let Some(killed) = &self.killed {
            let times = killed.len();
            ui.line(stream, format_args!("killed meanwhile: {times} processes"))?;
        }
        let verdict = if self.ok { "ok: nothing lost, repeated or out of order" } else { "NOT OK" };
        ui.line(stream, ui.verdict(stream, self.ok, verdict))
    }
}
