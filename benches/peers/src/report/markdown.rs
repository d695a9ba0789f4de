//! The tables as Markdown, which is also what the terminal shows.

use super::slower;
use super::summary::Summary;
use super::table::{self, Table};
use crate::result::Results;

/// All of it.
pub(crate) fn document(results: &Results, summary: &Summary) -> String {
    let mut text = String::from("# Ephapse beside others\n\n");
    for (name, value) in table::facts(results) {
        text += &format!("- {name}: {value}\n");
    }
    text.push('\n');
    for table in table::all(results, summary) {
        section(&mut text, &table);
    }
    section(&mut text, &table::slower(&slower::findings(summary, &results.sizes)));
    section(&mut text, &table::absent(results));
    section(&mut text, &table::systems(results));
    text
}

/// Title, note and rows; columns line up for whoever reads the source.
fn section(text: &mut String, table: &Table) {
    *text += &format!("## {}\n\n", table.title);
    if !table.note.is_empty() {
        *text += &format!("{}\n\n", table.note);
    }
    if table.rows.is_empty() {
        return;
    }
    let safe = |cell: &String| cell.replace('|', "\\|").replace('\n', " ");
    let rows: Vec<Vec<String>> = std::iter::once(&table.head)
        .chain(&table.rows)
        .map(|row| row.iter().map(safe).collect())
        .collect();
    let widths: Vec<usize> = (0..table.head.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            // The last column may be as long as it likes.
            if column + 1 == table.head.len() {
                0
            } else {
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            }
        })
        .collect();
    for (index, row) in rows.iter().enumerate() {
        for (cell, &width) in row.iter().zip(&widths) {
            *text += &format!("| {cell:width$} ");
        }
        *text += "|\n";
        if index == 0 {
            for &width in &widths {
                let dashes = "-".repeat(width.max(3));
                *text += &format!("| {dashes} ");
            }
            *text += "|\n";
        }
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let (title, note) = ("T".to_owned(), "N.".to_owned());
        let rows = vec![row(["a|b", "1"]), row(["c", "2"])];
        let mut text = String::new();
        section(&mut text, &Table { title, note, head: row(["name", "x"]), rows });
        let expected =
            "## T\n\nN.\n\n| name | x |\n| ---- | --- |\n| a\\|b | 1 |\n| c    | 2 |\n\n";
        assert_eq!(text, expected);
    }
}
