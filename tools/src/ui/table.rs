//! A table: ruled on a terminal, plainly aligned everywhere else.

use comfy_table::{CellAlignment, ContentArrangement, presets};

/// Columns of text. The first columns are names (aligned left), the rest figures (right).
#[derive(Debug)]
pub(crate) struct Table {
    inner: comfy_table::Table,
    columns: usize,
    names: usize,
}

impl Table {
    /// A table with this head, whose first `names` columns are names.
    pub(crate) fn new<const N: usize>(head: [&str; N], names: usize) -> Table {
        Table::with_head(head.map(str::to_owned).to_vec(), names)
    }

    /// The same, with as many columns as it turns out.
    pub(crate) fn with_head(head: Vec<String>, names: usize) -> Table {
        let mut inner = comfy_table::Table::new();
        let columns = head.len();
        inner.set_content_arrangement(ContentArrangement::Disabled).set_header(head);
        Table { inner, columns, names }
    }

    /// Adds a row; one cell for each column.
    pub(crate) fn row<C: Into<comfy_table::Cell>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.inner.add_row(cells);
    }

    /// The lines, without the last line feed.
    pub(crate) fn render(mut self, ruled: bool) -> String {
        self.inner.load_style(if ruled { presets::UTF8_BORDERS_ONLY } else { presets::NOTHING });
        for index in 0..self.columns {
            if let Some(column) = self.inner.column_mut(index) {
                let figure = index >= self.names;
                column.set_cell_alignment(if figure {
                    CellAlignment::Right
                } else {
                    CellAlignment::Left
                });
                // Without rules the first column starts at the margin.
                column.set_padding(if ruled { (1, 1) } else { (0, 2) });
            }
        }
        let lines: Vec<String> =
            self.inner.lines().map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_is_aligned_and_has_no_rules() {
        let mut table = Table::new(["link", "events"], 1);
        table.row(["a", "1"]);
        table.row(["long name", "12 345"]);
        assert_eq!(table.render(false), "link       events\na               1\nlong name  12 345");
    }

    #[test]
    fn ruled_has_borders() {
        let mut table = Table::new(["link", "events"], 1);
        table.row(["a", "1"]);
        assert!(table.render(true).starts_with('┌'));
    }
}
