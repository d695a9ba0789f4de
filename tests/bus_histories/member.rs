//! One hub of a history, in a process of its own: publishes and reads all the time, and does what
//! it is told.

use crate::account::{Account, Ledger, Numbered, PARTS, Wanted, hub_name, is_patient, subject};
use crate::board::Board;
use crate::common::random::Random;
use crate::common::roles::{self, LONG, eventually};
use ephapse::{
    Error, Flow, Hub, Link, LinkOptions, Path, Publisher, Subscription, SubscriptionOptions,
};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// That of those who do not wait for who stands still.
const PATIENCE: Duration = Duration::from_millis(10);

/// How long a link may take, and the nap of who has nothing to do.
const LINKING: Duration = Duration::from_millis(200);
const NAP: Duration = Duration::from_micros(200);

/// How long it may take until all that was published has arrived.
const ARRIVAL: Duration = Duration::from_secs(10);

struct Reader {
    subscription: Subscription,
    account: Account,
}

struct Member {
    links: BTreeMap<String, Link>,
    readers: Vec<Reader>,
    publishers: [Publisher<Numbered>; PARTS],
    ledger: Ledger,
    quiet: bool,
    over_links: u64,
    board: Board,
    random: Random,
    hub: Hub,
}

/// Asks again until there is a supervisor that answers.
fn insist<T>(what: &str, mut ask: impl FnMut() -> Result<T, Error>) -> T {
    let mut answer = None;
    eventually(what, || {
        answer = ask().ok();
        answer.is_some()
    });
    answer.unwrap()
}

/// Until it is told to leave, or killed.
pub(crate) fn play() {
    let mut member = Member::join();
    let told = listen();
    loop {
        match told.try_recv() {
            Ok(line) if line.is_empty() => break,
            Ok(line) => member.obey(&line).unwrap_or_else(|why| wrong(&why)),
            Err(_) => member.live().unwrap_or_else(|why| wrong(&why)),
        }
    }
    roles::tell("left");
}

/// What the test says, line by line; an empty one at the end.
fn listen() -> Receiver<String> {
    let (said, told) = channel();
    std::thread::spawn(move || while said.send(roles::listen()).is_ok() {});
    told
}

/// Says what is wrong, and waits to be killed.
fn wrong(why: &str) {
    roles::tell(&format!("wrong: {why}"));
    loop {
        std::thread::park();
    }
}

impl Member {
    fn join() -> Self {
        let name = roles::name();
        let [key, seed, hosting, board] =
            <[&str; 4]>::try_from(name.split(' ').collect::<Vec<_>>()).unwrap();
        let (key, mut random) = (key.parse().unwrap(), Random::seeded(seed.parse().unwrap()));
        let capacity = 4096 << random.below(4);
        let builder = || {
            Hub::builder(&hub_name(key))
                .domain(roles::domain())
                .broadcast_capacity(capacity)
                .patience(if is_patient(key) { LONG } else { PATIENCE })
                .embedded_supervisor(hosting == "hosting")
        };
        let hub = insist("it joins", || builder().connect());
        let publisher = |part| insist("it publishes", || hub.publisher(&subject(key, part)));
        let publishers = std::array::from_fn(publisher);
        let (links, readers, ledger) = (BTreeMap::new(), Vec::new(), Ledger::new(key));
        let board = Board::open(board);
        let (quiet, over_links) = (false, 0);
        Self { links, readers, publishers, ledger, quiet, over_links, board, random, hub }
    }

    fn obey(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["subscribe", place, part, flow] => {
                let wanted = Wanted { place: place.parse().ok(), part: part.parse().ok() };
                self.subscribe(wanted, flow == "gating");
            }
            ["unsubscribe"] if !self.readers.is_empty() => {
                let one = self.random.below(self.readers.len() as u64) as usize;
                self.readers.swap_remove(one);
            }
            ["unsubscribe"] => {}
            ["link", name] => {
                let options = LinkOptions::default().timeout(LINKING);
                // It may be refused, and the other may have gone.
                if let Ok(link) = self.hub.link_with(name, options) {
                    self.links.insert(name.to_owned(), link);
                }
            }
            ["unlink"] => {
                if let Some((name, link)) = self.links.pop_first() {
                    // Either way ends it.
                    let _ = self.random.one_in(2).then(|| self.hub.unlink(&name));
                    drop(link);
                }
            }
            ["wait"] => roles::tell("waited"),
            ["ask"] => {
                insist("a supervisor answers", || self.hub.hubs());
                roles::tell("answered");
            }
            ["quiet"] => {
                self.quiet = true;
                roles::tell("quiet");
            }
            ["finish"] => self.finish()?,
            _ => return Err(format!("no such thing: {line}")),
        }
        Ok(())
    }

    fn subscribe(&mut self, wanted: Wanted, gating: bool) {
        let flow = if gating { Flow::Block } else { Flow::DropOldest };
        let options = SubscriptionOptions::default().flow(flow);
        let ask = || self.hub.subscribe_with([wanted.pattern()], options);
        let subscription = insist("it subscribes", ask);
        let account = Account::since(&self.board.totals(), false, wanted, gating);
        self.readers.push(Reader { subscription, account });
    }

    /// Publishes and reads a little; rests if there was nothing to do.
    fn live(&mut self) -> Result<(), String> {
        let mut busy = false;
        if !self.quiet {
            for _ in 0..self.random.below(20) {
                busy |= self.publish()?;
            }
        }
        for Reader { subscription, account } in &mut self.readers {
            for _ in 0..50 {
                if !account.take(subscription.try_recv())? {
                    break;
                }
                busy = true;
            }
        }
        while !matches!(self.hub.try_recv(), Ok(None)) {}
        while let Ok(Some(link)) = self.hub.try_accept() {
            self.links.insert(link.peer().to_owned(), link);
        }
        if let (false, false) = (busy, self.readers.is_empty()) {
            let one = self.random.below(self.readers.len() as u64) as usize;
            let Reader { subscription, account } = &mut self.readers[one];
            account.take(subscription.recv_timeout(NAP))?;
        }
        Ok(())
    }

    /// `false` if there is no room.
    fn publish(&mut self) -> Result<bool, String> {
        let part = self.random.below(PARTS as u64) as usize;
        let len = self.random.below(120) as usize;
        let (board, ledger) = (&self.board, &mut self.ledger);
        let event = ledger.next(part, len);
        board.note(ledger.publisher, part, ledger.parts[part]);
        let result = self.publishers[part].try_send(&event);
        let path = ledger.sent(part, result)?;
        self.over_links += u64::from(path == Some(Path::Links));
        board.note(ledger.publisher, part, ledger.parts[part]);
        Ok(path.is_some())
    }

    /// Reads until all has arrived that was published.
    fn finish(&mut self) -> Result<(), String> {
        let (totals, by) = (self.board.totals(), Instant::now() + ARRIVAL);
        loop {
            let mut lack = None;
            for reader in &self.readers {
                lack = lack.or(reader.account.lacks(&totals)?);
            }
            match lack {
                None => break,
                Some(lack) if Instant::now() > by => return Err(lack),
                Some(_) => self.live()?,
            }
        }
        let sum = |what: fn(&Account) -> u64| self.readers.iter().map(|r| what(&r.account)).sum();
        let [events, missed]: [u64; 2] = [sum(|a| a.events), sum(|a| a.missed)];
        roles::tell(&format!("{events} {missed} {}", self.over_links));
        Ok(())
    }
}
