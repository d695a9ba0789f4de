//! Of what types the events of hubs are, as they say themselves.

use super::for_each_hub;
use crate::domain::Domain;
use crate::event::schema::schema_id;
use std::collections::BTreeMap;

/// What the events of a schema are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaText {
    /// The schema that they carry.
    pub id: u64,
    /// Their name.
    pub name: String,
    /// Their version.
    pub version: u32,
    /// The text of their layout, see [`event::schema`](crate::event::schema).
    pub layout: String,
    /// The hubs that say so, by name.
    pub hubs: Vec<String>,
}

/// The types of which hubs of this user, or of those in one domain, have opened publishers, sent
/// requests or replies, or said so by [`Hub::describe`](crate::Hub::describe); by name and version.
///
/// Nobody is asked, as with [`scan`](super::scan). What does not hash to the schema that it claims
/// to describe is passed over.
#[must_use]
pub fn schemas(domain: Option<&Domain>) -> Vec<SchemaText> {
    let mut all: BTreeMap<(String, u32, u64), SchemaText> = BTreeMap::new();
    for_each_hub(domain, |_, view| {
        for said in view.descriptions() {
            let id = schema_id(&said.name, said.version, &said.layout);
            if id != said.id {
                continue;
            }
            let entry = all.entry((said.name.clone(), said.version, id));
            let (name, version, layout) = (said.name, said.version, said.layout);
            let text =
                entry.or_insert_with(|| SchemaText { id, name, version, layout, hubs: Vec::new() });
            text.hubs.push(view.owner().name.clone());
        }
    });
    let mut all: Vec<_> = all.into_values().collect();
    for text in &mut all {
        text.hubs.sort();
        text.hubs.dedup();
    }
    all
}
