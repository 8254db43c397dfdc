//! What the datapath tells the actors.

use std::net::SocketAddr;
use std::time::Duration;

use prunella_core::{Label, LinkId, Tag, TraceContext};

/// Something that an actor may want to know. Sent without waiting: when the queue is full, it is dropped and counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The echo of a probe came back.
    ProbeReturned {
        /// The link on which the echo came: the path's first link.
        link: LinkId,
        /// The path that was probed; zero for the link itself.
        path: u32,
        /// The number that the probe was sent with.
        nonce: u64,
        /// The time from sending to return, for the whole path.
        rtt: Duration,
    },
    /// A relay could not pass a frame on. Authentic hop by hop only: evidence, not proof.
    PathBroken {
        /// The path that the frame was sent on; zero if its sender had only learned the way.
        path: u32,
        /// The relay's position on the path: zero is the first relay.
        at: u8,
        /// The label that led nowhere.
        label: Label,
        /// The link on which the report came.
        reported_by_link: LinkId,
    },
    /// A stream is opened over this node, within a span that its opener tells of. Authentic hop by hop only.
    TracePassed {
        /// The link on which the frame came.
        link: LinkId,
        /// Who opens the stream, as it says.
        source: Tag,
        /// The span, as it says.
        context: TraceContext,
        /// The label that the stream's frames will follow from here.
        next: Label,
    },
    /// A neighbor has moved: it answers at another address, to which the link leads from now on.
    LinkMoved {
        /// The link.
        link: LinkId,
        /// Where the neighbor is.
        remote: SocketAddr,
    },
    /// The kernel's program could not be told of a change, so it was detached. User space does everything from now on.
    KernelLeft {
        /// What went wrong.
        reason: String,
    },
    /// There is traffic for, or from, a node to which no route is installed.
    RouteWanted {
        /// That node.
        destination: Tag,
    },
}
