//! Replays the committed fuzz corpus through every decoder, so that what a fuzzer once found stays found.

use std::path::Path;

use prunella_core::Instant;
use prunella_core::frame::Frame;
use prunella_core::gossip::{self, Gate, Moment};
use prunella_core::record::{SignedRecord, VerifiedCache};
use prunella_core::wire::stream::{StreamOpen, StreamReply};
use prunella_core::wire::{Admission, AdmissionReply, Control, codec};

#[test]
fn every_decoder_answers_to_the_whole_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/wire");
    let mut decoded = 0;
    let mut replayed = 0;
    let mut verified = 0;
    for entry in std::fs::read_dir(&corpus).expect("the corpus is committed") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a corpus file");
        replayed += 1;
        if let Ok(control) = codec::decode_message::<Control>(&bytes) {
            decoded += 1;
            assert_eq!(codec::decode_message(&codec::encode_message(&control)), Ok(control.clone()));
            let _ = gossip::verify(control, 1_800_000_000_000);
        }
        let at = Moment { now: Instant::BOOT, unix_ms: 1_800_000_000_000 };
        let mut known = VerifiedCache::with_room_for(64);
        let mut read = || Gate::greeted(1000, at.now).read(&bytes, at, &mut known);
        assert_eq!(read(), read(), "a signature that is known changes nothing");
        verified += known.len();
        let _ = codec::decode_message::<Admission>(&bytes);
        let _ = codec::decode_message::<AdmissionReply>(&bytes);
        let _ = codec::decode::<SignedRecord>(&bytes).map(|claim| claim.verify(1_800_000_000_000));
        let _ = StreamOpen::decode(&bytes);
        let _ = StreamReply::decode(&bytes);
        let _ = Frame::parse(&mut bytes.clone());
    }
    assert!(replayed >= 8 && decoded >= 3, "{replayed} files, {decoded} of them are messages");
    assert!(verified >= 4, "the corpus holds a single record, a batch and a proof that verify: {verified} signatures");
}
