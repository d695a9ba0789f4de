//! Writing a capture: what is written is whole chunks, whatever happens.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use ephapse::Envelope;
use mcap::records::{MessageHeader, Metadata};
use mcap::write::NoSeek;
use mcap::{McapError, WriteOptions};
use serde_json::json;

use super::message::{self, Described, Origin};
use super::{ENCODING, METADATA, MISSED_TOPIC};
use crate::schema::Known;

/// Bytes of a chunk, beside its last event.
const CHUNK_BYTES: usize = 1 << 20;

/// A chunk is written when its first event is so old.
const CHUNK_AGE: Duration = Duration::from_secs(1);

/// A file that ends behind its last whole chunk when it can be written no longer.
struct Sink {
    file: File,
    written: u64,
    /// What was written when a chunk ended last.
    whole: u64,
    failed: bool,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failed {
            return Err(io::Error::other("it could not be written before"));
        }
        match self.file.write(bytes) {
            Ok(written) => {
                self.written += written as u64;
                Ok(written)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.failed = true;
                // If not, readers see that the last chunk is not whole.
                let _ = self.file.set_len(self.whole);
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.whole = self.written;
        Ok(())
    }
}

/// A capture that is being written. Its memory is one chunk, the channels, and about 100 bytes for
/// each chunk that was written.
pub(super) struct CaptureWriter {
    out: mcap::Writer<NoSeek<BufWriter<Sink>>>,
    path: PathBuf,
    known: Known,
    /// By source and schema, and then by subject.
    channels: HashMap<(u64, u64), HashMap<String, u16>>,
    missed_channel: Option<u16>,
    /// One moment on both clocks.
    start: (Instant, u64),
    /// Bytes of the open chunk, and when it was begun.
    open: usize,
    opened: Option<Instant>,
    message: Vec<u8>,
    pub(super) events: u64,
    /// Of payloads.
    pub(super) bytes: u64,
    pub(super) missed: u64,
    pub(super) chunks: u64,
}

impl CaptureWriter {
    /// Makes the file; `about` is put into it.
    pub(super) fn create(
        path: &Path,
        overwrite: bool,
        about: BTreeMap<String, String>,
        known: Known,
    ) -> Result<CaptureWriter> {
        let mut options = File::options();
        options.write(true);
        let options =
            if overwrite { options.create(true).truncate(true) } else { options.create_new(true) };
        let file = options.open(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                anyhow::anyhow!("{} is there already; see --overwrite", path.display())
            }
            _ => anyhow::Error::new(error).context(format!("cannot make {}", path.display())),
        })?;
        let sink = Sink { file, written: 0, whole: 0, failed: false };
        let options = WriteOptions::new()
            .profile("ephapse")
            .library(concat!("ephapse ", env!("CARGO_PKG_VERSION")))
            .compression(None)
            // Chunks end where we say so, and are written in one piece.
            .chunk_size(None)
            .disable_seeking(true);
        let out = options.create(NoSeek::new(BufWriter::new(sink)));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut writer = CaptureWriter {
            out: out.map_err(plain).with_context(|| unwritten(path))?,
            path: path.to_owned(),
            known,
            channels: HashMap::new(),
            missed_channel: None,
            start: (Instant::now(), u64::try_from(now.as_nanos()).unwrap_or(0)),
            open: 0,
            opened: None,
            message: Vec::new(),
            events: 0,
            bytes: 0,
            missed: 0,
            chunks: 0,
        };
        let metadata = Metadata { name: METADATA.to_owned(), metadata: about };
        let began = writer.out.write_metadata(&metadata).and_then(|()| writer.out.flush());
        began.map_err(plain).with_context(|| unwritten(path))?;
        Ok(writer)
    }

    /// Adds an event.
    pub(super) fn event(&mut self, event: &Envelope<'_>) -> Result<()> {
        let log_time = self.now_ns();
        let age = event.timestamp().map_or(0, |sent| sent.age_ns());
        let times = (log_time, log_time.saturating_sub(age));
        let channel = self.channel(event)?;
        self.message.clear();
        message::write(event, &mut self.message);
        self.put(channel, event.sequence() as u32, times)?;
        self.events += 1;
        self.bytes += event.bytes().len() as u64;
        Ok(())
    }

    /// Adds that so many events of a hub were missed.
    pub(super) fn missed(&mut self, hub: &str, missed: u64) -> Result<()> {
        let channel = match self.missed_channel {
            Some(channel) => channel,
            None => {
                let channel = self.out.add_channel(0, MISSED_TOPIC, "json", &BTreeMap::new());
                *self.missed_channel.insert(self.done(channel)?)
            }
        };
        self.missed += missed;
        self.message.clear();
        let text = json!({ "hub": hub, "missed": missed }).to_string();
        self.message.extend_from_slice(text.as_bytes());
        let now = self.now_ns();
        self.put(channel, 0, (now, now))
    }

    /// When the open chunk is to be written at the latest.
    pub(super) fn due(&self) -> Option<Instant> {
        self.opened.map(|opened| opened + CHUNK_AGE)
    }

    /// Writes the open chunk if its time has come.
    pub(super) fn tick(&mut self) -> Result<()> {
        if self.due().is_some_and(|due| Instant::now() >= due) { self.end_chunk() } else { Ok(()) }
    }

    /// Writes the rest and the index. Gives how many chunks there are, and the bytes of the file.
    pub(super) fn finish(mut self) -> Result<(u64, u64)> {
        if self.opened.is_some() {
            self.end_chunk()?;
        }
        let finished = self.out.finish().map(drop);
        self.done(finished)?;
        let (path, out) = (self.path, self.out);
        let mut out = out.into_inner().into_inner();
        out.flush().with_context(|| unwritten(&path))?;
        Ok((self.chunks, out.get_ref().written))
    }

    fn put(
        &mut self,
        channel_id: u16,
        sequence: u32,
        (log_time, publish_time): (u64, u64),
    ) -> Result<()> {
        let header = MessageHeader { channel_id, sequence, log_time, publish_time };
        let put = self.out.write_to_known_channel(&header, &self.message);
        self.done(put)?;
        self.opened.get_or_insert_with(Instant::now);
        self.open += self.message.len();
        if self.open >= CHUNK_BYTES { self.end_chunk() } else { Ok(()) }
    }

    fn end_chunk(&mut self) -> Result<()> {
        let flushed = self.out.flush();
        self.done(flushed)?;
        (self.open, self.opened) = (0, None);
        self.chunks += 1;
        Ok(())
    }

    fn channel(&mut self, event: &Envelope<'_>) -> Result<u16> {
        let key = (event.source_id(), event.schema());
        let known = self.channels.get(&key).and_then(|subjects| subjects.get(event.subject()));
        if let Some(channel) = known {
            return Ok(*channel);
        }
        let (source, schema) = (event.source().to_owned(), event.schema());
        let described = self.known.type_of(schema).map(Described::of);
        let (subject, source_id) = (event.subject().to_owned(), event.source_id());
        let origin = Origin { subject, source, source_id, schema, described };
        let channel = self.out.add_channel(0, event.subject(), ENCODING, &origin.metadata());
        let channel = self.done(channel)?;
        self.channels.entry(key).or_default().insert(origin.subject, channel);
        Ok(channel)
    }

    /// Now, since 1970.
    fn now_ns(&self) -> u64 {
        let (start, ns) = self.start;
        ns.saturating_add(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn done<T>(&self, result: Result<T, McapError>) -> Result<T> {
        result.map_err(plain).with_context(|| {
            format!("{}; what was written before can be read", unwritten(&self.path))
        })
    }
}

fn unwritten(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

/// An error of the kernel without what is wrapped around it.
fn plain(error: McapError) -> anyhow::Error {
    match error {
        McapError::Io(error) => error.into(),
        error => error.into(),
    }
}
