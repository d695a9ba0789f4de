//! One event as a message of the file: see the module above for the bytes.

use std::collections::BTreeMap;

use ephapse::Envelope;
use ephapse::event::ExtensionView;
use ephapse_schema::EventType;

/// Bytes before the extension.
const HEAD: usize = 24;

/// The event carried a timestamp.
const STAMPED: u16 = 1;

/// What all events of a channel have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) subject: String,
    pub(super) source: String,
    pub(super) source_id: u64,
    pub(super) schema: u64,
    /// What a hub says of the type, if one did.
    pub(super) described: Option<Described>,
}

/// A type as text: all of it together gives the schema.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) version: u32,
    pub(super) layout: String,
}

impl Described {
    pub(super) fn of(ty: &EventType) -> Described {
        let layout = ty.layout().to_string();
        Described { name: ty.name().to_owned(), version: ty.version(), layout }
    }
}

impl Origin {
    /// For the channel's record.
    pub(super) fn metadata(&self) -> BTreeMap<String, String> {
        let pairs = [
            ("source", self.source.clone()),
            ("source_id", self.source_id.to_string()),
            ("schema", format!("{:016x}", self.schema)),
        ];
        let described = self.described.iter().flat_map(|Described { name, version, layout }| {
            [("type", name.clone()), ("version", version.to_string()), ("layout", layout.clone())]
        });
        let all = pairs.into_iter().chain(described);
        all.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Of a channel's record; `None` if something is not there.
    pub(super) fn of(topic: &str, metadata: &BTreeMap<String, String>) -> Option<Origin> {
        let described = || {
            Some(Described {
                name: metadata.get("type")?.clone(),
                version: metadata.get("version")?.parse().ok()?,
                layout: metadata.get("layout")?.clone(),
            })
        };
        Some(Origin {
            subject: topic.to_owned(),
            source: metadata.get("source")?.clone(),
            source_id: metadata.get("source_id")?.parse().ok()?,
            schema: u64::from_str_radix(metadata.get("schema")?, 16).ok()?,
            described: described(),
        })
    }
}

/// Writes an event behind what `out` holds.
pub(super) fn write(event: &Envelope<'_>, out: &mut Vec<u8>) {
    let extension = event.extension();
    let timestamp = event.timestamp();
    let deadline = extension.and_then(|extension| extension.deadline());
    // One that has passed has the least that is told apart from none.
    let left = deadline.map(|deadline| match timestamp {
        Some(sent) => deadline.since(sent).max(1),
        None => deadline.since(ephapse::Timestamp::now()).max(1),
    });
    let extension = extension.map_or(&[][..], |extension| extension.bytes());
    out.extend_from_slice(&event.sequence().to_le_bytes());
    out.extend_from_slice(&left.unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&(extension.len() as u16).to_le_bytes());
    out.extend_from_slice(&(if timestamp.is_some() { STAMPED } else { 0 }).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(extension);
    out.extend_from_slice(event.bytes());
}

/// An event that was read from a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored<'a> {
    pub(super) sequence: u64,
    /// From when it was sent to its deadline, if it has one.
    pub(super) left_ns: Option<u64>,
    pub(super) extension: Option<ExtensionView<'a>>,
    pub(super) payload: &'a [u8],
}

impl<'a> Stored<'a> {
    /// `None` if these bytes are no event.
    pub(super) fn of(bytes: &'a [u8]) -> Option<Stored<'a>> {
        let (head, body) = bytes.split_at_checked(HEAD)?;
        let word = |at: usize| Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?));
        let len = usize::from(u16::from_le_bytes([head[16], head[17]]));
        let (extension, payload) = body.split_at_checked(len)?;
        let extension = match len {
            0 => None,
            // It says itself how long it is.
            _ => Some(ExtensionView::split(extension).filter(|(_, rest)| rest.is_empty())?.0),
        };
        let left_ns = Some(word(8)?).filter(|left| *left != 0);
        Some(Stored { sequence: word(0)?, left_ns, extension, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_come_back() {
        let mut origin = Origin {
            subject: "robot.pose".into(),
            source: "camera".into(),
            source_id: u64::MAX,
            schema: 0xfe,
            described: None,
        };
        assert_eq!(Origin::of("robot.pose", &origin.metadata()).as_ref(), Some(&origin));
        let layout = "Pose{x:f64}".to_owned();
        origin.described = Some(Described { name: "robot.Pose".into(), version: 2, layout });
        assert_eq!(Origin::of("robot.pose", &origin.metadata()), Some(origin));
        assert_eq!(Origin::of("robot.pose", &BTreeMap::new()), None);
    }

    #[test]
    fn the_bytes_are_as_documented() {
        let mut extension = [0; 32];
        extension[0] = 32;
        extension[2] = 9;
        let mut bytes =
            vec![7, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 32, 0, 1, 0, 0, 0, 0, 0];
        bytes.extend_from_slice(&extension);
        bytes.extend_from_slice(b"payload");
        let stored = Stored::of(&bytes).expect("an event");
        assert_eq!((stored.sequence, stored.left_ns), (7, Some(5)));
        assert_eq!(stored.extension.map(|extension| extension.priority()), Some(9));
        assert_eq!(stored.payload, b"payload");
        assert_eq!(Stored::of(&bytes[..HEAD + 31]), None, "a part of its extension");
        assert_eq!(Stored::of(&bytes[..HEAD - 1]), None);
        bytes[16] = 64;
        assert_eq!(Stored::of(&bytes), None, "another length than the extension says");
    }
}
