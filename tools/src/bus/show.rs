//! How events and payloads are printed.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};
use std::time::Duration;

use ephapse::Envelope;
use ephapse::event::ExtensionView;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::lifecycle::Lifecycle;
use crate::schema::Known;

/// Bytes of a payload that is no text which people are shown.
const SHOWN_BYTES: usize = 64;

/// How an event is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A line with subject, source, number, length and payload.
    Human,
    /// The payload and a line feed.
    Raw,
    /// An object on a line.
    Json,
}

impl Form {
    /// By `--raw` and `--json`, of which there is one at most.
    pub(super) fn of(raw: bool, json: bool) -> Form {
        match (raw, json) {
            (true, _) => Form::Raw,
            (_, true) => Form::Json,
            _ => Form::Human,
        }
    }

    /// Prints an event, and how long after the start it came, if that is of interest.
    #[inline]
    pub(super) fn write(
        self,
        event: &Envelope<'_>,
        known: &mut Known,
        since_start: Option<Duration>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        match self {
            Form::Raw => {
                out.write_all(event.bytes())?;
                out.write_all(b"\n")
            }
            Form::Json => {
                let since_start_ns = since_start.map(|time| time.as_nanos() as u64);
                let fields = known.fields_of(event.schema(), event.bytes());
                let object = Object { since_start_ns, fields, ..Object::of(event) };
                serde_json::to_writer(&mut *out, &object)?;
                out.write_all(b"\n")
            }
            Form::Human => {
                if let Some(time) = since_start {
                    write!(out, "{:>12.6}  ", time.as_secs_f64())?;
                }
                human(event, known, out)
            }
        }
    }
}

fn human(event: &Envelope<'_>, known: &mut Known, out: &mut impl Write) -> io::Result<()> {
    let (source, sequence) = (event.source(), event.sequence());
    let payload = event.bytes();
    write!(out, "{}  {source}#{sequence}  {}  ", event.subject(), payload.len())?;
    if let Some(extension) = event.extension() {
        for (name, value) in extension.metadata() {
            write!(out, "[{}={}]  ", Visible(name), Visible(value))?;
        }
    }
    match Lifecycle::of(event) {
        Some(lifecycle) => lifecycle.write(out)?,
        None => match known.fields_of(event.schema(), payload) {
            Some(fields) => write!(out, "{}", Visible(&fields.to_string()))?,
            None => write!(out, "{}", Shown(payload))?,
        },
    }
    out.write_all(b"\n")
}

/// A payload for people: text without what would upset a terminal, or the first bytes in hex.
pub(super) struct Shown<'a>(pub(super) &'a [u8]);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match str::from_utf8(self.0) {
            Ok(text) => Visible(text).fmt(f),
            Err(_) => Payload::start_of(self.0, SHOWN_BYTES).fmt(f),
        }
    }
}

/// Text whose control characters are escaped.
pub(super) struct Visible<'a>(pub(super) &'a str);

impl Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: &char| !c.is_control() || *c == '\t';
        if self.0.chars().all(|c| plain(&c)) {
            return f.write_str(self.0);
        }
        for c in self.0.chars() {
            if plain(&c) { f.write_char(c)? } else { c.escape_default().fmt(f)? }
        }
        Ok(())
    }
}

/// Bytes as pairs of digits.
struct Hex<'a>(&'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a payload is in JSON: `text`, or `hex` if it is none.
#[derive(Serialize)]
pub(super) struct Payload<'a> {
    len: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<Hex<'a>>,
    /// There is more than is shown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

impl<'a> Payload<'a> {
    fn of(bytes: &'a [u8]) -> Payload<'a> {
        let text = str::from_utf8(bytes).ok();
        let hex = text.is_none().then_some(Hex(bytes));
        Payload { len: bytes.len(), text, hex, cut: false }
    }

    /// At most so many bytes of it; nothing else of it is looked at.
    pub(super) fn start_of(bytes: &'a [u8], most: usize) -> Payload<'a> {
        let shown = &bytes[..bytes.len().min(most)];
        let cut = shown.len() < bytes.len();
        let text = match str::from_utf8(shown) {
            Ok(text) => Some(text),
            // The end of what is shown may be in the middle of a character.
            Err(error) if cut && error.error_len().is_none() => {
                str::from_utf8(&shown[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        };
        let hex = text.is_none().then_some(Hex(shown));
        Payload { len: bytes.len(), text, hex, cut }
    }
}

impl Display for Payload<'_> {
    /// For people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = match (self.text, &self.hex) {
            (Some(text), _) => Visible(text).fmt(f).map(|()| text.len())?,
            (None, Some(hex)) => hex.fmt(f).map(|()| hex.0.len())?,
            (None, None) => 0,
        };
        if self.cut { write!(f, "… and {} more", self.len - shown) } else { Ok(()) }
    }
}

/// A schema: all 64 bits, which is more than a number in JSON can hold everywhere.
struct SchemaId(u64);

impl Serialize for SchemaId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", self.0))
    }
}

/// An event in JSON.
#[derive(Serialize)]
pub(super) struct Object<'a> {
    subject: &'a str,
    source: &'a str,
    source_id: u64,
    sequence: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since_start_ns: Option<u64>,
    schema: SchemaId,
    /// What it says, for events that everybody knows; else the payload.
    #[serde(flatten)]
    content: Content<'a>,
    /// The payload again, if its type is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Value>,
    #[serde(flatten)]
    beside: Option<Beside<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Lifecycle(Lifecycle<'a>),
    Payload(Payload<'a>),
}

/// What was sent beside the payload.
#[derive(Serialize)]
struct Beside<'a> {
    #[serde(skip_serializing_if = "Map::is_empty")]
    metadata: Map<String, Value>,
    #[serde(skip_serializing_if = "is_zero")]
    priority: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline_ns: Option<u64>,
    #[serde(skip_serializing_if = "is_zero")]
    attempts: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    route: Vec<u64>,
}

fn is_zero<T: Copy + Into<u64>>(number: &T) -> bool {
    (*number).into() == 0
}

impl<'a> Object<'a> {
    pub(super) fn of(event: &'a Envelope<'_>) -> Object<'a> {
        let content = match Lifecycle::of(event) {
            Some(lifecycle) => Content::Lifecycle(lifecycle),
            None => Content::Payload(Payload::of(event.bytes())),
        };
        Object {
            subject: event.subject(),
            source: event.source(),
            source_id: event.source_id(),
            sequence: event.sequence(),
            timestamp_ns: event.timestamp().map(|time| time.monotonic_ns()),
            age_ns: event.timestamp().map(|time| time.age_ns()),
            since_start_ns: None,
            schema: SchemaId(event.schema()),
            content,
            fields: None,
            beside: event.extension().map(Beside::of),
        }
    }
}

impl<'a> Object<'a> {
    /// The same with only the start of the payload, also of those that everybody knows.
    pub(super) fn short(event: &'a Envelope<'_>, most: usize, fields: Option<Value>) -> Object<'a> {
        let content = Content::Payload(Payload::start_of(event.bytes(), most));
        Object { content, fields, ..Object::of(event) }
    }

    /// The same, said to be about another subject.
    pub(super) fn about(self, subject: &'a str) -> Object<'a> {
        Object { subject, ..self }
    }
}

impl<'a> Beside<'a> {
    fn of(extension: ExtensionView<'a>) -> Beside<'a> {
        Beside {
            metadata: metadata(extension.metadata()),
            priority: extension.priority(),
            destination: extension.destination(),
            correlation: extension.correlation(),
            reply_subject: extension.reply_subject(),
            deadline_ns: extension.deadline().map(|time| time.monotonic_ns()),
            attempts: extension.attempts(),
            route: extension.route().collect(),
        }
    }
}

/// By name; a name that occurs several times has a list.
fn metadata<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Map<String, Value> {
    let mut all = Map::new();
    for (name, value) in pairs {
        let value = Value::from(value);
        match all.get_mut(name) {
            None => drop(all.insert(name.to_owned(), value)),
            Some(Value::Array(several)) => several.push(value),
            Some(one) => *one = Value::from(vec![one.take(), value]),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_for_people() {
        let shown = |bytes: &[u8]| Shown(bytes).to_string();
        assert_eq!(shown(b""), "");
        assert_eq!(shown("grün\tund \x1b[31mrot\n".as_bytes()), "grün\tund \\u{1b}[31mrot\\n");
        assert_eq!(shown(&[0xff, 0x00]), "ff00");
        assert!(shown(&[0xff; 100]).ends_with("ff… and 36 more"));
    }

    #[test]
    fn payloads_in_json() {
        let json = |bytes: &[u8]| serde_json::to_string(&Payload::of(bytes)).expect("JSON");
        assert_eq!(json(b"a\"\n"), r#"{"len":3,"text":"a\"\n"}"#);
        assert_eq!(json(&[0xff, 0x0a]), r#"{"len":2,"hex":"ff0a"}"#);
        assert_eq!(json(b""), r#"{"len":0,"text":""}"#);
    }

    #[test]
    fn names_that_occur_several_times() {
        let all = metadata([("a", "1"), ("b", "2"), ("a", "3"), ("a", "4")].into_iter());
        assert_eq!(Value::from(all).to_string(), r#"{"a":["1","3","4"],"b":"2"}"#);
    }
}
