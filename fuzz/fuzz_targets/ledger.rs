//! Whatever bytes come: entries, heads, proofs and attestations are read or refused.
#![no_main]

#[path = "../bodies/ledger.rs"]
mod ledger;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    ledger::read(bytes);
});
