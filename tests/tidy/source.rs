//! The project's files as the checks see them: Rust with code and comments apart, which lines
//! are tests, where functions begin and end.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Folders that hold nothing written by hand.
const GENERATED: [&str; 5] = [".git", "target", "corpus", "artifacts", "seeds"];

/// All text files of the project.
pub(crate) struct Project {
    pub files: Vec<File>,
}

/// One file, with its path from the project's root.
pub(crate) struct File {
    pub path: String,
    pub text: String,
    /// Empty unless it is Rust.
    pub lines: Vec<Line>,
    pub functions: Vec<Function>,
}

/// A line of Rust. Strings are empty in `code`.
#[derive(Default)]
pub(crate) struct Line {
    pub code: String,
    pub comment: String,
    /// Compiled for tests only.
    pub test: bool,
}

/// Line numbers, from 0, of its signature and its last brace.
pub(crate) struct Function {
    pub name: String,
    pub first: usize,
    pub last: usize,
}

impl Project {
    pub(crate) fn read(root: &Path) -> Self {
        let mut found = Vec::new();
        walk(root, root, &mut found);
        found.sort();
        Self::new(found)
    }

    /// A project of these paths and texts.
    pub(crate) fn new(found: Vec<(String, String)>) -> Self {
        let mut files: Vec<_> =
            found.into_iter().map(|(path, text)| File::new(path, text)).collect();
        let mut test_files = BTreeSet::new();
        // The modules of a module for tests are for tests too.
        loop {
            for file in &mut files {
                let in_tests = file.path.starts_with("tests/") || file.path.contains("/tests/");
                if in_tests || test_files.contains(&file.path) {
                    file.lines.iter_mut().for_each(|line| line.test = true);
                }
            }
            let declared = files.iter().flat_map(File::test_modules).collect();
            if declared == test_files {
                return Self { files };
            }
            test_files = declared;
        }
    }

    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// The library's own code.
    pub(crate) fn library(&self) -> impl Iterator<Item = &File> {
        self.rust().filter(|file| file.path.starts_with("src/"))
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        if GENERATED.iter().any(|generated| name == *generated) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            walk(root, &path, found);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.push((path, text));
        }
    }
}

impl File {
    fn new(path: String, text: String) -> Self {
        let (mut lines, mut functions) = (Vec::new(), Vec::new());
        if path.ends_with(".rs") {
            lines = split(&text);
            functions = find_functions(&lines);
            mark_tests(&mut lines);
        }
        Self { path, text, lines, functions }
    }

    /// The lines that are compiled into what is shipped, with their numbers from 0.
    pub(crate) fn shipped(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.lines.iter().enumerate().filter(|(_, line)| !line.test)
    }

    /// Whether a comment on line `at` or up to `above` lines before it says one of these.
    pub(crate) fn says(&self, at: usize, above: usize, words: &[&str]) -> bool {
        let lines = &self.lines[at.saturating_sub(above)..=at];
        lines.iter().any(|line| words.iter().any(|word| line.comment.contains(word)))
    }

    /// The innermost function around a line.
    pub(crate) fn function_at(&self, at: usize) -> Option<&Function> {
        let around = self.functions.iter().filter(|f| f.first <= at && at <= f.last);
        around.min_by_key(|f| f.last - f.first)
    }

    /// The text of the documentation at the top.
    pub(crate) fn module_docs(&self) -> impl Iterator<Item = &str> {
        self.text.lines().take_while(|line| line.starts_with("//!"))
    }

    /// The files of modules that are declared here for tests only.
    fn test_modules(&self) -> Vec<String> {
        let folder = match self.path.strip_suffix("mod.rs").or(self.path.strip_suffix("lib.rs")) {
            Some(folder) => folder.to_owned(),
            None => format!("{}/", self.path.trim_end_matches(".rs")),
        };
        let name = |code: &str| {
            let name = code.trim().trim_start_matches("pub(crate) ").strip_prefix("mod ")?;
            Some(format!("{folder}{}.rs", name.strip_suffix(';')?))
        };
        let declared = self.lines.iter().filter(|line| line.test);
        declared.filter_map(|line| name(&line.code)).collect()
    }
}

/// Whether `word` stands alone somewhere in the code.
pub(crate) fn has_word(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(part) && !code[at + word.len()..].starts_with(part))
}

/// What the scanner is in.
enum State {
    Code,
    /// Comments of this kind can lie in one another.
    Block(usize),
    Text,
    /// A text that ends with a quote and so many hashes.
    Raw(usize),
}

/// Takes code and comments apart.
fn split(text: &str) -> Vec<Line> {
    let mut state = State::Code;
    text.lines().map(|line| split_line(line, &mut state)).collect()
}

fn split_line(text: &str, state: &mut State) -> Line {
    let mut line = Line::default();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match state {
            State::Code => {
                if let Some(comment) = rest.strip_prefix("//") {
                    line.comment.push_str(comment);
                    break;
                }
                if rest.starts_with("/*") {
                    (*state, taken) = (State::Block(1), 2);
                } else if let Some((hashes, length)) = raw_start(rest, &line.code) {
                    (*state, taken) = (State::Raw(hashes), length);
                    line.code.push('"');
                } else if c == '"' {
                    *state = State::Text;
                    line.code.push('"');
                } else if let Some(length) = letter(rest) {
                    taken = length;
                    line.code.push_str("' '");
                } else {
                    line.code.push(c);
                }
            }
            State::Block(depth) => {
                line.comment.push(c);
                if rest.starts_with("/*") {
                    (*depth, taken) = (*depth + 1, 2);
                } else if rest.starts_with("*/") {
                    (*depth, taken) = (*depth - 1, 2);
                    if *depth == 0 {
                        *state = State::Code;
                    }
                }
            }
            State::Text if c == '\\' => taken += rest[1..].chars().next().map_or(0, char::len_utf8),
            State::Text if c == '"' => {
                *state = State::Code;
                line.code.push('"');
            }
            State::Text => {}
            State::Raw(hashes) => {
                let end = format!("\"{}", "#".repeat(*hashes));
                if rest.starts_with(&end) {
                    (*state, taken) = (State::Code, end.len());
                    line.code.push('"');
                }
            }
        }
        rest = &rest[taken..];
    }
    line
}

/// Where a raw string begins: its hashes, and the bytes up to its content.
fn raw_start(rest: &str, before: &str) -> Option<(usize, usize)> {
    let after = rest.strip_prefix('r')?;
    let before = before.strip_suffix(['b', 'c']).unwrap_or(before);
    let quoted = after.trim_start_matches('#');
    let hashes = after.len() - quoted.len();
    let fits = quoted.starts_with('"') && !before.ends_with(|c: char| c.is_alphanumeric());
    fits.then_some((hashes, hashes + 2))
}

/// The bytes of a character literal, if this is not a lifetime.
fn letter(rest: &str) -> Option<usize> {
    let content = rest.strip_prefix('\'')?;
    let first = content.chars().next()?;
    if first == '\\' {
        let after = 1 + content[1..].chars().next()?.len_utf8();
        return Some(1 + after + content[after..].find('\'')? + 1);
    }
    content[first.len_utf8()..].starts_with('\'').then_some(first.len_utf8() + 2)
}

/// The code from line `from` on: every character with the number of its line.
fn characters(lines: &[Line], from: usize) -> impl Iterator<Item = (usize, char)> {
    let numbered = lines.iter().enumerate().skip(from);
    numbered.flat_map(|(at, line)| line.code.chars().map(move |c| (at, c)))
}

/// The line of the brace that closes the first one from `from` on; `None` if a semicolon comes
/// before it.
fn end_of_block(lines: &[Line], from: usize, column: usize) -> Option<usize> {
    let (mut braces, mut brackets) = (0, 0);
    for (at, c) in characters(lines, from).skip(column) {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            '{' => braces += 1,
            '}' if braces == 1 => return Some(at),
            '}' => braces -= 1,
            ';' if braces == 0 && brackets == 0 => return None,
            _ => {}
        }
    }
    None
}

fn find_functions(lines: &[Line]) -> Vec<Function> {
    let mut functions = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        for (column, _) in line.code.match_indices("fn ") {
            let part = |c: char| c.is_alphanumeric() || c == '_';
            let name: String = line.code[column + 3..].chars().take_while(|c| part(*c)).collect();
            if name.is_empty() || line.code[..column].ends_with(part) {
                continue;
            }
            let column = line.code[..column].chars().count();
            if let Some(last) = end_of_block(lines, first, column) {
                functions.push(Function { name, first, last });
            }
        }
    }
    functions
}

/// Marks what follows an attribute such as `#[cfg(test)]`.
fn mark_tests(lines: &mut [Line]) {
    let begins = ["#[cfg(test", "#[cfg(all(test", "#[cfg(any(test"];
    for at in 0..lines.len() {
        let code = lines[at].code.trim();
        if begins.iter().any(|begin| code.starts_with(begin)) && at + 1 < lines.len() {
            let last = end_of_block(lines, at + 1, 0).unwrap_or(at + 1);
            lines[at..=last].iter_mut().for_each(|line| line.test = true);
        }
    }
}
