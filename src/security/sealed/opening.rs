//! Opening.

use std::io::{Read, Write};

use aws_lc_rs::digest::{Context, SHA512};
use zeroize::Zeroizing;

use super::chunk::{CHUNK_BYTES, Chunks, Place, TAG_BYTES};
use super::header::{HEADER_BYTES, Header};
use super::sealing::fill;
use super::{SIGNED_BYTES, SIGNING_CONTEXT, SealError};
use crate::security::postquantum::{HybridKeys, HybridPublicKey, PUBLIC_KEY_BYTES};

/// What was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// How many bytes came out.
    pub bytes: u64,
    /// Who sealed it, by both signatures; `None` if nobody signed. That the keys are those of the node that they name is
    /// proven by its Ed25519 key alone, unless they were asked for.
    pub sender: Option<HybridPublicKey>,
}

/// Opens all of `input`, which must be sealed for `keys`, and, if a sender is asked for, signed by exactly these keys of it.
/// `progress` is told how many bytes came out, once in every chunk.
///
/// # Errors
/// Any of [`SealError`]. What was written by then is a part of something, or not its sender's: it must not be used.
pub fn open(
    input: &mut dyn Read,
    output: &mut dyn Write,
    keys: &HybridKeys,
    from: Option<&HybridPublicKey>,
    progress: &mut dyn FnMut(u64),
) -> Result<Opened, SealError> {
    let header = read_header(input)?;
    let mine = keys.public_key();
    if header.recipient != mine.fingerprint() {
        return Err(SealError::OtherRecipient);
    }
    if from.is_some() && !header.signed {
        return Err(SealError::NotSigned);
    }
    // A key of low order was put there by somebody who wants no secret.
    let agreed = keys.agree(&header.x25519, header.ciphertext.as_slice()).map_err(|_| SealError::Malformed)?;
    let mut chunks = Chunks::new(header.key(mine, &agreed));
    let mut transcript = Context::new(&SHA512);
    transcript.update(&header.encode());

    let tail = if header.signed { SIGNED_BYTES + TAG_BYTES } else { 0 };
    // One byte more than a chunk and what comes after the last one: if it is there, the chunk is not the last.
    let ahead = CHUNK_BYTES + TAG_BYTES + tail + 1;
    let mut buffer = Zeroizing::new(Vec::with_capacity(ahead));
    let mut bytes = 0;
    loop {
        fill(input, &mut buffer, ahead)?;
        let is_last = buffer.len() < ahead;
        let sealed = if is_last { buffer.len().saturating_sub(tail) } else { CHUNK_BYTES + TAG_BYTES };
        if sealed < TAG_BYTES {
            return Err(SealError::Truncated);
        }
        let opened = open_chunk(&mut chunks, is_last, &mut buffer[..sealed])?;
        bytes += opened.len() as u64;
        if header.signed {
            transcript.update(opened);
        }
        output.write_all(opened).map_err(SealError::Write)?;
        progress(bytes);
        buffer.drain(..sealed);
        if is_last {
            break;
        }
    }
    output.flush().map_err(SealError::Write)?;
    if !header.signed {
        return Ok(Opened { bytes, sender: None });
    }
    let signed = chunks.open(Place::Signature, &mut buffer)?;
    let sender = check_sender(signed, transcript.finish().as_ref(), from)?;
    Ok(Opened { bytes, sender: Some(sender) })
}

/// Opens a chunk; one that would be the last, and is whole but not the last, tells that the rest is missing.
fn open_chunk<'a>(chunks: &mut Chunks, is_last: bool, sealed: &'a mut [u8]) -> Result<&'a [u8], SealError> {
    if !is_last {
        return chunks.open(Place::Within, sealed);
    }
    if sealed.len() == CHUNK_BYTES + TAG_BYTES {
        let mut copy = Zeroizing::new(sealed.to_vec());
        if chunks.peek(Place::Within, &mut copy) {
            return Err(SealError::Truncated);
        }
    }
    chunks.open(Place::Last, sealed)
}

fn check_sender(
    signed: &[u8],
    transcript: &[u8],
    from: Option<&HybridPublicKey>,
) -> Result<HybridPublicKey, SealError> {
    let (key, signature) = signed.split_at_checked(PUBLIC_KEY_BYTES).ok_or(SealError::Malformed)?;
    let sender = HybridPublicKey::from_bytes(key).map_err(SealError::Forged)?;
    // The signatures over the key itself may differ from time to time; what they sign may not.
    if from.is_some_and(|from| from.fingerprint() != sender.fingerprint()) {
        return Err(SealError::OtherSender { peer: sender.peer() });
    }
    sender.verify(SIGNING_CONTEXT, transcript, signature).map_err(SealError::Forged)?;
    Ok(sender)
}

fn read_header(input: &mut dyn Read) -> Result<Header, SealError> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    fill(input, &mut header, HEADER_BYTES)?;
    Header::decode(&header)
}
