//! Control messages: bytes that a hostile process sends over the socket, and the round trip of
//! every message that we send.
#![no_main]

#[cfg(not(ephapse_fuzz))]
compile_error!(
    "this target needs RUSTFLAGS=\"--cfg ephapse_fuzz\"; use `cargo xtask fuzz protocol`"
);

use ephapse::fuzzing::{VERSION, decode_both, round_trip};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((how, bytes)) = bytes.split_first() else { return };
    match how % 4 {
        0 => drop(decode_both(bytes)),
        1 => round_trip(bytes),
        // With a preamble that fits, so that the archive is looked at.
        kind => {
            let message = with_preamble(u16::from(kind) - 1, bytes);
            for result in decode_both(&message) {
                if let Err(error) = result {
                    let text = error.to_string();
                    assert!(text.ends_with("that is not valid"), "the preamble is wrong: {text}");
                }
            }
        }
    }
});

fn with_preamble(kind: u16, archive: &[u8]) -> Vec<u8> {
    let mut message = b"EPH:".to_vec();
    message.extend_from_slice(&VERSION.to_le_bytes());
    message.extend_from_slice(&kind.to_le_bytes());
    message.extend_from_slice(&(archive.len() as u32).to_le_bytes());
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(archive);
    message
}
