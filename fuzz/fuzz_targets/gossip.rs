//! Whatever neighbors say, in whatever order: a node of good faith stays within its limits, and says nothing bad itself.
#![no_main]

#[path = "../bodies/gossip.rs"]
mod gossip;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    gossip::converse(bytes);
});
