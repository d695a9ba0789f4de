//! One picture of `top`, in whatever room there is.

use ephapse::Domain;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Clear, Paragraph, Row as TableRow, Sparkline, Table, TableState};

use super::app::{App, TOTAL, series};
use super::batch::head;
use crate::ui::format;
use crate::watch::view::{Row, View};

/// Lines from which on there is room for the graph of all events.
const GRAPH_FROM_HEIGHT: u16 = 16;

/// Room for a row's graph.
const ROW_GRAPH_MIN: u16 = 10;
const ROW_GRAPH_MAX: u16 = 60;

const GRAPH_FROM_WIDTH: u16 = 60;

/// The longest name that is shown whole when there is little room.
const NAME_WIDTH_MIN: usize = 12;

const HELP: &str = "\
1 2 3, Tab      hubs, links, subjects
↑ ↓ j k         choose a row; also PgUp PgDn Home End
s S             sort by the next column, the one before
r               sort the other way round
/               filter by name: Enter keeps it, Esc clears it
p, Space        pause
+ -             look less often, more often
Ctrl-Z          suspend
q, Ctrl-C       quit

SENT and RECV are published events, DIRECT those sent and
received by links themselves.
BEHIND is what readers have not read yet: bytes of rings,
or events (ev) sent directly. MISSED and OVERTAKEN are losses.
Graphs show the last minute, each as high as its own maximum.";

/// How things are marked, with colours or without.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    pub(super) colors: bool,
}

impl Palette {
    fn accent(self) -> Style {
        if self.colors { Style::new().fg(Color::Cyan) } else { Style::new() }
    }

    fn strong(self) -> Style {
        self.accent().add_modifier(Modifier::BOLD)
    }

    fn alarm(self) -> Style {
        if self.colors {
            Style::new().fg(Color::Red)
        } else {
            Style::new().add_modifier(Modifier::BOLD)
        }
    }

    fn quiet(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// Draws all of it. What there is no room for is left out, the table last.
pub(super) fn draw(frame: &mut Frame<'_>, app: &mut App, domain: &Domain, palette: Palette) {
    let height = frame.area().height;
    let lines = |from: u16, lines: u16| Constraint::Length(if height >= from { lines } else { 0 });
    let [title, graph, tabs, table, foot] = Layout::vertical([
        lines(3, 1),
        lines(GRAPH_FROM_HEIGHT, 4),
        lines(4, 1),
        Constraint::Min(0),
        lines(6, 1),
    ])
    .areas(frame.area());
    draw_title(frame, title, app, domain, palette);
    if graph.height > 0 {
        draw_total(frame, graph, app, palette);
    }
    draw_tabs(frame, tabs, app, palette);
    draw_table(frame, table, app, palette);
    draw_foot(frame, foot, app, palette);
    if app.helping {
        draw_help(frame, palette);
    }
}

fn draw_title(frame: &mut Frame<'_>, area: Rect, app: &App, domain: &Domain, palette: Palette) {
    let runs = app.model.supervisor.as_ref().is_some_and(|row| row.state == "running");
    let style = if runs { palette.strong() } else { palette.alarm() };
    frame.render_widget(Paragraph::new(head(&app.model, domain)).style(style), area);
}

/// The graph of what all hubs send together.
fn draw_total(frame: &mut Frame<'_>, area: Rect, app: &App, palette: Palette) {
    let parts = app.history.parts(TOTAL, app.at, usize::from(area.width));
    let most = parts.iter().flatten().fold(0.0_f64, |most, rate| most.max(*rate));
    let now = parts.last().copied().flatten().unwrap_or(0.0);
    let title =
        format!("sent: {}, at most {} in the last minute", format::rate(now), format::rate(most));
    let data: Vec<u64> = parts.into_iter().map(|rate| rate.unwrap_or(0.0) as u64).collect();
    let block = Block::new().title(Span::styled(title, palette.quiet()));
    frame.render_widget(Sparkline::default().block(block).data(data).style(palette.accent()), area);
}

fn draw_tabs(frame: &mut Frame<'_>, area: Rect, app: &App, palette: Palette) {
    let mut spans = Vec::new();
    for (index, view) in View::ALL.into_iter().enumerate() {
        let style = if view == app.view { palette.chosen() } else { Style::new() };
        spans.push(Span::styled(format!(" {} {} ", index + 1, view.name()), style));
    }
    let interval = humantime::format_duration(app.interval);
    spans.push(Span::styled(format!("  every {interval}"), palette.quiet()));
    if !app.order().filter.is_empty() {
        spans.push(Span::styled(format!("  filter: {}", app.order().filter), palette.strong()));
    }
    if app.paused {
        spans.push(Span::styled("  PAUSED", palette.alarm()));
    }
    frame.render_widget(Line::from(spans), area);
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, app: &App, palette: Palette) {
    if app.editing {
        let line = Line::from(format!("/{}", app.order().filter));
        frame.render_widget(line.style(palette.strong()), area);
        let at = 1 + u16::try_from(app.order().filter.chars().count()).unwrap_or(u16::MAX - 1);
        if area.height > 0 && area.width > 0 {
            frame.set_cursor_position((area.x + at.min(area.width - 1), area.y));
        }
        return;
    }
    let keys = "? help  Tab table  s sort  r reverse  / filter  p pause  q quit";
    frame.render_widget(Line::from(keys).style(palette.quiet()), area);
}

fn draw_help(frame: &mut Frame<'_>, palette: Palette) {
    let widest = HELP.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    let [width, height] =
        [widest + 4, HELP.lines().count() + 2].map(|size| u16::try_from(size).unwrap_or(u16::MAX));
    let area = frame.area().centered(Constraint::Max(width), Constraint::Max(height));
    frame.render_widget(Clear, area);
    let block = Block::bordered().title(" keys ").border_style(palette.accent());
    frame.render_widget(
        Paragraph::new(HELP).block(block.padding(ratatui::widgets::Padding::horizontal(1))),
        area,
    );
}

fn draw_table(frame: &mut Frame<'_>, area: Rect, app: &mut App, palette: Palette) {
    let view = app.view;
    let rows = app.rows();
    if area.height == 0 {
        return;
    }
    if rows.is_empty() {
        let none =
            if app.order().filter.is_empty() { "there are no" } else { "the filter leaves no" };
        let text = format!("{none} {}", view.name());
        frame.render_widget(Paragraph::new(text).style(palette.quiet()), area);
        return;
    }
    let fitting = Fitting::of(view, &rows, area.width);
    let heads = view.columns().iter().enumerate().take(fitting.widths.len()).map(|(at, head)| {
        let order = app.order();
        let mark = match (order.column == at, order.reverse) {
            (false, _) => "",
            (true, false) => "▾",
            (true, true) => "▴",
        };
        fitting.cell(view, at, &format!("{head}{mark}"))
    });
    let header = TableRow::new(heads).style(palette.strong());
    let lines = rows.iter().map(|row| {
        let cells = row.cells.iter().take(fitting.widths.len()).enumerate();
        let mut cells: Vec<Text<'_>> =
            cells.map(|(at, cell)| fitting.cell(view, at, &cell.text)).collect();
        if fitting.graph > 0 {
            let graph = app.history.line(&series(view, row), app.at, usize::from(fitting.graph));
            cells.push(Text::styled(graph, palette.accent()));
        }
        TableRow::new(cells).style(if row.alarming { palette.alarm() } else { Style::new() })
    });
    let widths = fitting.widths.iter().map(|width| Constraint::Length(*width));
    let graph = (fitting.graph > 0).then_some(Constraint::Length(fitting.graph));
    let widths: Vec<_> = widths.chain(graph).collect();
    let table = Table::new(lines, widths).header(header).row_highlight_style(palette.chosen());
    let mut state = TableState::new().with_selected(app.selected);
    frame.render_stateful_widget(table, area, &mut state);
}

/// How wide the columns are that there is room for.
struct Fitting {
    widths: Vec<u16>,
    graph: u16,
}

impl Fitting {
    fn of(view: View, rows: &[Row], room: u16) -> Fitting {
        let widest = |at: usize| {
            let cells = rows.iter().filter_map(|row| row.cells.get(at));
            // With room for the mark of the column that is sorted by.
            let head = view.columns()[at].chars().count() + 1;
            cells.map(|cell| cell.text.chars().count()).max().unwrap_or(0).max(head)
        };
        let narrow = |width: usize| width.min(NAME_WIDTH_MIN.max(usize::from(room) / 3));
        // Where there is some room, the last columns give way to the graph.
        let kept = if room >= GRAPH_FROM_WIDTH { ROW_GRAPH_MIN } else { 0 };
        let mut widths: Vec<u16> = Vec::new();
        let mut used = 0;
        for at in 0..view.columns().len() {
            let width = if at < view.names() { narrow(widest(at)) } else { widest(at) };
            let width = u16::try_from(width).unwrap_or(u16::MAX).min(room);
            // A name is cut off rather than left out.
            if at >= view.names() && used + width + kept > room {
                break;
            }
            widths.push(width);
            used = used.saturating_add(width + 1);
        }
        let rest = room.saturating_sub(used);
        let graph = if rest >= ROW_GRAPH_MIN { rest.min(ROW_GRAPH_MAX) } else { 0 };
        Fitting { widths, graph }
    }

    fn cell(&self, view: View, at: usize, text: &str) -> Text<'static> {
        let text = Text::from(text.to_owned());
        if at < view.names() { text } else { text.right_aligned() }
    }
}
