//! What the terminal looks like after a panic: this test binary once more, on a terminal.

#[path = "../../../../tests/common/terminal.rs"]
#[allow(dead_code, reason = "a part of it is used here")]
mod terminal;

use std::process::{Command, Output};
use std::time::Duration;

use self::terminal::Terminal;
use super::Screen;

const VARIABLE: &str = "EPHAPSE_TEST_PANIC";

/// For the terminal, see the tests of the command.
const PATIENCE: Duration = Duration::from_secs(60);

fn finish(command: &mut Command) -> Output {
    command.output().expect("tmux is installed")
}

fn told(output: &Output) -> String {
    format!("{output:?}")
}

/// Takes the terminal and panics, if it is told to.
#[test]
fn panicking_child() {
    if std::env::var_os(VARIABLE).is_some() {
        let _screen = Screen::take().expect("a terminal");
        panic!("while the screen is taken");
    }
}

#[test]
fn a_panic_gives_the_terminal_back() {
    let program = std::env::current_exe().expect("this program");
    let name = "watch::top::screen::tests::panicking_child";
    let line = format!("{VARIABLE}=1 {} --exact {name} --nocapture", program.display());
    let terminal = Terminal::start(&line, 120, 40);
    // What it says is on the screen that was there before.
    terminal.shows(&["while the screen is taken", "ended 101", "as before"]);
}
