//! Whatever bytes come: every decoder answers with a value or a named rejection, and what decodes survives a round trip.

use prunella_core::frame::{Frame, FrameKey, Labels};
use prunella_core::gossip::{self, Gate, Moment};
use prunella_core::record::{SignedRecord, VerifiedCache};
use prunella_core::recording::{Entry, Header};
use prunella_core::wire::stream::{Opening, StreamReply};
use prunella_core::wire::{Admission, AdmissionReply, Control, codec};
use prunella_core::{Instant, Label, TraceContext, monitor};

const UNIX_MS: u64 = 1_800_000_000_000;

/// What the bytes were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    /// Whether they are a message between neighbors.
    pub(crate) message: bool,
    /// How many good signatures they hold.
    pub(crate) signatures: usize,
    /// Whether they open a stream.
    pub(crate) opening: bool,
}

/// Gives the bytes to every decoder.
pub(crate) fn read(bytes: &[u8]) -> Read {
    let control = codec::decode_message::<Control>(bytes);
    if let Ok(control) = &control {
        assert_eq!(codec::decode_message(&codec::encode_message(control)).as_ref(), Ok(control));
        let _ = gossip::verify(control.clone(), UNIX_MS);
    }
    let at = Moment { now: Instant::BOOT, unix_ms: UNIX_MS };
    let mut known = VerifiedCache::with_room_for(64);
    let mut gate = || Gate::greeted(1000, at.now).read(bytes, at, &mut known);
    assert_eq!(gate(), gate(), "a signature that is known changes nothing");
    let _ = Gate::new(1000, at.now).read(bytes, at, &mut VerifiedCache::with_room_for(0));
    round_trip::<Admission>(bytes);
    round_trip::<AdmissionReply>(bytes);
    let _ = codec::decode::<SignedRecord>(bytes).map(|claim| claim.verify(UNIX_MS));
    let opening = Opening::decode(bytes).map(|open| assert_eq!(Opening::decode(&open.encode()), Ok(open))).is_ok();
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ =
            TraceContext::parse(text).map(|context| assert_eq!(TraceContext::parse(&context.to_string()), Ok(context)));
    }
    // Encoding shortens a long reason, so that only the second round is the same again.
    let _ = StreamReply::decode(bytes).map(|reply| StreamReply::decode(&reply.encode()));
    recording(bytes);
    frame(&mut bytes.to_vec());
    Read { message: control.is_ok(), signatures: known.len(), opening }
}

/// What a recording may hold, which may come from anywhere.
fn recording(bytes: &[u8]) {
    let _ = Entry::decode(bytes).map(|entry| assert_eq!(Entry::decode(&entry.encode()), Ok(entry)));
    let _ = Header::decode(bytes).map(|header| assert_eq!(Header::decode(&header.encode()), Ok(header)));
    let _ = codec::decode_plain::<gossip::Input>(bytes);
    let _ = codec::decode_plain::<monitor::Input>(bytes);
}

fn round_trip<T: bincode::Decode<()> + bincode::Encode + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(message) = codec::decode_message::<T>(bytes) {
        assert_eq!(codec::decode_message(&codec::encode_message(&message)), Ok(message));
    }
}

/// What a node does with a frame: follow the labels as far as they go, and find the way back.
fn frame(bytes: &mut [u8]) {
    let key = FrameKey::from_bytes([7; 16]);
    let Ok(mut frame) = Frame::parse(bytes) else { return };
    let _ = frame.verify(&key);
    frame.reseal(frame.sequence(), &key);
    assert_eq!(frame.verify(&key), Ok(()), "what was just sealed is authentic");
    let hops = usize::from(frame.cursor());
    let mut ahead = 0;
    while frame.next_label().is_some() {
        frame.advance(Label(ahead));
        ahead += 1;
    }
    let back: Labels = frame.way_back();
    assert_eq!(back.as_slice().len(), hops + usize::from(ahead), "the way back is as long as the way");
    let _ = (frame.kind(), frame.is_link_probe(), frame.source(), frame.path(), frame.payload().len());
}
