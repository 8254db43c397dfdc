//! Whatever bytes come: tokens, configurations, lines of the control socket and statements are read or refused.
#![no_main]

#[path = "../bodies/texts.rs"]
mod texts;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    texts::read(bytes);
});
