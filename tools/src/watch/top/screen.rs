//! The full screen: when to look, when to draw, and that the terminal gets back what it was.

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, raise};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use super::TopArgs;
use super::app::{App, Wish};
use super::draw::{Palette, draw};
use crate::signals;
use crate::ui::Ui;
use crate::watch::sight::Sight;
use crate::watch::view::View;

/// How long it takes at most until a signal is noticed.
const NAP: Duration = Duration::from_millis(100);

/// Whether there is a terminal that can do more than print, and has keys.
pub(super) fn has_keys() -> bool {
    let able = std::env::var_os("TERM").is_some_and(|term| term != "dumb" && !term.is_empty());
    able && (io::stdin().is_terminal() || File::open("/dev/tty").is_ok())
}

/// The terminal, taken. Whatever happens (also a panic) it is given back as it was.
struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    fn take() -> Result<Screen> {
        let terminal = ratatui::try_init().inspect_err(|_| ratatui::restore());
        Ok(Screen { terminal: terminal.context("cannot use the terminal")? })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Then it has been done, and doing it again would have what was said written over.
        if !std::thread::panicking() {
            ratatui::restore();
        }
    }
}

/// Shows the screen until `q`, Ctrl-C, SIGINT or SIGTERM, or as many pictures as are wanted.
pub(super) fn run(args: &TopArgs, ui: &Ui) -> Result<ExitCode> {
    let domain = args.place.domain();
    let view = args.view.unwrap_or_default();
    let orders = View::ALL.map(|view| args.order(view));
    let [hubs, links, subjects] = orders;
    let mut app = App::new(view, [hubs?, links?, subjects?], args.interval);
    let palette = Palette { colors: ui.colors_output() };
    let stop = signals::watch().context("cannot watch for signals")?;
    let mut screen = Screen::take()?;
    let mut before = Sight::new(&domain);
    app.see(&before, None);
    let mut left = args.count.unwrap_or(u64::MAX);
    while !stop.is_set() && left > 0 {
        screen.terminal.draw(|frame| draw(frame, &mut app, &domain, palette))?;
        match next_key(before.at + app.interval)? {
            Some(Event::Key(key)) if key.kind != KeyEventKind::Release => match app.key(key) {
                Wish::Quit => break,
                Wish::Redraw => {}
                Wish::Suspend => screen = suspend(screen)?,
            },
            // A new size: the next picture has it.
            Some(_) => {}
            None if before.at.elapsed() >= app.interval => {
                let sight = Sight::new(&domain);
                if !app.paused {
                    app.see(&sight, Some(&before));
                    left -= 1;
                }
                before = sight;
            }
            None => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What happens on the terminal next, if it does soon.
fn next_key(until: Instant) -> Result<Option<Event>> {
    let pause = until.saturating_duration_since(Instant::now()).min(NAP);
    let ready = event::poll(pause).context("cannot wait for keys")?;
    if !ready {
        return Ok(None);
    }
    event::read().map(Some).context("cannot read keys")
}

/// Gives the terminal back, and takes it again when this process is continued.
fn suspend(screen: Screen) -> Result<Screen> {
    drop(screen);
    raise(Signal::SIGTSTP).context("cannot stop")?;
    Screen::take()
}
