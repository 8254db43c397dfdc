//! Sealing.

use std::io::{ErrorKind, Read, Write};

use aws_lc_rs::digest::{Context, SHA512};
use zeroize::Zeroizing;

use super::chunk::{CHUNK_BYTES, Chunks, Place, TAG_BYTES};
use super::header::Header;
use super::{SIGNED_BYTES, SIGNING_CONTEXT, SealError};
use crate::security::postquantum::{HybridError, HybridKeys, HybridPublicKey, X25519Secret};

/// Seals all of `input` for `to`, signed by `from` if there is a sender, and gives how many bytes it had. `progress` is told
/// how many are sealed, once in every chunk.
///
/// # Errors
/// Input or output fail, or [`SealError::TooLong`]. What was written by then does not open.
pub fn seal(
    input: &mut dyn Read,
    output: &mut dyn Write,
    to: &HybridPublicKey,
    from: Option<&HybridKeys>,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, SealError> {
    let ephemeral = X25519Secret::generate().map_err(HybridError::from)?;
    let (ciphertext, mlkem) = to.mlkem().encapsulate();
    let agreed = ephemeral.agree(to.x25519()).map_err(HybridError::from)?;
    let header =
        Header { signed: from.is_some(), recipient: to.fingerprint(), x25519: ephemeral.public_key(), ciphertext };
    let mut chunks = Chunks::new(header.key(to, &(agreed, mlkem)));
    let mut transcript = Context::new(&SHA512);
    let header = header.encode();
    transcript.update(&header);
    output.write_all(&header).map_err(SealError::Write)?;

    let mut bytes = 0;
    // Room for what is read ahead, and for the tag: a chunk is the last one if nothing comes after it.
    let mut chunk = Zeroizing::new(Vec::with_capacity(CHUNK_BYTES + TAG_BYTES));
    let mut ahead = Zeroizing::new(Vec::with_capacity(CHUNK_BYTES + TAG_BYTES));
    fill(input, &mut chunk, CHUNK_BYTES)?;
    loop {
        fill(input, &mut ahead, CHUNK_BYTES)?;
        let place = if ahead.is_empty() { Place::Last } else { Place::Within };
        bytes += chunk.len() as u64;
        if from.is_some() {
            transcript.update(&chunk);
        }
        chunks.seal(place, &mut chunk)?;
        output.write_all(&chunk).map_err(SealError::Write)?;
        progress(bytes);
        if place == Place::Last {
            break;
        }
        chunk.clear();
        std::mem::swap(&mut chunk, &mut ahead);
    }
    if let Some(keys) = from {
        let mut signed = Vec::with_capacity(SIGNED_BYTES + TAG_BYTES);
        signed.extend_from_slice(keys.public_key().as_bytes());
        signed.extend(keys.sign(SIGNING_CONTEXT, transcript.finish().as_ref())?);
        chunks.seal(Place::Signature, &mut signed)?;
        output.write_all(&signed).map_err(SealError::Write)?;
    }
    output.flush().map_err(SealError::Write)?;
    Ok(bytes)
}

/// Reads until `buffer` holds `bytes`, or the input ends.
pub(super) fn fill(input: &mut dyn Read, buffer: &mut Vec<u8>, bytes: usize) -> Result<(), SealError> {
    let mut filled = buffer.len();
    buffer.resize(bytes, 0);
    while filled < bytes {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(SealError::Read(error)),
        }
    }
    buffer.truncate(filled);
    Ok(())
}
