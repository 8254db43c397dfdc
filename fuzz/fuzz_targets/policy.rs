//! Whatever a policy file holds: it is read or refused with a place.
#![no_main]

#[path = "../bodies/policy.rs"]
mod policy;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    policy::read(bytes);
});
