//! Messages on a byte stream: a length (u32, big-endian), then that many bytes.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Why no further message can be read from a stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FramingError {
    /// The announced length is over the limit. Where the next message starts is unknown, so the stream is of no more
    /// use.
    #[error("a message of {bytes} bytes is over the limit of {bytes_max}")]
    OverLimit {
        /// The announced length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The stream ended inside a message.
    #[error("the stream ended inside a message")]
    Truncated,
    /// The stream failed.
    #[error("the stream failed: {0}")]
    Stream(#[from] io::Error),
}

/// Reads messages off a stream, never a byte beyond the current one; [`MessageReader::read`] may be cancelled and called
/// again.
#[derive(Debug)]
pub(crate) struct MessageReader {
    /// What has arrived of the current message, its length included. Grows with what arrives, not with what is claimed.
    partial: Vec<u8>,
    bytes_max: usize,
}

impl MessageReader {
    /// A reader that refuses messages of more than `bytes_max` bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { partial: Vec::new(), bytes_max }
    }

    /// The next message; `None` if the stream ended between two messages.
    pub(crate) async fn read<R: AsyncRead + Unpin>(&mut self, stream: &mut R) -> Result<Option<Vec<u8>>, FramingError> {
        loop {
            let missing = self.missing()?;
            if missing == 0 {
                let mut message = std::mem::take(&mut self.partial);
                message.drain(..PREFIX_BYTES);
                return Ok(Some(message));
            }
            self.partial.reserve(missing.min(READ_BYTES_MAX));
            if (&mut *stream).take(missing as u64).read_buf(&mut self.partial).await? == 0 {
                return if self.partial.is_empty() { Ok(None) } else { Err(FramingError::Truncated) };
            }
        }
    }

    /// Bytes to read before the current message, or its length, is complete.
    fn missing(&self) -> Result<usize, FramingError> {
        let Some(prefix) = self.partial.first_chunk::<PREFIX_BYTES>() else {
            return Ok(PREFIX_BYTES - self.partial.len());
        };
        let bytes = u32::from_be_bytes(*prefix) as usize;
        if bytes > self.bytes_max {
            return Err(FramingError::OverLimit { bytes, bytes_max: self.bytes_max });
        }
        Ok(PREFIX_BYTES + bytes - self.partial.len())
    }
}

/// The message as it stands on the stream: its length and its bytes.
///
/// # Panics
/// If the message is longer than a length can say; every limit is far below.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let bytes = u32::try_from(message.len()).expect("BUG: a message's limit is far below 4 GiB");
    [bytes.to_be_bytes().as_slice(), message].concat()
}

const PREFIX_BYTES: usize = 4;
/// Most memory set aside for what was announced but has not arrived.
const READ_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn messages_come_out_as_they_went_in() {
        let sent: Vec<Vec<u8>> = [0usize, 1, 5, 100_000].iter().map(|n| vec![7; *n]).collect();
        let bytes: Vec<u8> = sent.iter().flat_map(|message| framed(message)).collect();
        let mut stream = bytes.as_slice();
        let mut reader = MessageReader::new(100_000);
        for message in sent {
            assert_eq!(reader.read(&mut stream).await.unwrap(), Some(message));
        }
        assert_eq!(reader.read(&mut stream).await.unwrap(), None);
    }

    #[tokio::test]
    async fn no_byte_is_taken_beyond_the_message() {
        let bytes = [framed(b"header"), b"rest".to_vec()].concat();
        let mut stream = bytes.as_slice();
        MessageReader::new(10).read(&mut stream).await.unwrap();
        assert_eq!(stream, b"rest");
    }

    #[tokio::test]
    async fn an_overlong_message_is_refused_by_its_length_alone() {
        let length = u32::MAX.to_be_bytes();
        let error = MessageReader::new(10).read(&mut length.as_slice()).await.unwrap_err();
        assert!(matches!(error, FramingError::OverLimit { bytes: 0xffff_ffff, bytes_max: 10 }));
    }

    #[tokio::test]
    async fn an_end_inside_a_message_is_not_an_end() {
        for cut in 1..9 {
            let bytes = framed(b"hello");
            let error = MessageReader::new(10).read(&mut &bytes[..cut]).await;
            assert!(matches!(error, Err(FramingError::Truncated)), "{cut}");
        }
    }

    #[tokio::test]
    async fn a_cancelled_read_loses_nothing() {
        let (mut writer, mut stream) = tokio::io::duplex(64);
        let mut reader = MessageReader::new(10);
        let bytes = framed(b"hello");
        for byte in &bytes[..bytes.len() - 1] {
            writer.write_all(&[*byte]).await.unwrap();
            let unfinished = tokio::time::timeout(Duration::ZERO, reader.read(&mut stream)).await;
            assert!(unfinished.is_err(), "the message is not complete");
        }
        writer.write_all(b"o").await.unwrap();
        assert_eq!(reader.read(&mut stream).await.unwrap(), Some(b"hello".to_vec()));
    }
}
