//! Whatever bytes come: every decoder answers.
#![no_main]

#[path = "../bodies/wire.rs"]
mod wire;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    wire::read(bytes);
});
