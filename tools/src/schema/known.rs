//! Types of events, found when they are needed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ephapse::event::RAW_SCHEMA;
use ephapse::{Domain, counters};
use ephapse_schema::EventType;
use serde_json::Value;

/// Between two looks at what hubs describe, for schemas that nobody has described.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What is known of the schemas of a domain.
#[derive(Debug)]
pub(crate) struct Known {
    domain: Domain,
    /// By schema; none if its layout is known to its author alone.
    types: HashMap<u64, Option<EventType>>,
    looked: Option<Instant>,
}

impl Known {
    /// Nothing yet.
    pub(crate) fn new(domain: Domain) -> Known {
        Known { domain, types: HashMap::new(), looked: None }
    }

    /// The type of events of a schema. Looks at the hubs of the domain if it is new, at most once a
    /// second: some hundred microseconds, mostly.
    pub(crate) fn type_of(&mut self, schema: u64) -> Option<&EventType> {
        if schema == RAW_SCHEMA {
            return None;
        }
        if !self.types.contains_key(&schema)
            && self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_AGAIN)
        {
            self.look();
        }
        self.types.get(&schema)?.as_ref()
    }

    /// What an event of a schema says, as far as that is known, and as the bytes are a value of it.
    pub(crate) fn fields_of(&mut self, schema: u64, bytes: &[u8]) -> Option<Value> {
        self.type_of(schema)?.decode(bytes).ok()
    }

    fn look(&mut self) {
        for described in counters::schemas(Some(&self.domain)) {
            let parse =
                || EventType::parse(&described.name, described.version, &described.layout).ok();
            self.types.entry(described.id).or_insert_with(parse);
        }
        self.looked = Some(Instant::now());
    }
}
