//! Reading a capture, chunk by chunk: by its index, or from front to back if it has none.
//!
//! Nothing in the file is believed: lengths are checked against the file, contents against their
//! checksums.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use mcap::records::{Channel, ChunkIndex, Record, op};
use mcap::sans_io::linear_reader::{LinearReadEvent, LinearReader, LinearReaderOptions};
use mcap::{MAGIC, McapError, parse_record};

/// Opcode and length before each record.
const RECORD_HEAD: u64 = 9;

/// The record that ends the data, the one that ends the file, and the magic behind it.
const DATA_END_BYTES: u64 = RECORD_HEAD + 4;
const FOOTER_BYTES: u64 = RECORD_HEAD + 20;

/// What one read asks for at most.
const READ_BYTES: usize = 1 << 20;

/// A file to be read.
pub(super) struct CaptureFile {
    file: File,
    path: PathBuf,
    pub(super) len: u64,
    pub(super) index: Result<Index, NoIndex>,
}

/// What stands at the end of a whole file.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) chunks: Vec<ChunkIndex>,
    pub(super) channels: HashMap<u16, Channel>,
}

/// Why there is no index.
#[derive(Debug)]
pub(super) enum NoIndex {
    /// The file was not written to its end.
    Torn,
    /// It is not as it was written.
    Damaged(McapError),
}

/// A piece of the file.
#[derive(Debug)]
pub(super) enum Piece {
    /// All records of a chunk, whose checksum is right.
    Chunk(Vec<Record<'static>>),
    /// It can not be read.
    Damaged(Damage),
    /// The file ends in the middle of it.
    Torn(Damage),
}

/// So many bytes that cannot be used.
#[derive(Debug)]
pub(super) struct Damage {
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) why: String,
}

impl CaptureFile {
    /// Opens a file.
    ///
    /// # Errors
    /// Also if it is not MCAP at all.
    pub(super) fn open(path: &Path) -> Result<CaptureFile> {
        let unread = || format!("cannot read {}", path.display());
        let file = File::open(path).with_context(unread)?;
        let len = file.metadata().with_context(unread)?.len();
        let mut magic = [0; MAGIC.len()];
        match file.read_exact_at(&mut magic, 0) {
            Ok(()) if magic == MAGIC => {}
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => {
                return Err(error).with_context(unread);
            }
            _ => bail!("{} is no capture: it does not begin as MCAP files do", path.display()),
        }
        let index = read_index(&file, len);
        Ok(CaptureFile { file, path: path.to_owned(), len, index })
    }

    /// All chunks that `wanted` wants, in order. Without an index these are all.
    pub(super) fn chunks<'a>(
        &'a self,
        wanted: impl Fn(&ChunkIndex) -> bool + 'a,
    ) -> Box<dyn Iterator<Item = io::Result<Piece>> + 'a> {
        match &self.index {
            Ok(index) => {
                let wanted = index.chunks.iter().filter(move |chunk| wanted(chunk));
                Box::new(
                    wanted.map(|chunk| self.chunk(chunk.chunk_start_offset, chunk.chunk_length)),
                )
            }
            Err(_) => Box::new(FrontToBack { capture: self, at: Some(MAGIC.len() as u64) }),
        }
    }

    /// Checks all checksums of the file.
    ///
    /// # Errors
    /// Only if it cannot be read; what is wrong with it is returned.
    pub(super) fn verify(&self) -> Result<Option<McapError>> {
        let options = LinearReaderOptions::default()
            .with_emit_chunks(true)
            .with_validate_data_section_crc(true)
            .with_validate_summary_section_crc(true)
            .with_check_finishes_after_end_magic(true);
        let mut all = Bytes { file: &self.file, at: 0 };
        let read = read_records(&mut all, options, self.len, |_, _| Ok(()));
        read.map(|checked| checked.err()).with_context(|| self.unread())
    }

    pub(super) fn unread(&self) -> String {
        format!("cannot read {}", self.path.display())
    }

    /// The chunk that is said to be there.
    fn chunk(&self, offset: u64, bytes: u64) -> io::Result<Piece> {
        let damage = |why: String| Piece::Damaged(Damage { offset, bytes, why });
        let fits =
            bytes > RECORD_HEAD && offset.checked_add(bytes).is_some_and(|end| end <= self.len);
        let (true, Ok(len)) = (fits, usize::try_from(bytes)) else {
            return Ok(damage("it lies outside of the file".into()));
        };
        let mut record = vec![0; len];
        self.file.read_exact_at(&mut record, offset)?;
        let body = &record[RECORD_HEAD as usize..];
        Ok(records_of(record[0], body).map_or_else(damage, Piece::Chunk))
    }
}

/// The channels and messages of a chunk, or why they cannot be read.
fn records_of(opcode: u8, body: &[u8]) -> Result<Vec<Record<'static>>, String> {
    if opcode != op::CHUNK {
        return Err("it is no chunk".into());
    }
    let chunk = parse_record(opcode, body).map_err(|error| error.to_string())?;
    let Record::Chunk { header, data } = chunk else { return Err("it is no chunk".into()) };
    if !header.compression.is_empty() {
        return Err(format!("it is compressed ({:?}), and no capture is", header.compression));
    }
    let (saved, calculated) = (header.uncompressed_crc, crc32fast::hash(&data));
    if saved != calculated {
        return Err(McapError::BadChunkCrc { saved, calculated }.to_string());
    }
    let mut records = Vec::new();
    let mut rest = &data[..];
    while let Some((head, after)) = rest.split_first_chunk::<{ RECORD_HEAD as usize }>() {
        let [opcode, len @ ..] = *head;
        let len = usize::try_from(u64::from_le_bytes(len)).unwrap_or(usize::MAX);
        let ends = || McapError::UnexpectedEoc.to_string();
        let (body, after) = after.split_at_checked(len).ok_or_else(ends)?;
        if matches!(opcode, op::CHANNEL | op::MESSAGE) {
            let record = parse_record(opcode, body).map_err(|error| error.to_string())?;
            records.push(record.into_owned());
        }
        rest = after;
    }
    if rest.is_empty() { Ok(records) } else { Err(McapError::UnexpectedEoc.to_string()) }
}

/// What is read when there is no index.
struct FrontToBack<'a> {
    capture: &'a CaptureFile,
    /// The next record; `None` at the end.
    at: Option<u64>,
}

impl FrontToBack<'_> {
    fn look(&mut self) -> io::Result<Option<Piece>> {
        let CaptureFile { file, len, .. } = self.capture;
        while let Some(offset) = self.at.take() {
            let left = len - offset;
            let torn = |why: &str| Piece::Torn(Damage { offset, bytes: left, why: why.into() });
            if left < RECORD_HEAD {
                return Ok((left > 0).then(|| torn("a record begins there")));
            }
            let mut head = [0; RECORD_HEAD as usize];
            file.read_exact_at(&mut head, offset)?;
            let [opcode, bytes @ ..] = head;
            let body = u64::from_le_bytes(bytes);
            if body > left - RECORD_HEAD {
                return Ok(Some(torn("a record is longer than what is left")));
            }
            let bytes = RECORD_HEAD + body;
            match opcode {
                op::CHUNK => {
                    self.at = Some(offset + bytes);
                    return self.capture.chunk(offset, bytes).map(Some);
                }
                op::DATA_END => return Ok(None),
                op::HEADER | op::METADATA | op::MESSAGE_INDEX => self.at = Some(offset + bytes),
                _ => {
                    let why = "no such record can be there".into();
                    return Ok(Some(Piece::Damaged(Damage { offset, bytes: left, why })));
                }
            }
        }
        Ok(None)
    }
}

impl Iterator for FrontToBack<'_> {
    type Item = io::Result<Piece>;

    fn next(&mut self) -> Option<io::Result<Piece>> {
        self.look().transpose()
    }
}

/// The file from some place on.
struct Bytes<'a> {
    file: &'a File,
    at: u64,
}

impl io::Read for Bytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Hands all records of `bytes` over. The outer error is of reading, the inner of what was read.
fn read_records(
    bytes: &mut impl io::Read,
    options: LinearReaderOptions,
    longest: u64,
    mut each: impl FnMut(u8, &[u8]) -> Result<(), McapError>,
) -> io::Result<Result<(), McapError>> {
    let longest = usize::try_from(longest).unwrap_or(usize::MAX);
    let mut reader = LinearReader::new_with_options(options.with_record_length_limit(longest));
    while let Some(event) = reader.next_event() {
        let handed = match event {
            Ok(LinearReadEvent::ReadRequest(needed)) => {
                // Not all at once: who knows whether it is there.
                let read = bytes.read(reader.insert(needed.min(READ_BYTES)))?;
                reader.notify_read(read);
                continue;
            }
            Ok(LinearReadEvent::Record { data, opcode }) => each(opcode, data),
            Err(error) => Err(error),
        };
        if let Err(error) = handed {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

/// The end of the file, after its checksum was checked.
fn read_index(file: &File, len: u64) -> Result<Index, NoIndex> {
    let end = FOOTER_BYTES + MAGIC.len() as u64;
    let mut footer = [0; FOOTER_BYTES as usize + MAGIC.len()];
    let Some(footer_at) = len.checked_sub(end) else { return Err(NoIndex::Torn) };
    let damaged = |error: io::Error| NoIndex::Damaged(error.into());
    file.read_exact_at(&mut footer, footer_at).map_err(damaged)?;
    let (head, body) = footer.split_at(RECORD_HEAD as usize);
    let body = &body[..20];
    if !footer.ends_with(MAGIC) {
        let is_footer = head == [op::FOOTER, 20, 0, 0, 0, 0, 0, 0, 0];
        return Err(if is_footer { NoIndex::Damaged(McapError::BadMagic) } else { NoIndex::Torn });
    }
    let start = match parse_record(head[0], body) {
        Ok(Record::Footer(footer)) => footer.summary_start,
        _ => return Err(NoIndex::Damaged(McapError::BadFooter)),
    };
    let at = start.checked_sub(DATA_END_BYTES).filter(|_| start < footer_at);
    let at = at.ok_or(NoIndex::Damaged(McapError::BadIndex))?;
    let mut first = None;
    read_end(file, at, len, |opcode, _| {
        let is_end = *first.get_or_insert(opcode) == op::DATA_END;
        if is_end { Ok(()) } else { Err(McapError::BadIndex) }
    })?;
    // Once more, now that the checksum is known to be right.
    let mut index = Index::default();
    read_end(file, at, len, |opcode, data| {
        if !matches!(opcode, op::CHANNEL | op::CHUNK_INDEX) {
            return Ok(());
        }
        match parse_record(opcode, data)? {
            Record::Channel(channel) => drop(index.channels.insert(channel.id, channel)),
            Record::ChunkIndex(chunk) => index.chunks.push(chunk),
            _ => {}
        }
        Ok(())
    })?;
    index.chunks.sort_by_key(|chunk| chunk.chunk_start_offset);
    Ok(index)
}

/// Hands the records over that stand at the end, from the one that ends the data on.
fn read_end(
    file: &File,
    at: u64,
    len: u64,
    each: impl FnMut(u8, &[u8]) -> Result<(), McapError>,
) -> Result<(), NoIndex> {
    let options = LinearReaderOptions::default()
        .with_skip_start_magic(true)
        .with_validate_summary_section_crc(true)
        .with_check_finishes_after_end_magic(true);
    let read = read_records(&mut Bytes { file, at }, options, len, each);
    read.map_err(|error| NoIndex::Damaged(error.into()))?.map_err(NoIndex::Damaged)
}
