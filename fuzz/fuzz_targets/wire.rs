//! Whatever bytes come: every decoder answers with a value or a named rejection, and what decodes survives a round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prunella_core::Instant;
use prunella_core::frame::Frame;
use prunella_core::gossip::{self, Gate, Moment};
use prunella_core::record::{SignedRecord, VerifiedCache};
use prunella_core::wire::stream::{StreamOpen, StreamReply};
use prunella_core::wire::{Admission, AdmissionReply, Control, codec};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(control) = codec::decode_message::<Control>(bytes) {
        assert_eq!(codec::decode_message(&codec::encode_message(&control)), Ok(control.clone()));
        let _ = gossip::verify(control, 1_800_000_000_000);
    }
    let at = Moment { now: Instant::BOOT, unix_ms: 1_800_000_000_000 };
    let mut known = VerifiedCache::with_room_for(64);
    let mut read = || Gate::greeted(1000, at.now).read(bytes, at, &mut known);
    assert_eq!(read(), read(), "a signature that is known changes nothing");
    let _ = codec::decode_message::<Admission>(bytes);
    let _ = codec::decode_message::<AdmissionReply>(bytes);
    let _ = codec::decode::<SignedRecord>(bytes).map(|claim| claim.verify(1_800_000_000_000));
    let _ = StreamOpen::decode(bytes);
    let _ = StreamReply::decode(bytes);
    let _ = Frame::parse(&mut bytes.to_vec());
});
