//! Layout texts and payloads from hostile hubs: whatever they say is printed and decoded, or refused.
#![no_main]

use ephapse_schema::EventType;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &[u8])| {
    let (text, payload) = input;
    let Ok(ty) = EventType::parse("fuzz.Event", 1, text) else { return };
    assert_eq!(ty.layout().to_string(), text);
    let _ = ty.c_header();
    assert!(ty.to_json().is_object() && !ty.rust().contains('\0'));
    // A flat type has one length, which is not found by chance.
    let mut payload = payload.to_vec();
    if ty.layout().is_flat() && ty.layout().size <= 1 << 16 {
        payload.resize(ty.layout().size, 0);
    }
    let Ok(value) = ty.decode(&payload) else { return };
    if ty.layout().is_flat() {
        let again = ty.encode(&value).expect("what was decoded is a value");
        assert_eq!(ty.decode(&again), Ok(value));
    }
});
