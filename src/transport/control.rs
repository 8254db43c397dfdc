//! The control stream of one link: messages in, bounded in size and rate; messages out, from a bounded queue.

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use prunella_core::Rejected;
use prunella_core::limits::{CONTROL_MESSAGE_BYTES_MAX, CONTROL_RATE_PER_SECOND};
use prunella_core::wire::{Control, codec};

use super::framing::{FramingError, MessageReader, framed};

/// Rejected messages in a row after which a neighbor is taken for broken or hostile, and its link closed.
pub(super) const REJECTED_IN_ROW_MAX: u32 = 32;

/// What came of one read.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    /// A message.
    Control(Control),
    /// A message that was dropped; more may follow.
    Rejected(Rejected),
    /// Nothing more will be read, and why.
    End(String),
}

/// The reading side of a control stream.
pub(super) struct ControlReader<R> {
    stream: R,
    messages: MessageReader,
    allowance: Allowance,
    rejected_in_row: u32,
}

impl<R: AsyncRead + Unpin> ControlReader<R> {
    /// Reads from `stream`.
    pub(super) fn new(stream: R) -> Self {
        Self {
            stream,
            messages: MessageReader::new(CONTROL_MESSAGE_BYTES_MAX),
            allowance: Allowance::full(Instant::now()),
            rejected_in_row: 0,
        }
    }

    /// The next message, or why there is none.
    pub(super) async fn next(&mut self) -> Heard {
        if self.rejected_in_row >= REJECTED_IN_ROW_MAX {
            return Heard::End(format!("{REJECTED_IN_ROW_MAX} control messages in a row were rejected"));
        }
        let bytes = match self.messages.read(&mut self.stream).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Heard::End("the neighbor ended its control stream".to_owned()),
            Err(FramingError::OverLimit { .. }) => {
                // Where the next message starts is unknown: this is the last word.
                self.rejected_in_row = REJECTED_IN_ROW_MAX;
                return Heard::Rejected(Rejected::OverLimit);
            }
            Err(error) => return Heard::End(error.to_string()),
        };
        if !self.allowance.take(Instant::now()) {
            // Too fast is not wrong: it does not count towards the closing of the link.
            return Heard::Rejected(Rejected::OverLimit);
        }
        match codec::decode_message(&bytes) {
            Ok(control) => {
                self.rejected_in_row = 0;
                Heard::Control(control)
            }
            Err(reason) => {
                self.rejected_in_row += 1;
                Heard::Rejected(reason)
            }
        }
    }
}

/// Writes what is queued until the stream fails or the queue's senders are gone; returns why.
pub(super) async fn write<W: AsyncWrite + Unpin>(mut stream: W, mut queue: mpsc::Receiver<Vec<u8>>) -> String {
    while let Some(message) = queue.recv().await {
        if let Err(error) = stream.write_all(&message).await {
            return format!("the control stream failed: {error}");
        }
    }
    "this node closed the link".to_owned()
}

/// A message as it stands on the control stream; `None` if it is longer than one may be.
pub(super) fn encoded(control: &Control) -> Option<Vec<u8>> {
    let message = codec::encode_message(control);
    (message.len() <= CONTROL_MESSAGE_BYTES_MAX).then(|| framed(&message))
}

/// A token bucket: [`CONTROL_RATE_PER_SECOND`] messages per second, with as much burst.
struct Allowance {
    tokens: f64,
    filled: Instant,
}

impl Allowance {
    fn full(now: Instant) -> Self {
        Self { tokens: f64::from(CONTROL_RATE_PER_SECOND), filled: now }
    }

    /// Whether one more message is allowed at `now`.
    fn take(&mut self, now: Instant) -> bool {
        let rate = f64::from(CONTROL_RATE_PER_SECOND);
        let gained = now.saturating_duration_since(self.filled).as_secs_f64() * rate;
        self.tokens = (self.tokens + gained).min(rate);
        self.filled = self.filled.max(now);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prunella_core::reconcile::Message;

    use super::*;

    const SUMMARY: Control = Control::Reconcile(Message::Summary { root: [1; 32], items: 0 });

    fn summary() -> Vec<u8> {
        encoded(&SUMMARY).unwrap()
    }

    async fn heard(bytes: &[u8]) -> Vec<Heard> {
        let mut reader = ControlReader::new(bytes);
        let mut all = Vec::new();
        loop {
            all.push(reader.next().await);
            if matches!(all.last(), Some(Heard::End(_))) {
                return all;
            }
        }
    }

    #[tokio::test]
    async fn garbage_is_rejected_and_the_next_message_is_heard() {
        let bytes = [framed(&[]), framed(&[99, 1, 2]), summary()].concat();
        let heard = heard(&bytes).await;
        assert_eq!(heard[0], Heard::Rejected(Rejected::Malformed));
        assert_eq!(heard[1], Heard::Rejected(Rejected::UnknownVersion));
        assert_eq!(heard[2], Heard::Control(SUMMARY));
    }

    #[tokio::test]
    async fn an_oversized_message_is_the_last() {
        let bytes = [u32::MAX.to_be_bytes().to_vec(), summary()].concat();
        let heard = heard(&bytes).await;
        assert_eq!(heard[0], Heard::Rejected(Rejected::OverLimit));
        assert!(matches!(heard[1], Heard::End(_)));
        assert_eq!(heard.len(), 2);
    }

    #[tokio::test]
    async fn too_many_rejected_in_a_row_end_the_link() {
        let row = REJECTED_IN_ROW_MAX as usize;
        let garbage = framed(&[]).repeat(row);
        assert_eq!(heard(&[garbage, summary()].concat()).await.len(), row + 1);
        let broken_row = [framed(&[]).repeat(row - 1), summary(), framed(&[])].concat();
        assert_eq!(heard(&broken_row).await.len(), row + 2, "a good message starts the count anew");
    }

    #[tokio::test]
    async fn messages_over_the_rate_are_dropped_and_end_nothing() {
        let many = 2 * CONTROL_RATE_PER_SECOND as usize;
        let bytes = summary().repeat(many);
        let mut reader = ControlReader::new(bytes.as_slice());
        // Spent, and nothing is earned before an hour has passed.
        reader.allowance = Allowance { tokens: 0.0, filled: Instant::now() + Duration::from_secs(3600) };
        for _ in 0..many {
            assert_eq!(reader.next().await, Heard::Rejected(Rejected::OverLimit));
        }
    }

    #[test]
    fn the_allowance_is_spent_at_once_and_earned_with_time() {
        let start = Instant::now();
        let mut allowance = Allowance::full(start);
        let rate = CONTROL_RATE_PER_SECOND;
        assert_eq!((0..2 * rate).filter(|_| allowance.take(start)).count(), rate as usize);
        let later = start + Duration::from_millis(10);
        assert_eq!((0..rate).filter(|_| allowance.take(later)).count(), rate as usize / 100);
        let much_later = start + Duration::from_secs(3600);
        assert_eq!((0..2 * rate).filter(|_| allowance.take(much_later)).count(), rate as usize, "it does not pile up");
    }
}
