//! The schemas that this process has computed, so that hubs can describe what they publish.

use ephapse::Hub;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::yield_now;

/// Schemas that are kept; a program that computes more of them describes only the first.
const KEPT_MAX: usize = 1024;

/// How often the table is tried: a child that was forked while another thread held it never gets it,
/// and goes on without.
const TRIES: u32 = 1000;

/// What a schema was computed from.
struct Text {
    name: String,
    version: u32,
    layout: String,
}

type Texts = Option<HashMap<u64, Arc<Text>>>;

static TEXTS: Mutex<Texts> = Mutex::new(None);

fn texts() -> Option<MutexGuard<'static, Texts>> {
    (0..TRIES).find_map(|_| TEXTS.try_lock().inspect_err(|_| yield_now()).ok())
}

/// Remembers what a schema was computed from.
pub(crate) fn remember(schema: u64, name: &str, version: u32, layout: &str) {
    let Some(mut texts) = texts() else { return };
    let texts = texts.get_or_insert_default();
    if texts.len() < KEPT_MAX {
        let text = || Text { name: name.to_owned(), version, layout: layout.to_owned() };
        texts.entry(schema).or_insert_with(|| Arc::new(text()));
    }
}

/// Has a hub describe a schema, if this process has computed it.
pub(crate) fn describe(hub: &Hub, schema: u64) {
    // Before each event for one hub: the rest is for the first of them.
    if hub.has_described(schema) {
        return;
    }
    let text = texts().and_then(|texts| texts.as_ref()?.get(&schema).cloned());
    if let Some(text) = text {
        hub.describe(&text.name, text.version, &text.layout);
    }
}
