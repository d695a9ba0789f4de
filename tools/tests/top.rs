//! `ephapse top` on a terminal: keys, sizes, and what it leaves behind.

mod common;

use std::io::Read;
use std::process::Stdio;

use common::domain::Domain;
use common::terminal::Terminal;
use common::traffic::Traffic;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[test]
fn traffic_child() {
    common::traffic::child();
}

/// With so much room that all columns are there.
const WIDE: (u32, u32) = (150, 30);

/// `top` in this domain, on a terminal. Its id is in a file.
fn top(domain: &Domain, arguments: &str) -> Terminal {
    let program = env!("CARGO_BIN_EXE_ephapse");
    let environment = format!("EPHAPSE_DIR={} TERM=screen-256color", domain.path().display());
    let pid = domain.path().with_extension("pid");
    // The shell that begins becomes the command.
    let line = format!("echo $$ > {}; {environment} exec {program} top {arguments}", pid.display());
    Terminal::start(&line, WIDE.0, WIDE.1)
}

/// The id of the process that [`top`] has started.
fn process(domain: &Domain) -> Pid {
    let text = std::fs::read_to_string(domain.path().with_extension("pid")).expect("a file");
    Pid::from_raw(text.trim().parse().expect("a number"))
}

/// It has ended well, and the terminal is as it was.
fn ended(terminal: &Terminal) {
    terminal.shows(&["ended 0\nas before"]);
    assert!(!terminal.screen().contains("HUB"), "{}", terminal.screen());
}

/// The names in the table, from top to bottom.
fn rows(screen: &str) -> Vec<&str> {
    let hubs = ["camera", "planner", "logger"];
    let firsts = screen.lines().filter_map(|line| line.split_whitespace().next());
    firsts.filter(|first| hubs.contains(first)).collect()
}

#[test]
fn keys_do_what_the_help_says() {
    let domain = Domain::new();
    let mut traffic = Traffic::start(&domain);
    traffic.round();
    let terminal = top(&domain, "--sort hub");
    terminal.shows(&["HUB▾", "supervisor: running", "hubs: 3", "every 1s", "sent: "]);
    terminal.until("all hubs are shown", |screen| rows(screen) == ["camera", "logger", "planner"]);
    terminal.keys(&["r"]);
    terminal
        .until("the order is reversed", |screen| rows(screen) == ["planner", "logger", "camera"]);
    terminal.keys(&["s"]);
    terminal.shows(&["SENT/s▴"]);
    terminal.keys(&["2"]);
    terminal.shows(&["FROM", "broadcast", "EVENTS/s"]);
    terminal.keys(&["Tab"]);
    terminal.shows(&["SUBJECT", "robot.pose"]);
    terminal.keys(&["Tab", "/", "P", "L", "A"]);
    terminal.until("the filter is typed", |screen| {
        rows(screen) == ["planner"] && screen.contains("\n/pla")
    });
    terminal.keys(&["Enter"]);
    terminal.shows(&["filter: pla", "q quit"]);
    terminal.keys(&["Escape"]);
    terminal.until("the filter is gone", |screen| rows(screen).len() == 3);
    terminal.keys(&["?"]);
    terminal.shows(&["choose a row", "suspend"]);
    terminal.keys(&["x"]);
    terminal.until("the help is gone", |screen| !screen.contains("choose a row"));
    terminal.keys(&["p", "+"]);
    terminal.shows(&["PAUSED", "every 2s"]);
    terminal.keys(&["p", "-", "-"]);
    terminal.shows(&["every 500ms"]);
    terminal.until("it goes on", |screen| !screen.contains("PAUSED"));
    terminal.keys(&["j", "Down", "k", "G", "g", "PageDown", "q"]);
    ended(&terminal);
}

#[test]
fn it_fits_any_terminal() {
    let domain = Domain::new();
    let mut traffic = Traffic::start(&domain);
    traffic.round();
    let terminal = top(&domain, "--interval 0.1");
    terminal.shows(&["camera", "WOKEN/s"]);
    for (width, height) in [(40, 12), (20, 5), (8, 3), (2, 2), (1, 1), (300, 80), (30, 4)] {
        terminal.resize(width, height);
        let name: String = "camera".chars().take(width as usize).collect();
        terminal.until("the table is shown", |screen| {
            let fits = screen.lines().all(|line| line.chars().count() <= width as usize);
            // On one line there is room for the head alone.
            fits && (height < 2 || screen.contains(&name))
        });
        for key in ["2", "3", "?", "x", "/", "Enter", "1"] {
            terminal.keys(&[key]);
        }
    }
    terminal.resize(WIDE.0, WIDE.1);
    terminal.shows(&["camera", "WOKEN/s", "q quit"]);
    terminal.keys(&["C-c"]);
    ended(&terminal);
}

#[test]
fn signals_give_the_terminal_back() {
    let domain = Domain::new();
    let _traffic = Traffic::start(&domain);
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let terminal = top(&domain, "");
        terminal.shows(&["camera"]);
        kill(process(&domain), signal).expect("it runs");
        ended(&terminal);
    }
    let terminal = top(&domain, "-n 2 --interval 0.1");
    ended(&terminal);
}

#[test]
fn it_works_while_the_supervisor_hangs() {
    let domain = Domain::new();
    let mut traffic = Traffic::start(&domain);
    domain.supervisor().signal(Signal::SIGSTOP);
    let terminal = top(&domain, "--interval 0.1 --view subjects");
    terminal.shows(&["supervisor: stopped", "robot.pose"]);
    traffic.round();
    terminal.shows(&["1 000"]);
    traffic.round();
    terminal.shows(&["2 000"]);
    domain.supervisor().signal(Signal::SIGCONT);
    terminal.shows(&["supervisor: running"]);
    terminal.keys(&["q"]);
    ended(&terminal);
}

#[test]
fn no_colours_where_none_are_wanted() {
    let domain = Domain::new();
    let _traffic = Traffic::start(&domain);
    for (arguments, colours) in [("--color never", false), ("--color always", true)] {
        let terminal = top(&domain, arguments);
        terminal.shows(&["camera"]);
        assert_eq!(terminal.colours(), colours, "{arguments}");
    }
}

#[test]
fn without_a_terminal_it_prints() {
    let domain = Domain::new();
    let mut top =
        common::Running::start(domain.command("top --interval 0.05").stdin(Stdio::null()));
    let mut stdout = top.child().stdout.take().expect("a pipe");
    let mut some = [0; 200];
    stdout.read_exact(&mut some).expect("it prints again and again");
    assert!(!some.contains(&0x1b), "{}", String::from_utf8_lossy(&some));
    // Who reads it has gone: no failure.
    drop(stdout);
    assert_eq!(top.wait().code(), Some(0));
}
