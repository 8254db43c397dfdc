//! One message on the control socket: one line of JSON, never longer than `limits::CONTROL_LINE_BYTES_MAX`.

use std::io;

use prunella_core::limits::CONTROL_LINE_BYTES_MAX;
use serde::Serialize;
use tokio::io::AsyncBufRead;

pub(super) use crate::transport::Line;
use crate::transport::read_line;

/// Reads one line into `line`, which is cleared first.
pub(super) async fn read(reader: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> io::Result<Line> {
    read_line(reader, line, CONTROL_LINE_BYTES_MAX).await
}

/// The message as a line with its end; `None` if it is longer than a line may be.
pub(super) fn encode(message: &impl Serialize) -> Option<Vec<u8>> {
    let mut line = serde_json::to_vec(message).expect("BUG: every message of the vocabulary has a JSON form");
    line.push(b'\n');
    (line.len() <= CONTROL_LINE_BYTES_MAX + 1).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_told_from_an_end_and_from_excess() {
        let mut line = Vec::new();
        let mut reader: &[u8] = b"one\ntwo";
        assert_eq!(read(&mut reader, &mut line).await.unwrap(), Line::Whole);
        assert_eq!(line, b"one");
        assert_eq!(read(&mut reader, &mut line).await.unwrap(), Line::End);

        let mut longest = vec![b'x'; CONTROL_LINE_BYTES_MAX];
        longest.push(b'\n');
        assert_eq!(read(&mut longest.as_slice(), &mut line).await.unwrap(), Line::Whole);
        longest.insert(0, b'x');
        assert_eq!(read(&mut longest.as_slice(), &mut line).await.unwrap(), Line::TooLong);
    }

    #[test]
    fn a_message_that_is_too_long_has_no_line() {
        assert_eq!(encode(&"x".repeat(CONTROL_LINE_BYTES_MAX - 2)).unwrap().len(), CONTROL_LINE_BYTES_MAX + 1);
        assert_eq!(encode(&"x".repeat(CONTROL_LINE_BYTES_MAX - 1)), None);
    }
}
