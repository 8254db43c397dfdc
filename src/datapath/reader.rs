//! What reads a UDP socket: tells apart what came, passes on what is for others, keeps what is for this node.

use std::io::{self, IoSliceMut};
use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use quinn_udp::{EcnCodepoint, RecvMeta};

use prunella_core::Rejected;
use prunella_core::frame::{Frame, HEADER_BYTES, Kind, is_quic};

use super::SessionName;
use super::outbox::{Outbox, Run};
use super::overlay::Inward;
use super::port::Port;
use super::spill::Spill;
use super::tables::{Link, Tables};

/// What the reader keeps between batches.
pub(super) struct Reader {
    outbox: Outbox,
    spill: Spill,
    inward: Inward,
    /// Whether what other readers took for the session endpoint is next.
    asides_next: bool,
}

impl Reader {
    /// The reader with this number; the session endpoint drives the first.
    pub(super) fn new(number: usize) -> Self {
        let (outbox, spill, inward) = (Outbox::new(), Spill::default(), Inward::by(number));
        Self { outbox, spill, inward, asides_next: false }
    }

    /// Receives until there is something for the session endpoint, up to a bounded amount of work for others.
    pub(super) fn poll(
        &mut self,
        port: &Port,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let until = port.clock() + TURN.as_nanos() as u64;
        while port.clock() < until {
            let spilled = self.hand_over_spilled(buffers, metas);
            if spilled > 0 {
                return Poll::Ready(Ok(spilled));
            }
            // By turns: nobody's packets wait for as long as others come.
            if mem::take(&mut self.asides_next)
                && let Poll::Ready(taken) = take_aside(port, cx, buffers, metas)
            {
                return Poll::Ready(Ok(taken));
            }
            let Poll::Ready(received) = port.udp.poll_recv(cx, buffers, metas)? else {
                return take_aside(port, cx, buffers, metas).map(Ok);
            };
            self.asides_next = true;
            let kept = self.sort_batch(port, &mut buffers[..received], &mut metas[..received]);
            if kept > 0 {
                return Poll::Ready(Ok(kept));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Moves session packets that did not fit the form of their batch to the buffers, and returns how many messages.
    pub(super) fn hand_over_spilled(&mut self, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> usize {
        self.spill.hand_over(buffers, metas)
    }

    /// Sorts a batch and returns how many messages, now the first ones, hold packets for the session endpoint.
    pub(super) fn sort_batch(&mut self, port: &Port, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> usize {
        let tables = port.tables.load();
        let now = port.clock();
        let Self { outbox, spill, inward, .. } = self;
        let alone = metas.len() == 1;
        let mut sorting = Sorting { port, tables: &tables, now, alone, quic: false, inward, heard: None };
        for (buffer, meta) in buffers.iter_mut().zip(metas.iter_mut()) {
            sorting.sort_message((outbox, spill), buffer, meta);
        }
        sorting.write_down();
        outbox.flush(port);
        sorting.inward.flush(port);
        if sorting.quic {
            port.quic.wake();
        }
        let mut kept = 0;
        for message in 0..metas.len() {
            if metas[message].len > 0 {
                buffers.swap(kept, message);
                metas.swap(kept, message);
                kept += 1;
            }
        }
        kept
    }
}

/// Takes what other readers have for the session endpoint, or has it woken when they have.
fn take_aside(port: &Port, cx: &Context<'_>, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> Poll<usize> {
    port.asides.as_ref().map_or(Poll::Pending, |asides| asides.sessions.poll_take(cx, buffers, metas))
}

/// Where one segment goes.
enum Fate<'a> {
    /// It was dealt with: dropped, answered, or given to the link endpoint.
    Done,
    /// It was rewritten and leaves on this link.
    Passes(&'a Arc<Link>),
    /// It is for this node's session endpoint.
    Stays(SessionName),
}

/// Segments of one message that lie together and leave on the same link.
struct Passing<'a> {
    link: &'a Arc<Link>,
    bytes: Range<usize>,
}

impl<'a> Passing<'a> {
    fn extends(&self, fate: &Fate<'_>, start: usize) -> bool {
        matches!(fate, Fate::Passes(link) if Arc::ptr_eq(link, self.link)) && self.bytes.end == start
    }

    fn over<'b>(self, buffer: &'b [u8], stride: usize, ecn: Option<EcnCodepoint>) -> Run<'b>
    where
        'a: 'b,
    {
        let bytes = &buffer[self.bytes];
        Run { link: self.link, bytes, stride: stride.min(bytes.len()), ecn }
    }
}

/// The packets of one message that stay: all of one session.
#[derive(Default)]
struct Kept {
    source: Option<SessionName>,
    stride: usize,
    end: usize,
}

impl Kept {
    /// Moves a packet to the end of those kept; `false` if it is of another session than they are.
    ///
    /// All segments of a message are of one length, and only the last may be shorter: so are the packets that stay.
    fn take(&mut self, buffer: &mut [u8], packet: Range<usize>, source: SessionName) -> bool {
        if *self.source.get_or_insert(source) != source {
            return false;
        }
        self.stride = self.stride.max(packet.len());
        buffer.copy_within(packet.clone(), self.end);
        self.end += packet.len();
        true
    }

    fn describe(&self, meta: &mut RecvMeta) {
        meta.len = self.end;
        if let Some(source) = self.source {
            meta.stride = self.stride;
            meta.addr = source.address();
            meta.dst_ip = None;
        }
    }
}

/// What came in a row on one link, which is written down at once.
struct Heard<'a> {
    link: &'a Arc<Link>,
    frames: u64,
    bytes: u64,
    carried: u64,
    forwarded: u64,
}

/// What is the same for all segments of a batch.
struct Sorting<'a> {
    port: &'a Port,
    tables: &'a Tables,
    now: u64,
    /// Whether the batch is a single message, which then has nobody to be joined with.
    alone: bool,
    /// Whether the link endpoint got something.
    quic: bool,
    /// Where packets of the overlay interface go.
    inward: &'a mut Inward,
    heard: Option<Heard<'a>>,
}

impl<'a> Sorting<'a> {
    /// Sorts the segments of one message; what is for the session endpoint ends up, without headers, at its beginning.
    fn sort_message(&mut self, (outbox, spill): (&mut Outbox, &mut Spill), buffer: &mut [u8], meta: &mut RecvMeta) {
        let (length, stride, port) = (meta.len, meta.stride.max(1), self.port);
        if self.tables.is_shut_out(meta.addr) {
            port.counts.shut_out.add(length.div_ceil(stride) as u64);
            meta.len = 0;
            return;
        }
        let links = self.tables.links_from(meta.addr);
        let mut passing: Option<Passing<'_>> = None;
        let mut kept = Kept::default();
        for start in (0..length).step_by(stride) {
            let segment = start..(start + stride).min(length);
            let fate = self.judge(&mut buffer[segment.clone()], links, meta, kept.source);
            if let Some(run) = passing.as_mut()
                && run.extends(&fate, start)
            {
                run.bytes.end = segment.end;
                continue;
            }
            // A kept packet is about to be moved over bytes that were read: what passes through has to leave first.
            if let Some(run) = passing.take() {
                outbox.push(port, run.over(buffer, stride, meta.ecn), self.alone);
            }
            match fate {
                Fate::Done => {}
                Fate::Passes(link) => passing = Some(Passing { link, bytes: segment }),
                Fate::Stays(source) => {
                    let packet = segment.start + HEADER_BYTES..segment.end;
                    if spill.holds(source) || !kept.take(buffer, packet.clone(), source) {
                        let spilled = spill.take(&buffer[packet], source, meta.ecn);
                        port.counts.spilled.add(spilled.into());
                    }
                }
            }
        }
        if let Some(run) = passing {
            outbox.push(port, run.over(buffer, stride, meta.ecn), self.alone);
        }
        kept.describe(meta);
    }

    fn judge(
        &mut self,
        segment: &mut [u8],
        links: &'a [Arc<Link>],
        meta: &RecvMeta,
        last: Option<SessionName>,
    ) -> Fate<'a> {
        if is_quic(segment[0]) {
            self.take_quic(segment, meta);
            return Fate::Done;
        }
        let Some(newest) = links.first() else {
            if !self.port.take_moved(self.tables, segment, meta.addr, self.now) {
                self.port.counts.unknown_source.add(1);
            }
            return Fate::Done;
        };
        let length = segment.len() as u64;
        self.admit(segment, links)
            .and_then(|(link, frame)| {
                let heard = self.heard_on(link);
                heard.frames += 1;
                heard.bytes += length;
                heard.carried += u64::from(!frame.is_link_probe());
                match frame.next_label() {
                    Some(_) => self.pass_on(link, frame),
                    None if frame.kind().is_session() => Ok(self.arrive(link, &frame, last)),
                    None if frame.kind().is_payload() => {
                        let (source, now) = ((self.port, self.tables), self.now);
                        self.inward.take(source, link, frame, (meta.ecn, now)).map(|()| Fate::Done)
                    }
                    None => self.answer(link, &frame).map(|()| Fate::Done),
                }
            })
            .unwrap_or_else(|reason| {
                self.port.counts.rejected.add(reason);
                newest.state.counts.rejected.add(reason);
                Fate::Done
            })
    }

    fn take_quic(&mut self, packet: &[u8], meta: &RecvMeta) {
        let counts = &self.port.counts;
        let (len, stride) = (packet.len(), packet.len());
        let count = if self.port.quic.push(packet, RecvMeta { len, stride, ..*meta }) {
            &counts.quic_received
        } else {
            &counts.quic_dropped
        };
        count.add(1);
        self.quic = true;
    }

    /// Finds the link to which the frame belongs. Nothing about a frame counts before this.
    fn admit<'b>(&self, segment: &'b mut [u8], links: &'a [Arc<Link>]) -> Result<(&'a Arc<Link>, Frame<'b>), Rejected> {
        let frame = Frame::parse(segment)?;
        let authentic = |link: &&Arc<Link>| frame.verify(&link.receive_key).is_ok();
        let link = links.iter().find(authentic).ok_or(Rejected::Unsigned)?;
        link.state.window.accept(frame.sequence())?;
        Ok((link, frame))
    }

    /// What is written down of a link that a frame came on.
    fn heard_on(&mut self, link: &'a Arc<Link>) -> &mut Heard<'a> {
        if self.heard.as_ref().is_some_and(|heard| !Arc::ptr_eq(heard.link, link)) {
            self.write_down();
        }
        self.heard.get_or_insert(Heard { link, frames: 0, bytes: 0, carried: 0, forwarded: 0 })
    }

    fn write_down(&mut self) {
        let Some(Heard { link, frames, bytes, carried, forwarded }) = self.heard.take() else { return };
        let counts = &link.state.counts;
        counts.frames_received.add(frames);
        counts.bytes_received.add(bytes);
        counts.carried.add(carried);
        counts.forwarded.add(forwarded);
        link.state.heard_at.store(self.now, Ordering::Relaxed);
    }

    fn pass_on(&mut self, ingress: &'a Arc<Link>, mut frame: Frame<'_>) -> Result<Fate<'a>, Rejected> {
        if !ingress.state.may_relay.load(Ordering::Relaxed) {
            return Err(Rejected::Unauthorized);
        }
        let label = frame.next_label().expect("BUG: a frame without a next label has arrived");
        let Some(link) = self.tables.usable_link(label) else {
            self.port.counts.no_link.add(1);
            if frame.kind().is_payload() || frame.kind() == Kind::Probe {
                self.port.report_broken(ingress, &frame, label, self.now)?;
            }
            return Ok(Fate::Done);
        };
        frame.advance(ingress.label);
        frame.reseal(link.sequences(1), &link.send_key);
        self.heard_on(ingress).forwarded += 1;
        Ok(Fate::Passes(link))
    }

    fn arrive(&self, link: &Link, frame: &Frame<'_>, last: Option<SessionName>) -> Fate<'a> {
        let source = SessionName { peer: frame.source(), lane: frame.lane() };
        self.port.counts.copies_received.add((frame.kind() == Kind::Copy).into());
        if last != Some(source) {
            self.port.data_arrived(self.tables, source.peer, link.id, frame, self.now);
        }
        Fate::Stays(source)
    }

    fn answer(&self, link: &Link, frame: &Frame<'_>) -> Result<(), Rejected> {
        match frame.kind() {
            Kind::Probe => self.port.answer_probe(link, frame, self.now),
            Kind::Echo => self.port.take_echo(link, frame),
            Kind::PathError => {
                self.port.take_path_error(link, frame);
                Ok(())
            }
            Kind::Trace => self.port.take_trace(link, frame, self.now),
            Kind::Data | Kind::Copy | Kind::Packet | Kind::PacketCopy => Ok(()),
        }
    }
}

/// How long one poll reads while all that comes is for others. Then the task yields, so that a busy relay stays fair.
pub(super) const TURN: Duration = Duration::from_micros(500);
