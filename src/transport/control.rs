//! The control stream of one link: messages in, through the gossip's gate; messages out, from a bounded queue.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use prunella_core::gossip::{Gate, Moment, Said};
use prunella_core::identity::PublicKey;
use prunella_core::limits::CONTROL_MESSAGE_BYTES_MAX;
use prunella_core::record::{Known, SignatureKey, VerifiedCache};
use prunella_core::wire::{Control, codec};
use prunella_core::{PeerId, Rejected};

use super::framing::{FramingError, MessageReader, framed};
use super::traffic::Traffic;
use crate::host::Host;

/// Rejected messages in a row after which a neighbor is taken for broken or hostile, and its link closed.
pub(super) const REJECTED_IN_ROW_MAX: u32 = 32;

/// What came of one read.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    /// A message, checked.
    Said(Said),
    /// A message that was dropped; more may follow.
    Rejected(Rejected),
    /// Nothing more will be read, and why.
    End(String),
}

/// The reading side of a control stream.
pub(super) struct ControlReader<R> {
    stream: R,
    messages: MessageReader,
    gate: Gate,
    hearing: Arc<Hearing>,
    rejected_in_row: u32,
}

/// What the readers of all links share.
pub(super) struct Hearing {
    messages_per_second: u32,
    host: Arc<dyn Host>,
    boot: Instant,
    known: Mutex<VerifiedCache>,
    pub(super) traffic: Traffic,
}

impl Hearing {
    /// For so many messages per second and neighbor, with the wall clock of this host.
    pub(super) fn new(messages_per_second: u32, host: Arc<dyn Host>) -> Self {
        Self { messages_per_second, host, boot: Instant::now(), known: Mutex::default(), traffic: Traffic::default() }
    }

    fn moment(&self) -> Moment {
        let now = prunella_core::Instant::BOOT + self.boot.elapsed();
        Moment { now, unix_ms: self.host.unix_time().as_millis() as u64 }
    }
}

/// The lock is held to look a signature up, never while one is checked.
impl Known for &Hearing {
    fn holds(&mut self, key: &SignatureKey) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).holds(key)
    }

    fn add(&mut self, key: SignatureKey) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).add(key);
    }

    fn signer(&mut self, origin: &PeerId) -> Option<PublicKey> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).signer(origin)
    }

    fn met(&mut self, origin: &PeerId, key: PublicKey) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).met(origin, key);
    }
}

impl<R: AsyncRead + Unpin> ControlReader<R> {
    /// Reads from `stream`.
    pub(super) fn new(stream: R, hearing: Arc<Hearing>) -> Self {
        Self {
            stream,
            messages: MessageReader::new(CONTROL_MESSAGE_BYTES_MAX),
            gate: Gate::new(hearing.messages_per_second, hearing.moment().now),
            hearing,
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
        match self.gate.read(&bytes, self.hearing.moment(), &mut &*self.hearing) {
            Ok(said) => {
                self.rejected_in_row = 0;
                self.hearing.traffic.hears(&said, bytes.len());
                Heard::Said(said)
            }
            // It does not say that the message is wrong: it does not count towards the closing of the link.
            Err(Rejected::Flood) => Heard::Rejected(Rejected::Flood),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prunella_core::reconcile::Message;
    use prunella_core::{Label, gossip};

    use super::*;
    use crate::host::Machine;

    const SUMMARY: Control = Control::Reconcile(Message::Summary { root: [1; 32], items: 0, fresh: true });

    fn summary() -> Vec<u8> {
        encoded(&SUMMARY).unwrap()
    }

    fn hello() -> Vec<u8> {
        encoded(&Control::Hello { incarnation: 1, label: Label(1) }).unwrap()
    }

    fn hearing(messages_per_second: u32) -> Hearing {
        Hearing::new(messages_per_second, Machine::shared())
    }

    /// What comes of these bytes after a greeting.
    async fn heard(bytes: &[u8]) -> Vec<Heard> {
        let bytes = [&hello(), bytes].concat();
        let mut reader = ControlReader::new(bytes.as_slice(), Arc::new(hearing(1000)));
        assert!(matches!(reader.next().await, Heard::Said(Said::Hello { .. })));
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
        let message = gossip::Heard::Reconcile(Message::Summary { root: [1; 32], items: 0, fresh: true });
        assert_eq!(heard[2], Heard::Said(Said::Message { message, bad: vec![] }));
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
        let bytes = [hello(), summary().repeat(100)].concat();
        // Nothing is earned before an hour has passed.
        let boot = Instant::now() + Duration::from_secs(3600);
        let mut reader = ControlReader::new(bytes.as_slice(), Arc::new(Hearing { boot, ..hearing(10) }));
        for _ in 0..10 {
            assert!(matches!(reader.next().await, Heard::Said(_)));
        }
        for _ in 10..101 {
            assert_eq!(reader.next().await, Heard::Rejected(Rejected::Flood));
        }
        assert!(matches!(reader.next().await, Heard::End(reason) if reason.contains("ended")));
    }
}
