//! Links and destinations: what the datapath looks up for every batch.
//!
//! The tables are values: whoever changes them copies them, and the readers go on with the copy they have. Tables are
//! small (tens of links, at most some thousands of destinations) and change rarely, packets are many.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use prunella_core::frame::{FrameKey, Labels, SequenceSpaces};
use prunella_core::limits::{
    COPIES_BURST_BYTES, COPIES_ONE_IN, LANES_MAX, MOVES_PER_SECOND, REPLY_RATE_PER_SECOND, TRACES_JOINED_PER_SECOND,
};
use prunella_core::{Label, LinkId, PeerId, Tag};

use super::counters::{LinkCounts, LinkStats};
use super::limiter::Limiter;

/// A link as its actor installs it. It can be used at once.
#[derive(Clone, Debug)]
pub struct LinkInstall {
    /// The link's id.
    pub id: LinkId,
    /// The neighbor, as its certificate proved.
    pub peer: PeerId,
    /// The neighbor's UDP address.
    pub remote: SocketAddr,
    /// This node's label for the neighbor.
    pub label: Label,
    /// The key of the frames that this node sends.
    pub send_key: FrameKey,
    /// The key of the frames that the neighbor sends.
    pub receive_key: FrameKey,
    /// Whether the neighbor may use this node as a relay.
    pub may_relay: bool,
}

/// The way to a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// This node's number for the path, which comes back in echoes and path errors. Zero means "no path of mine".
    pub path: u32,
    /// The link to send on.
    pub first: LinkId,
    /// The labels that the relays use, at most [`PATH_LABELS_MAX`](prunella_core::limits::PATH_LABELS_MAX).
    pub labels: Vec<Label>,
}

/// The way of a lane that has one of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneRoute {
    /// The lane, from 1 to [`LANES_MAX`] less one.
    pub lane: u8,
    /// The way.
    pub route: Route,
    /// Where copies go as well.
    pub hedge: Option<Route>,
}

/// A [`Route`] in the form in which it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) path: u32,
    pub(super) first: LinkId,
    pub(super) labels: Labels,
}

impl Way {
    /// The form of a route in which it is used.
    ///
    /// # Panics
    /// If it has more labels than a frame can hold.
    pub(super) fn of(route: &Route) -> Self {
        let labels = Labels::new(&route.labels).expect("BUG: a route has at most PATH_LABELS_MAX labels");
        Self { path: route.path, first: route.first, labels }
    }
}

/// One installed link. A change of address makes a new one that shares the [`LinkState`].
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) peer: PeerId,
    /// What the neighbor's own frames are marked with.
    pub(super) tag: Tag,
    /// In the form that the socket wants: IPv4 as IPv4-mapped where the socket is IPv6.
    pub(super) remote: SocketAddr,
    pub(super) label: Label,
    pub(super) send_key: FrameKey,
    pub(super) receive_key: FrameKey,
    pub(super) state: Arc<LinkState>,
}

/// What changes while a link lives.
#[derive(Debug)]
pub(super) struct LinkState {
    next_sequence: AtomicU64,
    pub(super) window: SequenceSpaces,
    pub(super) usable: AtomicBool,
    pub(super) may_relay: AtomicBool,
    /// Probes answered and path errors sent to this neighbor.
    pub(super) replies: Limiter,
    /// How many traces are joined that the neighbor tells of.
    pub(super) traces: Limiter,
    /// How often it is asked at another address whether it is there.
    pub(super) moves: Limiter,
    pub(super) counts: LinkCounts,
    /// When the last authentic frame came, in nanoseconds of the port's clock; zero before the first.
    pub(super) heard_at: AtomicU64,
}

impl Link {
    pub(super) fn new(install: LinkInstall, remote: SocketAddr) -> Self {
        let state = LinkState {
            next_sequence: AtomicU64::new(1),
            window: SequenceSpaces::new(),
            usable: AtomicBool::new(true),
            may_relay: AtomicBool::new(install.may_relay),
            replies: Limiter::new(REPLY_RATE_PER_SECOND, REPLY_RATE_PER_SECOND),
            traces: Limiter::new(TRACES_JOINED_PER_SECOND, TRACES_JOINED_PER_SECOND),
            moves: Limiter::new(MOVES_PER_SECOND, MOVES_PER_SECOND),
            counts: LinkCounts::default(),
            heard_at: AtomicU64::new(0),
        };
        let LinkInstall { id, peer, label, send_key, receive_key, .. } = install;
        Self { id, peer, tag: peer.tag(), remote, label, send_key, receive_key, state: Arc::new(state) }
    }

    pub(super) fn is_usable(&self) -> bool {
        self.state.usable.load(Ordering::Relaxed)
    }

    /// Takes `count` sequence numbers and returns the first.
    pub(super) fn sequences(&self, count: usize) -> u64 {
        self.state.next_sequence.fetch_add(count as u64, Ordering::Relaxed)
    }

    /// Notes that a frame, or a train of them at once, came or went that is no probe of the link itself, nor its echo.
    pub(super) fn carry(&self) {
        self.state.counts.carried.add(1);
    }

    pub(super) fn stats(&self, now: u64) -> LinkStats {
        let counts = &self.state.counts;
        let heard_at = self.state.heard_at.load(Ordering::Relaxed);
        LinkStats {
            id: self.id,
            peer: self.peer,
            label: self.label,
            usable: self.is_usable(),
            may_relay: self.state.may_relay.load(Ordering::Relaxed),
            frames_sent: counts.frames_sent.read(),
            bytes_sent: counts.bytes_sent.read(),
            frames_received: counts.frames_received.read(),
            bytes_received: counts.bytes_received.read(),
            forwarded: counts.forwarded.read(),
            carried: counts.carried.read(),
            rejected: counts.rejected.read(),
            silent_ms: (heard_at > 0).then(|| now.saturating_sub(heard_at) / 1_000_000),
        }
    }
}

/// The way of a lane, and where copies go as well.
#[derive(Clone, Copy, Debug)]
pub(super) struct LaneWays {
    pub(super) own: Way,
    pub(super) hedge: Option<Way>,
}

/// A node that traffic goes to or comes from.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    pub(super) installed: Option<Way>,
    /// Where copies go as well, while the installed way is in doubt.
    pub(super) hedge: Option<Way>,
    /// The way back of the last data that came from there while no route was installed.
    pub(super) learned: Option<Way>,
    /// The ways of the lanes from the second on that have one of their own; the others use what is installed. Empty where
    /// traffic is not spread.
    pub(super) lanes: Arc<[Option<LaneWays>]>,
    pub(super) activity: Arc<Activity>,
}

/// What changes while a destination is known.
#[derive(Debug)]
pub(super) struct Activity {
    /// When data last went there or came from there, in nanoseconds of the port's clock.
    pub(super) last: AtomicU64,
    /// Bytes of packets sent there on each lane, each counted once.
    sent: [AtomicU64; LANES_MAX],
    /// Bytes of copies sent there.
    copied: AtomicU64,
    /// Requests for a route.
    pub(super) wants: Limiter,
    /// Changes of the learned way.
    pub(super) lessons: Limiter,
}

impl Destination {
    pub(super) fn new(now: u64) -> Self {
        let activity = Activity {
            last: AtomicU64::new(now),
            sent: Default::default(),
            copied: AtomicU64::new(0),
            wants: Limiter::every(WANT_INTERVAL),
            lessons: Limiter::every(LESSON_INTERVAL),
        };
        Self { installed: None, hedge: None, learned: None, lanes: Arc::default(), activity: Arc::new(activity) }
    }

    pub(super) fn touch(&self, now: u64) {
        self.activity.last.store(now, Ordering::Relaxed);
    }

    /// Counts bytes that are sent there for the first time.
    pub(super) fn count_sent(&self, lane: u8, bytes: usize) {
        self.activity.sent[usize::from(lane)].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The bytes sent there on each lane.
    pub(super) fn sent(&self) -> [u64; LANES_MAX] {
        std::array::from_fn(|lane| self.activity.sent[lane].load(Ordering::Relaxed))
    }

    /// The way that a lane has of its own, if it has one.
    pub(super) fn lane(&self, lane: u8) -> Option<LaneWays> {
        usize::from(lane).checked_sub(1).and_then(|at| self.lanes.get(at).copied().flatten())
    }

    /// Takes so many bytes out of the budget for copies, if there are as many left.
    pub(super) fn may_copy(&self, bytes: usize) -> bool {
        let copied = &self.activity.copied;
        let budget = COPIES_BURST_BYTES + self.sent().iter().sum::<u64>() / COPIES_ONE_IN;
        let take = |spent: u64| Some(spent + bytes as u64).filter(|spent| *spent <= budget);
        copied.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// Everything that is looked up.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    links: BTreeMap<LinkId, Arc<Link>>,
    by_source: HashMap<SocketAddr, Vec<Arc<Link>>>,
    by_label: HashMap<Label, Vec<Arc<Link>>>,
    /// Addresses of which nothing is taken, without their disguises.
    pub(super) shut_out: BTreeSet<SocketAddr>,
    pub(super) destinations: HashMap<Tag, Destination>,
}

impl Tables {
    pub(super) fn links(&self) -> impl Iterator<Item = &Arc<Link>> {
        self.links.values()
    }

    pub(super) fn link(&self, id: LinkId) -> Option<&Arc<Link>> {
        self.links.get(&id)
    }

    /// The links to the neighbor at `address`, newest first: while a link is replaced, frames of both keys arrive.
    pub(super) fn links_from(&self, address: SocketAddr) -> &[Arc<Link>] {
        self.by_source.get(&canonical(address)).map_or(&[], Vec::as_slice)
    }

    /// The newest usable link with this label.
    pub(super) fn usable_link(&self, label: Label) -> Option<&Arc<Link>> {
        self.by_label.get(&label)?.iter().find(|link| link.is_usable())
    }

    /// The way to a destination on which a lane's data can leave now: the lane's own if its link is usable, else the one
    /// for its copies; else the installed one, the one for copies, the learned.
    pub(super) fn way(&self, destination: &Destination, lane: u8) -> Option<(&Arc<Link>, Way)> {
        let own = destination.lane(lane).map_or([None; 2], |ways| [Some(ways.own), ways.hedge]);
        let all = [destination.installed, destination.hedge, destination.learned];
        own.into_iter().chain(all).flatten().find_map(|way| self.usable(way))
    }

    /// The way on which copies of what a lane sends on `first` leave now, if they are wanted.
    pub(super) fn second_way(&self, destination: &Destination, lane: u8, first: Way) -> Option<(&Arc<Link>, Way)> {
        let own = destination.lane(lane).filter(|ways| ways.own == first);
        let hedge = own.map_or(destination.hedge, |ways| ways.hedge);
        hedge.filter(|way| *way != first).and_then(|way| self.usable(way))
    }

    /// Whether data for a destination can leave on the installed route.
    pub(super) fn has_route(&self, destination: &Destination) -> bool {
        destination.installed.is_some_and(|way| self.usable(way).is_some())
    }

    fn usable(&self, way: Way) -> Option<(&Arc<Link>, Way)> {
        self.link(way.first).filter(|link| link.is_usable()).map(|link| (link, way))
    }

    pub(super) fn put_link(&mut self, link: Link) {
        self.links.insert(link.id, Arc::new(link));
        self.index();
    }

    pub(super) fn drop_link(&mut self, id: LinkId) {
        self.links.remove(&id);
        self.index();
    }

    pub(super) fn is_shut_out(&self, address: SocketAddr) -> bool {
        !self.shut_out.is_empty() && self.shut_out.contains(&canonical(address))
    }

    /// Makes room for one more destination without a route of ours: the one that was silent longest goes.
    pub(super) fn make_room(&mut self) {
        let unrouted = || self.destinations.iter().filter(|(_, d)| d.installed.is_none());
        if unrouted().count() < UNROUTED_MAX {
            return;
        }
        if let Some(tag) =
            unrouted().map(|(tag, d)| (d.activity.last.load(Ordering::Relaxed), *tag)).min().map(|(_, tag)| tag)
        {
            self.destinations.remove(&tag);
        }
    }

    fn index(&mut self) {
        self.by_source.clear();
        self.by_label.clear();
        for link in self.links.values().rev() {
            self.by_source.entry(canonical(link.remote)).or_default().push(link.clone());
            self.by_label.entry(link.label).or_default().push(link.clone());
        }
    }
}

/// The form in which addresses are compared: no IPv4-mapped IPv6, no flow label.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(_) => address,
        SocketAddr::V6(v6) => match v6.ip().to_canonical() {
            IpAddr::V4(v4) => SocketAddr::new(IpAddr::V4(v4), v6.port()),
            IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, v6.port(), 0, v6.scope_id())),
        },
    }
}

/// The form in which a socket bound to `local` wants `remote`.
pub(super) fn reachable_from(local: SocketAddr, remote: SocketAddr) -> SocketAddr {
    match (local, canonical(remote)) {
        (SocketAddr::V6(_), SocketAddr::V4(v4)) => SocketAddr::new(IpAddr::V6(v4.ip().to_ipv6_mapped()), v4.port()),
        (SocketAddr::V4(_), v4 @ SocketAddr::V4(_)) => v4,
        (_, SocketAddr::V6(_)) => remote,
    }
}

/// Most destinations remembered without an installed route: whoever forges source tags finds this bound.
const UNROUTED_MAX: usize = 256;
/// How often a route to the same destination is asked for.
const WANT_INTERVAL: Duration = Duration::from_millis(100);
/// How often the learned way to the same destination may change: a sender that uses two paths at once must not make us
/// copy the tables for every packet.
const LESSON_INTERVAL: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    fn link(id: u64, label: u16, port: u16) -> Link {
        let install = LinkInstall {
            id: LinkId(id),
            peer: PeerId::from_public_key([id as u8; 32]),
            remote: SocketAddr::from(([127, 0, 0, 1], port)),
            label: Label(label),
            send_key: FrameKey::from_bytes([1; 16]),
            receive_key: FrameKey::from_bytes([2; 16]),
            may_relay: true,
        };
        let remote = install.remote;
        Link::new(install, remote)
    }

    #[test]
    fn a_replaced_link_keeps_its_frames_readable_until_it_is_removed() {
        let mut tables = Tables::default();
        tables.put_link(link(1, 5, 1000));
        tables.put_link(link(2, 5, 1000));
        let address = SocketAddr::from(([127, 0, 0, 1], 1000));
        let ids = |t: &Tables| t.links_from(address).iter().map(|l| l.id.0).collect::<Vec<_>>();
        assert_eq!(ids(&tables), [2, 1], "newest first");
        assert_eq!(tables.usable_link(Label(5)).unwrap().id, LinkId(2));
        tables.usable_link(Label(5)).unwrap().state.usable.store(false, Ordering::Relaxed);
        assert_eq!(tables.usable_link(Label(5)).unwrap().id, LinkId(1), "the older one is still good");
        tables.drop_link(LinkId(1));
        assert_eq!(ids(&tables), [2]);
        assert!(tables.usable_link(Label(5)).is_none());
    }

    #[test]
    fn an_installed_way_is_preferred_and_a_learned_one_stands_in() {
        let mut tables = Tables::default();
        tables.put_link(link(1, 5, 1000));
        tables.put_link(link(2, 6, 1001));
        let way = |first| Some(Way { path: 1, first: LinkId(first), labels: Labels::NONE });
        let destination = Destination { installed: way(1), learned: way(2), ..Destination::new(0) };
        assert_eq!(tables.way(&destination, 0).unwrap().0.id, LinkId(1));
        assert!(tables.second_way(&destination, 0, way(1).unwrap()).is_none(), "nobody asked for copies");
        tables.link(LinkId(1)).unwrap().state.usable.store(false, Ordering::Relaxed);
        assert_eq!(tables.way(&destination, 0).unwrap().0.id, LinkId(2));
        tables.drop_link(LinkId(2));
        assert!(tables.way(&destination, 0).is_none(), "a link that may not be used is not used");
    }

    #[test]
    fn copies_take_the_other_way_and_everything_takes_it_if_the_first_is_gone() {
        let mut tables = Tables::default();
        tables.put_link(link(1, 5, 1000));
        tables.put_link(link(2, 6, 1001));
        let way = |first| Some(Way { path: 1, first: LinkId(first), labels: Labels::NONE });
        let destination = Destination { installed: way(1), hedge: way(2), ..Destination::new(0) };
        let (_, first) = tables.way(&destination, 0).unwrap();
        assert_eq!(first.first, LinkId(1));
        assert_eq!(tables.second_way(&destination, 0, first).unwrap().0.id, LinkId(2));
        tables.drop_link(LinkId(1));
        let (_, first) = tables.way(&destination, 0).unwrap();
        assert_eq!(first.first, LinkId(2));
        assert!(tables.second_way(&destination, 0, first).is_none(), "there is no third");
    }

    #[test]
    fn a_lane_takes_its_own_way_and_is_as_well_off_as_any_when_that_is_gone() {
        let mut tables = Tables::default();
        (1..=4).for_each(|id| tables.put_link(link(id, id as u16, 1000 + id as u16)));
        let way = |first| Way { path: first as u32, first: LinkId(first), labels: Labels::NONE };
        let lanes = Arc::from([None, Some(LaneWays { own: way(3), hedge: Some(way(4)) })]);
        let route = Destination { installed: Some(way(1)), hedge: Some(way(2)), ..Destination::new(0) };
        let destination = Destination { lanes, ..route };
        let ways = |tables: &Tables, lane| {
            let (_, first) = tables.way(&destination, lane).unwrap();
            (first.path, tables.second_way(&destination, lane, first).map(|(_, second)| second.path))
        };
        assert_eq!(
            [0, 1, 2, 3].map(|lane| ways(&tables, lane)),
            [(1, Some(2)), (1, Some(2)), (3, Some(4)), (1, Some(2))]
        );
        tables.drop_link(LinkId(3));
        assert_eq!(ways(&tables, 2), (4, Some(2)));
        tables.drop_link(LinkId(4));
        assert_eq!(ways(&tables, 2), (1, Some(2)));
        tables.drop_link(LinkId(1));
        assert_eq!(ways(&tables, 2), (2, None));
    }

    #[test]
    fn copies_are_a_share_of_what_is_sent_and_a_burst() {
        let destination = Destination::new(0);
        let burst = COPIES_BURST_BYTES as usize;
        assert!(destination.may_copy(burst) && !destination.may_copy(1));
        destination.count_sent(1, 1000 * COPIES_ONE_IN as usize);
        assert!(destination.may_copy(400) && destination.may_copy(600) && !destination.may_copy(1));
    }

    #[test]
    fn mapped_addresses_are_the_same_neighbor() {
        let v4 = SocketAddr::from(([10, 0, 0, 1], 7));
        let mapped = reachable_from("[::]:1".parse().unwrap(), v4);
        assert!(mapped.is_ipv6());
        assert_eq!(canonical(mapped), v4);
        assert_eq!(reachable_from("0.0.0.0:1".parse().unwrap(), mapped), v4);
    }

    #[test]
    fn the_destination_that_was_silent_longest_makes_room() {
        let mut tables = Tables::default();
        for i in 0..UNROUTED_MAX as u64 {
            tables.destinations.insert(Tag(i), Destination::new(i + 1));
        }
        tables.destinations.get_mut(&Tag(0)).unwrap().installed =
            Some(Way { path: 1, first: LinkId(1), labels: Labels::NONE });
        tables.make_room();
        assert_eq!(tables.destinations.len(), UNROUTED_MAX, "below the bound nobody has to go");
        tables.destinations.insert(Tag(1000), Destination::new(1000));
        tables.make_room();
        assert!(!tables.destinations.contains_key(&Tag(1)) && tables.destinations.contains_key(&Tag(0)));
    }
}
