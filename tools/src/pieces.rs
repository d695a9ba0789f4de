//! Input cut into lines, and lines that are too long cut into pieces.
//!
//! Every byte is kept as it is: line feeds, carriage returns, zeros, bytes that are no text. The
//! pieces put together are the input.

use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What one read asks for.
const READ_BYTES: usize = 1 << 17;

/// The input, piece by piece.
pub(crate) struct Pieces<R> {
    reader: BufReader<R>,
    longest: usize,
}

impl<R: Read> Pieces<R> {
    /// Pieces of at most `longest` bytes.
    pub(crate) fn new(input: R, longest: usize) -> Pieces<R> {
        assert!(longest > 0, "a piece holds at least one byte");
        Pieces { reader: BufReader::with_capacity(READ_BYTES, input), longest }
    }

    /// Puts the next piece into `piece`, in place of what it held. Says whether it ends its line,
    /// or `None` at the end of the input.
    pub(crate) fn next(&mut self, piece: &mut Vec<u8>) -> io::Result<Option<bool>> {
        piece.clear();
        self.reader.by_ref().take(self.longest as u64).read_until(b'\n', piece)?;
        if piece.is_empty() {
            return Ok(None);
        }
        let complete = piece.ends_with(b"\n") || piece.len() < self.longest;
        // A full piece without line feed ends its line only if the input ends there too.
        Ok(Some(complete || self.reader.fill_buf()?.is_empty()))
    }
}

/// An input that seems to end when `stop` becomes readable, also in the middle of a wait.
pub(crate) struct Stoppable<R, S> {
    input: R,
    stop: S,
}

impl<R, S> Stoppable<R, S> {
    /// Reads `input` until its end or until `stop` is readable (or its other end is closed).
    pub(crate) fn new(input: R, stop: S) -> Stoppable<R, S> {
        Stoppable { input, stop }
    }
}

impl<R: Read + AsFd, S: AsFd> Read for Stoppable<R, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut ready = [
            PollFd::new(self.stop.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.input.as_fd(), PollFlags::POLLIN),
        ];
        loop {
            match poll(&mut ready, PollTimeout::NONE) {
                Ok(_) => break,
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if ready[0].any().unwrap_or(true) {
            return Ok(0);
        }
        self.input.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn cut(input: &[u8], longest: usize) -> Vec<(Vec<u8>, bool)> {
        let mut pieces = Pieces::new(input, longest);
        let mut all = Vec::new();
        let mut piece = Vec::new();
        while let Some(ends) = pieces.next(&mut piece).expect("memory can be read") {
            all.push((piece.clone(), ends));
        }
        all
    }

    #[test]
    fn lines_and_pieces() {
        let check = |input: &[u8], expect: &[(&[u8], bool)]| {
            let expect: Vec<_> = expect.iter().map(|(b, e)| (b.to_vec(), *e)).collect();
            assert_eq!(cut(input, 4), expect, "{input:?}");
        };
        check(b"", &[]);
        check(b"\n", &[(b"\n", true)]);
        check(b"ab\nc", &[(b"ab\n", true), (b"c", true)]);
        check(b"a\r\n\0\xff\n", &[(b"a\r\n", true), (b"\0\xff\n", true)]);
        check(b"abcd", &[(b"abcd", true)]);
        check(b"abc\n", &[(b"abc\n", true)]);
        check(b"abcd\n", &[(b"abcd", false), (b"\n", true)]);
        check(b"abcdefgh", &[(b"abcd", false), (b"efgh", true)]);
        check(b"abcdefghi", &[(b"abcd", false), (b"efgh", false), (b"i", true)]);
    }

    #[test]
    fn a_stop_ends_a_wait() {
        let (input, _writer) = UnixStream::pair().expect("a pair");
        let (stop, stopper) = UnixStream::pair().expect("a pair");
        drop(stopper);
        let mut pieces = Pieces::new(Stoppable::new(input, stop), 4);
        assert_eq!(pieces.next(&mut Vec::new()).expect("no fault"), None);
    }
}
