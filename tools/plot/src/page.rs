//! Everything on one page: an HTML file that needs nothing beside it.

use crate::picture::escaped;
use crate::{Error, Picture};

/// Rows of text under a head.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// What the columns are.
    pub head: Vec<String>,
    /// One cell for each column; the first is a name, the rest are figures.
    pub rows: Vec<Vec<String>>,
}

/// What is on the page, in this order.
#[derive(Clone, Debug)]
pub struct Page {
    /// On top.
    pub title: String,
    /// Pictures, drawn inline.
    pub pictures: Vec<Picture>,
    /// The figures.
    pub table: Table,
    /// Where and how it was measured: name and value.
    pub facts: Vec<(String, String)>,
}

const STYLE: &str = "\
body{font:16px/1.5 system-ui,sans-serif;color:#1e1e1e;background:#fff;max-width:60rem;margin:2rem \
auto;padding:0 1rem}
svg{max-width:100%;height:auto;display:block;margin:1rem 0}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:1rem 0}
th,td{padding:.2rem .8rem .2rem 0;text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}
thead th{border-bottom:1px solid gray}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}
dt{color:#5a5a5a}
dd{margin:0;overflow-wrap:anywhere}";

impl Page {
    /// The file.
    ///
    /// # Errors
    /// When a picture cannot be drawn.
    pub fn html(&self) -> Result<String, Error> {
        let pictures: Vec<String> =
            self.pictures.iter().map(Picture::svg).collect::<Result<_, _>>()?;
        let cells = |tag: &str, cells: &[String]| -> String {
            cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect()
        };
        let rows = self.table.rows.iter();
        let rows: String = rows.map(|row| format!("<tr>{}</tr>\n", cells("td", row))).collect();
        let facts = self.facts.iter().map(|(name, value)| {
            format!("<dt>{}</dt><dd>{}</dd>\n", escaped(name), escaped(value))
        });
        Ok(format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
             <style>\n{STYLE}\n</style>\n</head>\n<body>\n<h1>{title}</h1>\n{pictures}\n\
             <div class=\"wide\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n\
             </table></div>\n<dl>\n{facts}</dl>\n</body>\n</html>\n",
            title = escaped(&self.title),
            pictures = pictures.join("\n"),
            head = cells("th", &self.table.head),
            facts = facts.collect::<String>(),
        ))
    }
}
