//! Whatever bytes come: sealed data and public keys are read or refused by name.
#![no_main]

#[path = "../bodies/sealed.rs"]
mod sealed;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    sealed::read(bytes);
});
