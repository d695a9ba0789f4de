//! What `top` shows, and what each key changes of it. Knows no terminal.

use std::time::{Duration, Instant};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::watch::history::History;
use crate::watch::model::Model;
use crate::watch::sight::Sight;
use crate::watch::view::{Order, Row, View};

/// The intervals that + and - step through, in milliseconds.
const INTERVALS_MS: [u64; 8] = [100, 200, 500, 1_000, 2_000, 5_000, 10_000, 60_000];

/// Rows that PageUp and PageDown pass.
const PAGE: usize = 10;

/// The longest filter; longer than any name that there can be.
const FILTER_MAX: usize = 255;

/// The name of the graph of all events together.
pub(super) const TOTAL: &str = "";

/// What a key has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// To see what it has changed.
    Redraw,
    /// To end.
    Quit,
    /// To give the terminal back until it is continued.
    Suspend,
}

/// All that is shown.
#[derive(Debug)]
pub(super) struct App {
    pub(super) view: View,
    orders: [Order; View::ALL.len()],
    /// The filter is being typed.
    pub(super) editing: bool,
    pub(super) paused: bool,
    pub(super) helping: bool,
    pub(super) interval: Duration,
    pub(super) selected: usize,
    pub(super) model: Model,
    pub(super) history: History,
    pub(super) at: Instant,
    rows: usize,
}

impl App {
    pub(super) fn new(view: View, orders: [Order; View::ALL.len()], interval: Duration) -> App {
        App {
            view,
            orders,
            editing: false,
            paused: false,
            helping: false,
            interval,
            selected: 0,
            model: Model::default(),
            history: History::default(),
            at: Instant::now(),
            rows: 0,
        }
    }

    /// Takes in what is seen now.
    pub(super) fn see(&mut self, sight: &Sight, before: Option<&Sight>) {
        self.model = Model::of(sight, before);
        self.at = sight.at;
        if self.model.seconds.is_some() {
            let rows = View::ALL.into_iter().flat_map(|view| {
                view.rows(&self.model).into_iter().map(move |row| (series(view, &row), row.rate))
            });
            let total =
                self.model.hubs.iter().map(|hub| hub.sent.and(hub.direct_sent).rate()).sum();
            self.history.add(self.at, rows.chain([(TOTAL.to_owned(), total)]));
        }
    }

    pub(super) fn order(&self) -> &Order {
        &self.orders[self.view as usize]
    }

    fn order_mut(&mut self) -> &mut Order {
        &mut self.orders[self.view as usize]
    }

    /// The rows of the table that is shown.
    pub(super) fn rows(&mut self) -> Vec<Row> {
        let mut rows = self.view.rows(&self.model);
        self.order().apply(&mut rows);
        self.rows = rows.len();
        self.selected = self.selected.min(self.rows.saturating_sub(1));
        rows
    }

    /// Does what a key stands for.
    pub(super) fn key(&mut self, key: KeyEvent) -> Wish {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            match key.code {
                KeyCode::Char('c') => return Wish::Quit,
                KeyCode::Char('z') => return Wish::Suspend,
                _ => return Wish::Redraw,
            }
        }
        if key.modifiers.contains(KeyModifiers::ALT) {
            return Wish::Redraw;
        }
        if self.editing {
            self.edit(key.code);
            return Wish::Redraw;
        }
        if self.helping {
            self.helping = false;
            return if key.code == KeyCode::Char('q') { Wish::Quit } else { Wish::Redraw };
        }
        match key.code {
            KeyCode::Char('q') => return Wish::Quit,
            KeyCode::Char('?' | 'h') => self.helping = true,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('+' | '=') => self.step(|known, now| known > now, false),
            KeyCode::Char('-') => self.step(|known, now| known < now, true),
            KeyCode::Char('/') => self.editing = true,
            KeyCode::Char('r') => self.order_mut().reverse = !self.order().reverse,
            KeyCode::Char('s') => self.sort_by_next(1),
            KeyCode::Char('S') => self.sort_by_next(self.view.columns().len() - 1),
            KeyCode::Esc => self.order_mut().filter.clear(),
            KeyCode::Tab => self.turn(1),
            KeyCode::BackTab => self.turn(View::ALL.len() - 1),
            KeyCode::Char(digit @ '1'..='3') => {
                self.view = View::ALL[digit as usize - '1' as usize];
                self.selected = 0;
            }
            code => self.step_row(code),
        }
        Wish::Redraw
    }

    fn edit(&mut self, code: KeyCode) {
        let filter = &mut self.order_mut().filter;
        match code {
            KeyCode::Char(letter) if filter.len() < FILTER_MAX => {
                filter.extend(letter.to_lowercase());
            }
            KeyCode::Backspace => {
                filter.pop();
            }
            KeyCode::Esc => {
                filter.clear();
                self.editing = false;
            }
            KeyCode::Enter => self.editing = false,
            _ => {}
        }
        self.selected = 0;
    }

    fn step_row(&mut self, code: KeyCode) {
        let last = self.rows.saturating_sub(1);
        self.selected = match code {
            KeyCode::Down | KeyCode::Char('j') => self.selected.saturating_add(1).min(last),
            KeyCode::Up | KeyCode::Char('k') => self.selected.saturating_sub(1),
            KeyCode::PageDown => self.selected.saturating_add(PAGE).min(last),
            KeyCode::PageUp => self.selected.saturating_sub(PAGE),
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => last,
            _ => self.selected,
        };
    }

    fn turn(&mut self, by: usize) {
        self.view = View::ALL[(self.view as usize + by) % View::ALL.len()];
        self.selected = 0;
    }

    fn sort_by_next(&mut self, by: usize) {
        let columns = self.view.columns().len();
        let order = self.order_mut();
        order.column = (order.column + by) % columns;
    }

    /// To the next interval that is longer or shorter.
    fn step(&mut self, fits: impl Fn(Duration, Duration) -> bool, from_end: bool) {
        let mut known: Vec<Duration> = INTERVALS_MS.map(Duration::from_millis).to_vec();
        if from_end {
            known.reverse();
        }
        let next = known.into_iter().find(|known| fits(*known, self.interval));
        self.interval = next.unwrap_or(self.interval);
    }
}

/// The name of a row's graph: rows of different tables can have the same name.
pub(super) fn series(view: View, row: &Row) -> String {
    format!("{} {}", view.name(), row.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> App {
        App::new(View::Hubs, Default::default(), Duration::from_secs(1))
    }

    fn press(app: &mut App, keys: &str) {
        for key in keys.chars() {
            app.key(KeyEvent::from(KeyCode::Char(key)));
        }
    }

    #[test]
    fn keys_change_what_is_shown() {
        let mut app = app();
        press(&mut app, "2");
        assert_eq!(app.view, View::Links);
        app.key(KeyEvent::from(KeyCode::Tab));
        app.key(KeyEvent::from(KeyCode::Tab));
        assert_eq!(app.view, View::Hubs);
        press(&mut app, "ssr");
        assert_eq!((app.order().column, app.order().reverse), (2, true));
        press(&mut app, "SSS");
        assert_eq!(app.order().column, View::Hubs.columns().len() - 1);
        press(&mut app, "++p");
        assert_eq!((app.interval, app.paused), (Duration::from_secs(5), true));
        press(&mut app, "------------");
        assert_eq!(app.interval, Duration::from_millis(100));
        press(&mut app, "++++++++++++");
        assert_eq!(app.interval, Duration::from_secs(60));
    }

    #[test]
    fn while_a_filter_is_typed_letters_are_letters() {
        let mut app = app();
        press(&mut app, "/qP2");
        assert!(app.editing);
        assert_eq!((app.order().filter.as_str(), app.view), ("qp2", View::Hubs));
        app.key(KeyEvent::from(KeyCode::Backspace));
        app.key(KeyEvent::from(KeyCode::Enter));
        assert_eq!((app.order().filter.as_str(), app.editing), ("qp", false));
        app.key(KeyEvent::from(KeyCode::Esc));
        assert_eq!(app.order().filter, "");
    }

    #[test]
    fn quitting() {
        let control = |letter| KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
        let mut app = app();
        assert_eq!(app.key(KeyEvent::from(KeyCode::Char('q'))), Wish::Quit);
        press(&mut app, "?");
        assert!(app.helping);
        assert_eq!(app.key(KeyEvent::from(KeyCode::Char('x'))), Wish::Redraw);
        assert!(!app.helping);
        press(&mut app, "/");
        assert_eq!(app.key(control('c')), Wish::Quit);
        assert_eq!(app.key(control('z')), Wish::Suspend);
    }
}
