//! What the tests of `bench` share: the fields of a result, and output that is read as it comes.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};

use serde_json::Value;

/// Fails unless the result has exactly these fields, each of this type: a line for each.
pub(crate) fn has_shape(result: &Value, expected: &str) {
    let mut found = BTreeSet::new();
    collect(result, "", &mut found);
    let expected: BTreeSet<String> = expected.lines().map(str::to_owned).collect();
    let new: Vec<_> = found.difference(&expected).collect();
    let gone: Vec<_> = expected.difference(&found).collect();
    let all: Vec<_> = found.iter().map(String::as_str).collect();
    let all = all.join("\n");
    assert!(new.is_empty() && gone.is_empty(), "new: {new:?}\ngone: {gone:?}\nall:\n{all}");
}

fn collect(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    let kind = match value {
        Value::Object(fields) => {
            let below = |name: &str| {
                if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
            };
            fields.iter().for_each(|(name, field)| collect(field, &below(name), found));
            return;
        }
        Value::Array(elements) => {
            elements.iter().for_each(|element| collect(element, &format!("{path}.*"), found));
            return;
        }
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "text",
    };
    found.insert(format!("{path}: {kind}"));
}

/// Lines of a process.
pub(crate) struct Log<R>(BufReader<R>);

impl<R: Read> Log<R> {
    pub(crate) fn of(from: R) -> Log<R> {
        Log(BufReader::new(from))
    }

    /// Reads up to a line that contains this.
    pub(crate) fn wait_for(&mut self, part: &str) {
        let (mut line, mut all) = (String::new(), String::new());
        while !line.contains(part) {
            line.clear();
            let read = self.0.read_line(&mut line).expect("a line");
            assert!(read > 0, "no {part:?} in {all}");
            all.push_str(&line);
        }
    }

    /// All that is left, to the end.
    pub(crate) fn rest(mut self) -> String {
        let mut text = String::new();
        self.0.read_to_string(&mut text).expect("text");
        text
    }
}
