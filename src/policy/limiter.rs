//! The limiter: counts connections and bytes against the limits of a policy, and refuses what would exceed one.
//!
//! Whoever asks says what time it is. Invariant: what is admitted and not released never exceeds a limit of connections,
//! and what is spent in a period never exceeds a quota.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use prunella_core::limits::{LIMITED_PEERS_MAX, LIMITED_SERVICES_MAX};
use prunella_core::{Instant, PeerId, TokenBucket};

use super::limits::{Bound, Limits, Quota};

/// Counts against limits.
#[derive(Debug)]
pub struct Limiter {
    limits: Limits,
    all: Use,
    peers: BTreeMap<PeerId, PeerUse>,
    services: BTreeMap<Box<str>, Use>,
    swept: Option<Instant>,
}

/// An admitted connection. Give it back with [`Limiter::release`] when the connection is over.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what is not released counts for ever"]
pub struct Permit {
    peer: PeerId,
    service: Box<str>,
}

/// Which limit is in the way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Exceeded {
    /// The policy lists who may connect at all.
    #[error("{peer} is not among the peers that this node's limits let connect")]
    NotListed {
        /// Who wanted to.
        peer: PeerId,
    },
    /// As many connections are open as may be.
    #[error("{of}: {max} connections are open, which is the limit")]
    Connections {
        /// Whose.
        of: Whose,
        /// The limit.
        max: u32,
    },
    /// Connections come too fast.
    #[error("{of}: more than {per_second} connections per second")]
    Rate {
        /// Whose.
        of: Whose,
        /// The limit.
        per_second: u32,
    },
    /// The quota of this period does not suffice.
    #[error("{peer}: the quota of {bytes} bytes in {} s is used up; the next period begins in {} s", .period.as_secs(), .left.as_secs())]
    Quota {
        /// Whose.
        peer: PeerId,
        /// The quota.
        bytes: u64,
        /// How long a period is.
        period: Duration,
        /// How long this one lasts still.
        left: Duration,
    },
    /// Too many peers are counted to count one more.
    #[error("{max} peers are counted, which is as many as can be")]
    Peers {
        /// How many.
        max: usize,
    },
    /// Too many services are counted to count one more.
    #[error("{max} services are counted, which is as many as can be")]
    Services {
        /// How many.
        max: usize,
    },
}

/// Whose limit it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// That of the whole node.
    Node,
    /// That of a peer.
    Peer(PeerId),
    /// That of a service.
    Service(String),
}

/// What is used of a bound.
#[derive(Clone, Copy, Debug)]
struct Use {
    open: u32,
    bucket: Option<TokenBucket>,
    /// When it was last touched.
    at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct PeerUse {
    connections: Use,
    /// What was spent in the period that began then.
    spent: Option<(u64, Instant)>,
}

impl Limiter {
    /// Nothing is in use.
    pub fn new(limits: Limits, now: Instant) -> Self {
        let all = Use::none(limits.all, now);
        Self { limits, all, peers: BTreeMap::new(), services: BTreeMap::new(), swept: None }
    }

    /// Other limits from now on. What is open and what was spent goes on counting; rates begin anew.
    pub fn limit(&mut self, limits: Limits, now: Instant) {
        let renew = |used: &mut Use, bound: Bound| *used = Use { open: used.open, ..Use::none(bound, now) };
        renew(&mut self.all, limits.all);
        self.peers.values_mut().for_each(|used| renew(&mut used.connections, limits.peer));
        self.services.values_mut().for_each(|used| renew(used, limits.service));
        self.limits = limits;
    }

    /// Admits a connection, if no limit is in the way. What is refused counts nowhere.
    ///
    /// # Errors
    /// [`Exceeded`] names the limit.
    pub fn admit(&mut self, peer: &PeerId, service: &str, now: Instant) -> Result<Permit, Exceeded> {
        if self.limits.peers.as_ref().is_some_and(|listed| !listed.contains(peer)) {
            return Err(Exceeded::NotListed { peer: *peer });
        }
        let Bounds { node, peer: of_peer, service: of_service } = self.bounds();
        let mut of = self.peer(peer, now)?;
        self.within_quota(peer, &of, 1, now)?;
        let mut to = self.service(service, now)?;
        let mut all = self.all;
        // Copies are taken from first, so that what is refused by one leaves the others as they were.
        of.connections.take(of_peer, now).map_err(|hit| hit.told(Whose::Peer(*peer)))?;
        to.take(of_service, now).map_err(|hit| hit.told(Whose::Service(service.to_owned())))?;
        all.take(node, now).map_err(|hit| hit.told(Whose::Node))?;
        self.all = all;
        self.peers.insert(*peer, of);
        self.services.insert(service.into(), to);
        Ok(Permit { peer: *peer, service: service.into() })
    }

    /// Ends a connection.
    pub fn release(&mut self, permit: Permit) {
        let Permit { peer, service } = permit;
        let close = |used: &mut Use| used.open = used.open.saturating_sub(1);
        close(&mut self.all);
        self.peers.get_mut(&peer).map(|used| &mut used.connections).into_iter().for_each(close);
        self.services.get_mut(&service).into_iter().for_each(close);
    }

    /// Takes bytes from a peer's quota. If they do not fit, nothing is taken.
    ///
    /// # Errors
    /// [`Exceeded::Quota`], or [`Exceeded::Peers`] for a peer that cannot be counted.
    pub fn spend(&mut self, peer: &PeerId, bytes: u64, now: Instant) -> Result<(), Exceeded> {
        if self.limits.quota.is_none() || bytes == 0 {
            return Ok(());
        }
        let mut used = self.peer(peer, now)?;
        self.within_quota(peer, &used, bytes, now)?;
        let (spent, since) = self.spent(&used, now);
        used.spent = Some((spent + bytes, since));
        self.peers.insert(*peer, used);
        Ok(())
    }

    /// Connections that are open now.
    pub fn open(&self) -> u32 {
        self.all.open
    }

    fn bounds(&self) -> Bounds {
        Bounds { node: self.limits.all, peer: self.limits.peer, service: self.limits.service }
    }

    /// What a peer uses; a new peer needs room in the table.
    fn peer(&mut self, peer: &PeerId, now: Instant) -> Result<PeerUse, Exceeded> {
        if let Some(used) = self.peers.get(peer) {
            return Ok(*used);
        }
        if self.peers.len() >= LIMITED_PEERS_MAX {
            self.sweep(now);
        }
        if self.peers.len() >= LIMITED_PEERS_MAX {
            return Err(Exceeded::Peers { max: LIMITED_PEERS_MAX });
        }
        Ok(PeerUse { connections: Use::none(self.limits.peer, now), spent: None })
    }

    fn service(&mut self, service: &str, now: Instant) -> Result<Use, Exceeded> {
        if let Some(used) = self.services.get(service) {
            return Ok(*used);
        }
        if self.services.len() >= LIMITED_SERVICES_MAX {
            self.sweep(now);
        }
        if self.services.len() >= LIMITED_SERVICES_MAX {
            return Err(Exceeded::Services { max: LIMITED_SERVICES_MAX });
        }
        Ok(Use::none(self.limits.service, now))
    }

    /// Forgets whoever uses nothing and would be no better off as a stranger; at most once in a second, as a table that
    /// stays full is asked for often.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now.since(swept) < REFILL) {
            return;
        }
        self.swept = Some(now);
        let quota = self.limits.quota;
        self.peers.retain(|_, used| !used.connections.is_idle(now) || is_current(quota, used.spent, now));
        self.services.retain(|_, used| !used.is_idle(now));
    }

    fn within_quota(&self, peer: &PeerId, used: &PeerUse, bytes: u64, now: Instant) -> Result<(), Exceeded> {
        let Some(Quota { bytes: quota, period }) = self.limits.quota else { return Ok(()) };
        let (spent, begun) = self.spent(used, now);
        if spent.checked_add(bytes).is_some_and(|spent| spent <= quota) {
            return Ok(());
        }
        let left = period.saturating_sub(now.since(begun));
        Err(Exceeded::Quota { peer: *peer, bytes: quota, period, left })
    }

    /// What was spent in the current period, and when that began.
    fn spent(&self, used: &PeerUse, now: Instant) -> (u64, Instant) {
        used.spent.filter(|spent| is_current(self.limits.quota, Some(*spent), now)).unwrap_or((0, now))
    }
}

/// The bounds of one connection.
struct Bounds {
    node: Bound,
    peer: Bound,
    service: Bound,
}

/// Which part of a bound was hit.
enum Hit {
    Connections(u32),
    Rate(u32),
}

impl Hit {
    fn told(self, of: Whose) -> Exceeded {
        match self {
            Hit::Connections(max) => Exceeded::Connections { of, max },
            Hit::Rate(per_second) => Exceeded::Rate { of, per_second },
        }
    }
}

impl Use {
    fn none(bound: Bound, now: Instant) -> Self {
        Self { open: 0, bucket: bound.per_second.map(|rate| TokenBucket::full(rate, now)), at: now }
    }

    /// Counts one more connection, if it is within the bound.
    fn take(&mut self, bound: Bound, now: Instant) -> Result<(), Hit> {
        if let Some(max) = bound.connections.filter(|max| self.open >= *max) {
            return Err(Hit::Connections(max));
        }
        if let (Some(bucket), Some(rate)) = (&mut self.bucket, bound.per_second)
            && !bucket.take(now)
        {
            return Err(Hit::Rate(rate));
        }
        self.open = self.open.saturating_add(1);
        self.at = self.at.max(now);
        Ok(())
    }

    /// Whether nothing is open and the bucket is full again.
    fn is_idle(&self, now: Instant) -> bool {
        self.open == 0 && (self.bucket.is_none() || now.since(self.at) >= REFILL)
    }
}

/// Whether what was spent still counts.
fn is_current(quota: Option<Quota>, spent: Option<(u64, Instant)>, now: Instant) -> bool {
    matches!((quota, spent), (Some(quota), Some((_, begun))) if now.since(begun) < quota.period)
}

/// A token bucket is full again after a second, whatever its rate.
const REFILL: Duration = Duration::from_secs(1);

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whose::Node => f.write_str("this node"),
            Whose::Peer(peer) => write!(f, "peer {peer}"),
            Whose::Service(name) => write!(f, "service {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn peer(i: u8) -> PeerId {
        PeerId::from_public_key([i; 32])
    }

    fn ms(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn limiter(limits: Limits) -> Limiter {
        Limiter::new(limits, ms(0))
    }

    fn at_most(connections: u32) -> Bound {
        Bound { connections: Some(connections), per_second: None }
    }

    fn per_second(rate: u32) -> Bound {
        Bound { connections: None, per_second: Some(rate) }
    }

    #[test]
    fn nothing_is_limited_by_default() {
        let mut limiter = limiter(Limits::default());
        for i in 0..5000 {
            limiter.admit(&peer((i % 7) as u8), "web", ms(0)).map(drop).unwrap();
        }
        assert_eq!(limiter.spend(&peer(1), u64::MAX, ms(0)), Ok(()));
    }

    #[test]
    fn only_listed_peers_are_admitted() {
        let mut limiter = limiter(Limits { peers: Some([peer(1)].into()), ..Limits::default() });
        assert!(limiter.admit(&peer(1), "web", ms(0)).is_ok());
        assert_eq!(limiter.admit(&peer(2), "web", ms(0)), Err(Exceeded::NotListed { peer: peer(2) }));
    }

    #[test]
    fn connections_are_limited_for_the_node_each_peer_and_each_service() {
        let limits = Limits { all: at_most(4), peer: at_most(2), service: at_most(3), ..Limits::default() };
        let mut limiter = limiter(limits);
        let mut of = |p: u8, service: &str| limiter.admit(&peer(p), service, ms(0));
        let first = of(1, "web").unwrap();
        let _second = of(1, "web").unwrap();
        assert_eq!(of(1, "db"), Err(Exceeded::Connections { of: Whose::Peer(peer(1)), max: 2 }));
        let _third = of(2, "web").unwrap();
        let full = Exceeded::Connections { of: Whose::Service("web".into()), max: 3 };
        assert_eq!(of(2, "web"), Err(full.clone()));
        let _fourth = of(3, "db").unwrap();
        assert_eq!(of(4, "db"), Err(Exceeded::Connections { of: Whose::Node, max: 4 }));
        limiter.release(first);
        assert_eq!(limiter.open(), 3);
        assert!(limiter.admit(&peer(1), "web", ms(0)).is_ok());
        assert_eq!(full.to_string(), "service web: 3 connections are open, which is the limit");
    }

    #[test]
    fn rates_are_limited_for_the_node_each_peer_and_each_service() {
        for (limits, whose) in [
            (Limits { all: per_second(2), ..Limits::default() }, Whose::Node),
            (Limits { peer: per_second(2), ..Limits::default() }, Whose::Peer(peer(1))),
            (Limits { service: per_second(2), ..Limits::default() }, Whose::Service("web".into())),
        ] {
            let mut limiter = limiter(limits);
            let mut try_at = |at| limiter.admit(&peer(1), "web", ms(at)).map(drop);
            assert_eq!([try_at(0), try_at(0)], [Ok(()), Ok(())]);
            assert_eq!(try_at(400), Err(Exceeded::Rate { of: whose, per_second: 2 }));
            assert_eq!(try_at(500), Ok(()), "half a second earned one");
            assert!(try_at(600).is_err());
        }
    }

    #[test]
    fn what_one_limit_refuses_takes_nothing_from_another() {
        let mut limiter = limiter(Limits { all: per_second(3), peer: per_second(1), ..Limits::default() });
        let mut admitted = |p| limiter.admit(&peer(p), "web", ms(0)).is_ok();
        assert!(admitted(1));
        assert_eq!((0..100).filter(|_| admitted(1)).count(), 0);
        assert!(admitted(2) && admitted(3), "those hundred took no token of the node");
        assert!(!admitted(4));
    }

    #[test]
    fn a_quota_is_for_a_period_and_for_each_peer() {
        let quota = Quota { bytes: 100, period: Duration::from_secs(10) };
        let mut limiter = limiter(Limits { quota: Some(quota), ..Limits::default() });
        assert_eq!(limiter.spend(&peer(1), 60, ms(1000)), Ok(()));
        let used_up = limiter.spend(&peer(1), 41, ms(3000));
        let left = Duration::from_secs(8);
        assert_eq!(used_up, Err(Exceeded::Quota { peer: peer(1), bytes: 100, period: quota.period, left }));
        assert_eq!(limiter.spend(&peer(1), 40, ms(3000)), Ok(()), "what did not fit took nothing");
        assert!(limiter.admit(&peer(1), "web", ms(3000)).is_err());
        assert_eq!(limiter.spend(&peer(2), 100, ms(3000)), Ok(()));
        assert_eq!(limiter.spend(&peer(1), 100, ms(11_000)), Ok(()));
        assert_eq!(
            limiter.spend(&peer(1), u64::MAX, ms(30_000)).map_err(|exceeded| exceeded.to_string().contains("used up")),
            Err(true)
        );
    }

    #[test]
    fn the_tables_are_bounded_and_whoever_is_idle_makes_room() {
        let mut limiter = limiter(Limits { peer: per_second(1), ..Limits::default() });
        let id = |i: u32| {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&i.to_be_bytes());
            PeerId::from_public_key(key)
        };
        let mut permits: Vec<Permit> =
            (0..LIMITED_PEERS_MAX as u32).map(|i| limiter.admit(&id(i), "web", ms(0)).unwrap()).collect();
        let one_more = id(LIMITED_PEERS_MAX as u32);
        assert_eq!(limiter.admit(&one_more, "web", ms(5000)), Err(Exceeded::Peers { max: LIMITED_PEERS_MAX }));
        limiter.release(permits.pop().unwrap());
        assert!(limiter.admit(&one_more, "web", ms(5500)).is_err(), "a full table is looked through once in a second");
        assert!(limiter.admit(&one_more, "web", ms(6000)).is_ok());
        assert_eq!(limiter.peers.len(), LIMITED_PEERS_MAX);
        for i in 0..2 * LIMITED_SERVICES_MAX {
            let _ = limiter.admit(&id(7), &format!("s{i}"), ms(10_000 + 1000 * i as u64));
        }
        assert!(limiter.services.len() <= LIMITED_SERVICES_MAX);
    }

    #[test]
    fn other_limits_keep_what_is_open_and_spent() {
        let quota = |bytes| Some(Quota { bytes, period: Duration::from_secs(10) });
        let mut limiter = limiter(Limits { peer: at_most(2), quota: quota(100), ..Limits::default() });
        let _permit = limiter.admit(&peer(1), "web", ms(0)).unwrap();
        limiter.spend(&peer(1), 50, ms(0)).unwrap();
        limiter.limit(Limits { peer: at_most(1), quota: quota(60), ..Limits::default() }, ms(1));
        assert_eq!(limiter.open(), 1);
        assert!(limiter.admit(&peer(1), "web", ms(1)).is_err() && limiter.spend(&peer(1), 11, ms(1)).is_err());
    }

    /// One thing that happens to a limiter.
    #[derive(Clone, Debug)]
    enum Step {
        Admit { peer: u8, service: u8 },
        Release { which: usize },
        Spend { peer: u8, bytes: u64 },
        Wait { ms: u64 },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..4u8, 0..3u8).prop_map(|(peer, service)| Step::Admit { peer, service }),
            2 => any::<usize>().prop_map(|which| Step::Release { which }),
            2 => (0..4u8, 0..80u64).prop_map(|(peer, bytes)| Step::Spend { peer, bytes }),
            1 => (0..700u64).prop_map(|ms| Step::Wait { ms }),
        ]
    }

    /// Most that came within any second that begins with one of these times: a full bucket, and what it earned.
    fn fastest(times: &[u64]) -> usize {
        let within = |from: u64| times.iter().filter(|at| (from..from + 1000).contains(*at)).count();
        times.iter().map(|from| within(*from)).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn no_limit_is_ever_exceeded(
            steps in vec(step(), 0..400),
            open in [1..9u32, 1..5, 1..5],
            rates in [1..12u32, 1..6, 1..6],
            bytes in 1..200u64,
        ) {
            let bound = |i: usize| Bound { connections: Some(open[i]), per_second: Some(rates[i]) };
            let quota = Quota { bytes, period: Duration::from_secs(2) };
            let limits = Limits { peers: None, all: bound(0), peer: bound(1), service: bound(2), quota: Some(quota) };
            let (mut limiter, mut now, mut held) = (limiter(limits), 0, Vec::new());
            let (mut admitted, mut spent) = (Vec::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Wait { ms } => now += ms,
                    Step::Release { which } if !held.is_empty() => {
                        let which = which % held.len();
                        let (_, _, permit) = held.swap_remove(which);
                        limiter.release(permit);
                    }
                    Step::Release { .. } => {}
                    Step::Spend { peer: p, bytes } => {
                        if limiter.spend(&peer(p), bytes, ms(now)).is_ok() {
                            spent.push((p, now, bytes));
                        }
                    }
                    Step::Admit { peer: p, service } => {
                        if let Ok(permit) = limiter.admit(&peer(p), &format!("s{service}"), ms(now)) {
                            held.push((p, service, permit));
                            admitted.push((p, service, now));
                        }
                    }
                }
                prop_assert!(held.len() <= open[0] as usize && limiter.open() as usize == held.len());
                for id in 0..4u8 {
                    prop_assert!(held.iter().filter(|held| held.0 == id).count() <= open[1] as usize);
                    prop_assert!(held.iter().filter(|held| held.1 == id).count() <= open[2] as usize);
                }
            }
            let times = |of: &dyn Fn(&(u8, u8, u64)) -> bool| -> Vec<u64> {
                admitted.iter().filter(|admitted| of(admitted)).map(|admitted| admitted.2).collect()
            };
            prop_assert!(fastest(&times(&|_| true)) <= 2 * rates[0] as usize);
            for id in 0..4u8 {
                prop_assert!(fastest(&times(&|admitted| admitted.0 == id)) <= 2 * rates[1] as usize);
                prop_assert!(fastest(&times(&|admitted| admitted.1 == id)) <= 2 * rates[2] as usize);
                // Periods of a peer begin with its first bytes, and again with the first after one is over.
                let mut period = (0, 0);
                for (_, at, bytes) in spent.iter().filter(|spent| spent.0 == id && spent.2 > 0) {
                    period = if period.1 > 0 && at - period.0 < 2000 { (period.0, period.1 + bytes) } else { (*at, *bytes) };
                    prop_assert!(period.1 <= quota.bytes);
                }
            }
        }
    }
}
