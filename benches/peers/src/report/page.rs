//! Everything on one page: an HTML file that needs nothing beside it.

use super::pictures::Drawn;
use super::slower;
use super::summary::Summary;
use super::table::{self, Table};
use super::text::escaped;
use crate::result::Results;

const STYLE: &str = "\
body{font:16px/1.5 system-ui,sans-serif;color:#1e1e1e;background:#fff;max-width:70rem;margin:2rem \
auto;padding:0 1rem}
svg{max-width:100%;height:auto;display:block;margin:1rem 0}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:1rem 0;font-size:.85rem}
th,td{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top}
td:first-child{white-space:nowrap}
thead th{border-bottom:1px solid gray}
tbody tr:nth-child(even){background:#f6f6f6}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}
dt{color:#5a5a5a}
dd{margin:0;overflow-wrap:anywhere}
summary{cursor:pointer}";

/// The file.
pub(crate) fn html(results: &Results, summary: &Summary, pictures: &[Drawn]) -> String {
    let title = "Ephapse beside others";
    let (curves, dots): (Vec<&Drawn>, Vec<&Drawn>) =
        pictures.iter().partition(|drawn| drawn.name.starts_with("curves"));
    let inline = |drawn: &[&Drawn]| drawn.iter().map(|one| inlined(&one.svg)).collect::<String>();
    let facts = table::facts(results)
        .into_iter()
        .map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>\n", escaped(name), escaped(&value)));
    let tables = table::all(results, summary);
    let slower = table::slower(&slower::findings(summary, &results.sizes));
    let rest = [slower, table::absent(results), table::systems(results)];
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>\n{STYLE}\n</style>\n</head>\n<body>\n<h1>{title}</h1>\n<dl>\n{facts}</dl>\n{dots}\
         {tables}{rest}<details><summary>Percentile curves of all rounds</summary>\n{curves}\
         </details>\n</body>\n</html>\n",
        facts = facts.collect::<String>(),
        dots = inline(&dots),
        curves = inline(&curves),
        tables = tables.iter().map(section).collect::<String>(),
        rest = rest.iter().map(section).collect::<String>(),
    )
}

/// An SVG without what only a file of its own may begin with.
fn inlined(svg: &str) -> String {
    svg.find("<svg").map_or(String::new(), |start| format!("{}\n", &svg[start..]))
}

fn section(table: &Table) -> String {
    let cells = |tag: &str, cells: &[String]| -> String {
        cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect()
    };
    let mut text = format!("<h2>{}</h2>\n", escaped(&table.title));
    if !table.note.is_empty() {
        text += &format!("<p>{}</p>\n", escaped(&table.note));
    }
    if !table.rows.is_empty() {
        let rows = table.rows.iter().map(|row| format!("<tr>{}</tr>\n", cells("td", row)));
        text += &format!(
            "<div class=\"wide\"><table>\n<thead><tr>{}</tr></thead>\n<tbody>\n{}</tbody>\n\
             </table></div>\n",
            cells("th", &table.head),
            rows.collect::<String>()
        );
    }
    text
}
