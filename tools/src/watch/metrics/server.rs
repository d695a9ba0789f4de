//! A small HTTP server for one reader at a time and a bad day: whoever connects gets a place among
//! few, little room for a request, and little time. One thread serves all, and waits for nobody.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Connections at a time. One more takes the place of the one that has been there longest.
const CONNECTIONS_MAX: usize = 16;

/// Bytes of a request's head.
const HEAD_MAX: usize = 8 << 10;

/// Bytes behind a request that are read and not looked at.
const IGNORED_MAX: usize = 1 << 20;

/// Headers of a request.
const HEADERS_MAX: usize = 64;

/// From connecting until all has been read.
const DEADLINE: Duration = Duration::from_secs(10);

/// Before another try when no connection can be accepted, say because descriptors have run out.
const PAUSE: Duration = Duration::from_millis(50);

/// What OpenMetrics text is called.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers GET and HEAD for the paths that `answer` knows.
pub(super) struct Server<F> {
    listener: TcpListener,
    answer: F,
    /// Those who have been there longest come first.
    open: Vec<Connection>,
}

/// Someone who has connected.
struct Connection {
    stream: TcpStream,
    until: Instant,
    state: State,
}

enum State {
    /// What has come of the request.
    Reading(Vec<u8>),
    /// The response, and how much of it has gone.
    Writing(Vec<u8>, usize),
    /// Until the other side has closed, or sent so many bytes more: to close with something unread
    /// would destroy what it has not received yet.
    Ending(usize),
}

impl<F: Fn(&str) -> Option<Result<String>>> Server<F> {
    pub(super) fn new(listener: TcpListener, answer: F) -> Result<Server<F>> {
        listener.set_nonblocking(true).context("cannot listen without waiting")?;
        Ok(Server { listener, answer, open: Vec::new() })
    }

    /// Answers until `stop` becomes readable, or its other end is closed.
    pub(super) fn run(&mut self, stop: &UnixStream) -> Result<()> {
        loop {
            let ready = self.wait(stop)?;
            if ready[0] {
                return Ok(());
            }
            let mut at = 0;
            let now = Instant::now();
            let answer = &self.answer;
            self.open.retain_mut(|connection| {
                at += 1;
                let kept = !ready[at + 1] || connection.go_on(answer);
                kept && connection.until > now
            });
            if ready[1] {
                self.accept();
            }
        }
    }

    /// Which of these can go on: `stop`, the listener, the connections.
    fn wait(&self, stop: &UnixStream) -> Result<Vec<bool>> {
        let mut wanted = vec![
            PollFd::new(stop.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.listener.as_fd(), PollFlags::POLLIN),
        ];
        for connection in &self.open {
            let flags = match connection.state {
                State::Writing(..) => PollFlags::POLLOUT,
                State::Reading(_) | State::Ending(_) => PollFlags::POLLIN,
            };
            wanted.push(PollFd::new(connection.stream.as_fd(), flags));
        }
        let timeout = self.open.iter().map(|connection| connection.until).min().map(|until| {
            let left = until.saturating_duration_since(Instant::now()).as_millis() + 1;
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut wanted, timeout.unwrap_or(PollTimeout::NONE)) {
            Ok(_) => Ok(wanted.iter().map(|one| one.any().unwrap_or(true)).collect()),
            Err(Errno::EINTR) => Ok(vec![false; wanted.len()]),
            Err(error) => Err(error).context("cannot wait for connections"),
        }
    }

    fn accept(&mut self) {
        match self.listener.accept() {
            Ok((stream, _)) => {
                if stream.set_nonblocking(true).is_err() {
                    return;
                }
                if self.open.len() == CONNECTIONS_MAX {
                    self.open.remove(0);
                }
                let until = Instant::now() + DEADLINE;
                self.open.push(Connection { stream, until, state: State::Reading(Vec::new()) });
            }
            Err(error) => match error.kind() {
                // Who wanted to connect has gone.
                ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                _ => {
                    tracing::warn!(%error, "cannot accept a connection");
                    thread::sleep(PAUSE);
                }
            },
        }
    }
}

impl Connection {
    /// Does what can be done without waiting. Says whether there is more to do.
    fn go_on(&mut self, answer: &impl Fn(&str) -> Option<Result<String>>) -> bool {
        match self.step(answer) {
            Ok(more) => more,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }

    fn step(&mut self, answer: &impl Fn(&str) -> Option<Result<String>>) -> io::Result<bool> {
        let mut buffer = [0; HEAD_MAX];
        match &mut self.state {
            State::Reading(head) => {
                let count = self.stream.read(&mut buffer)?;
                head.extend_from_slice(&buffer[..count]);
                if let Some(response) = respond(head, answer) {
                    self.state = State::Writing(response, 0);
                }
                Ok(count > 0)
            }
            State::Writing(response, written) => {
                *written += self.stream.write(&response[*written..])?;
                if *written == response.len() {
                    self.state = State::Ending(IGNORED_MAX);
                    self.stream.shutdown(Shutdown::Write)?;
                }
                Ok(true)
            }
            State::Ending(left) => {
                let count = self.stream.read(&mut buffer)?;
                *left = left.saturating_sub(count);
                Ok(count > 0 && *left > 0)
            }
        }
    }
}

/// The whole response to a request, once its head is complete.
fn respond(head: &[u8], answer: &impl Fn(&str) -> Option<Result<String>>) -> Option<Vec<u8>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let complete = match request.parse(head) {
        Ok(status) => status.is_complete(),
        Err(_) => return Some(response("400 Bad Request", "this is not HTTP/1\n", false)),
    };
    if !complete {
        let too_long = head.len() >= HEAD_MAX;
        return too_long.then(|| {
            response("431 Request Header Fields Too Large", "the request is too long\n", false)
        });
    }
    let bodiless = request.method == Some("HEAD");
    if !bodiless && request.method != Some("GET") {
        return Some(response("405 Method Not Allowed", "only GET and HEAD\n", false));
    }
    let path = request.path.unwrap_or_default().split('?').next().unwrap_or_default();
    Some(match answer(path) {
        Some(Ok(text)) => response("200 OK", &text, bodiless),
        Some(Err(error)) => {
            response("500 Internal Server Error", &format!("{error:#}\n"), bodiless)
        }
        None => response("404 Not Found", "only /metrics is here\n", bodiless),
    })
}

fn response(status: &str, body: &str, bodiless: bool) -> Vec<u8> {
    let kind = if body.ends_with("# EOF\n") { CONTENT_TYPE } else { "text/plain; charset=utf-8" };
    let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{allow}\
         Connection: close\r\n\r\n"
    );
    let body = if bodiless { "" } else { body };
    [head.as_bytes(), body.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_line(head: &[u8]) -> Option<String> {
        let answer = |path: &str| (path == "/metrics").then(|| Ok("x 1\n# EOF\n".to_owned()));
        let response = String::from_utf8(respond(head, &answer)?).expect("text");
        response.lines().next().map(str::to_owned)
    }

    #[test]
    fn each_request_has_its_answer() {
        let check = |request: &str, expected: Option<&str>| {
            let line = first_line(request.as_bytes());
            assert_eq!(line.as_deref().map(|line| &line[9..12]), expected, "{request:?}");
        };
        check("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", Some("200"));
        check("GET /metrics?a=b HTTP/1.0\r\n\r\n", Some("200"));
        check("HEAD /metrics HTTP/1.1\r\n\r\n", Some("200"));
        check("GET /else HTTP/1.1\r\n\r\n", Some("404"));
        check("POST /metrics HTTP/1.1\r\n\r\n", Some("405"));
        check("GET /metrics HTTP/1.1\r\nHost: x\r\n", None);
        check("", None);
        check("\x16\x03\x01\x02", Some("400"));
        check(&format!("GET /metrics HTTP/1.1\r\nA: {}", "x".repeat(HEAD_MAX)), Some("431"));
        check(&format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(100)), Some("400"));
    }
}
