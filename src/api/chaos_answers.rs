//! What the node does when it is asked to break something on purpose.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prunella_core::limits::{FAULT_TIME_MAX, FAULTS_MAX, HOG_THREADS_MAX, SUSPENDED_TIME_MAX};

use super::answers::Answers;
use super::chaos::{LinkImpairment, Order};
use super::error::{Error, ErrorKind};
use super::in_force::FaultsInForce;
use super::vocabulary::Response;
use crate::actors::stats::Pace;
use crate::datapath::{Direction, Impairment};
use crate::host::{Disturbed, Host};

/// What of a node can be broken on purpose, and what is broken now.
pub(super) struct Breakable {
    host: Disturbed,
    faults: FaultsInForce,
}

impl Breakable {
    /// A node on this host, with nothing broken.
    pub(super) fn over(host: &Arc<dyn Host>) -> Self {
        Self { host: Disturbed::over(Arc::clone(host)), faults: FaultsInForce::default() }
    }

    /// The host as it is seen through faults.
    pub(super) fn host(&self) -> Arc<dyn Host> {
        Arc::new(self.host.clone())
    }

    /// Ends every fault.
    pub(super) fn mend(&self) {
        self.faults.clear();
    }
}

impl Answers {
    pub(super) fn chaos(&self, order: Order) -> Result<Response, Error> {
        self.chaos_allowed()?;
        match order {
            Order::Link { neighbor, sent, received, impairment, seed, for_ms } => {
                let ways = [(Direction::Sent, sent), (Direction::Received, received)];
                let ways: Vec<Direction> = ways.into_iter().filter(|(_, wanted)| *wanted).map(|(way, _)| way).collect();
                self.break_link(&neighbor, &ways, impairment, (seed, lasting(for_ms)?))
            }
            Order::Actor { actor, each_ms, for_ms } => self.hold_up(&actor, each_ms, lasting(for_ms)?),
            Order::CpuHog { threads, for_ms } => self.hog(threads, lasting(for_ms)?),
            Order::Clock { offset_s, for_ms } => self.shift_clock(offset_s, lasting(for_ms)?),
            Order::Disk { slow_ms, stopped, for_ms } => self.break_disk(slow_ms, stopped, lasting(for_ms)?),
            Order::Certificate => {
                self.shell().renewal_wanted.notify_one();
                Ok(Response::Done)
            }
            Order::Clear => {
                self.breakable.mend();
                Ok(Response::Done)
            }
            Order::Status => Ok(Response::Faults { faults: self.breakable.faults.list() }),
        }
    }

    pub(super) fn chaos_allowed(&self) -> Result<(), Error> {
        if self.shell().config.chaos.allow {
            return Ok(());
        }
        let text = "this node does not consent to faults; set `allow = true` under [chaos] in its config.toml";
        Err(Error::new(ErrorKind::Denied, text))
    }

    fn begin<M>(&self, subject: &str, does: &str, lasts: Duration, begin: impl FnOnce() -> M) -> Result<(), Error>
    where
        M: FnOnce() + Send + 'static,
    {
        if self.breakable.faults.begin(subject, does, lasts, begin) {
            return Ok(());
        }
        let text = format!("{FAULTS_MAX} faults are in force already; `prunella chaos clear` ends them");
        Err(Error::new(ErrorKind::OverLimit, text))
    }

    fn break_link(
        &self,
        neighbor: &str,
        ways: &[Direction],
        impairment: LinkImpairment,
        (seed, lasts): (Option<u64>, Duration),
    ) -> Result<Response, Error> {
        let does = sound(&impairment)?;
        let address = self.neighbor_address(neighbor)?;
        let name = self.shell().known.name(&self.find(neighbor)?);
        let seed = seed.unwrap_or_else(|| self.shell().host.random_u64());
        for &way in ways {
            let port = Arc::clone(&self.shell().port);
            let side = if way == Direction::Sent { "sent" } else { "received" };
            self.begin(&format!("link {name} {side}"), &does, lasts, move || {
                port.impair(address, way, datapath(impairment), seed ^ way as u64);
                move || port.mend(address, way)
            })?;
        }
        Ok(Response::Done)
    }

    fn neighbor_address(&self, neighbor: &str) -> Result<SocketAddr, Error> {
        let peer = self.find(neighbor)?;
        let address = self.shell().links().addresses().into_iter().find(|(p, _)| *p == peer).map(|(_, a)| a);
        address.or_else(|| self.shell().roster.addresses(&peer).first().copied()).ok_or_else(|| {
            Error::new(ErrorKind::PeerNotFound, format!("{neighbor} is not a neighbor; `prunella links` lists them"))
        })
    }

    /// Has an actor take no message for a while. The node's owner may do that as well as kill it.
    pub(super) fn suspend(&self, actor: &str, seconds: u64) -> Result<Response, Error> {
        let lasts = Duration::from_secs(seconds);
        if !(Duration::from_secs(1)..=SUSPENDED_TIME_MAX).contains(&lasts) {
            let text = format!("an actor is suspended for 1 to {} seconds", SUSPENDED_TIME_MAX.as_secs());
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        self.hold_up(actor, None, lasts)
    }

    /// Ends what holds an actor up on purpose.
    pub(super) fn resume(&self, actor: &str) -> Result<Response, Error> {
        if self.breakable.faults.end(&format!("actor {actor}")) {
            return Ok(Response::Done);
        }
        Err(Error::new(ErrorKind::InvalidInput, format!("no actor named {actor} is suspended")))
    }

    fn hold_up(&self, actor: &str, each_ms: Option<u64>, lasts: Duration) -> Result<Response, Error> {
        // Supervisors and surfaces are not drivers of a mailbox: there is nothing in them to hold up.
        let stats = self.shell().directory.register.named(actor).filter(|_| !NOT_HELD_UP.contains(&actor));
        let stats = stats.ok_or_else(|| {
            let text = format!("no actor named {actor} can be held up; `prunella actors` lists them (not supervisors)");
            Error::new(ErrorKind::InvalidInput, text)
        })?;
        let (pace, does) = match each_ms {
            None => (Pace::Stalled, "handles nothing".to_owned()),
            Some(each) => (Pace::Slow(Duration::from_millis(each)), format!("takes {each} ms longer for each message")),
        };
        self.begin(&format!("actor {actor}"), &does, lasts, move || {
            stats.hindrance.set(Some(pace));
            move || stats.hindrance.set(None)
        })?;
        Ok(Response::Done)
    }

    fn hog(&self, threads: u16, lasts: Duration) -> Result<Response, Error> {
        if !(1..=HOG_THREADS_MAX).contains(&threads) {
            return Err(Error::new(ErrorKind::InvalidInput, format!("give 1 to {HOG_THREADS_MAX} threads")));
        }
        self.begin("cpu", &format!("is kept busy by {threads} threads"), lasts, || {
            let over = Arc::<AtomicBool>::default();
            for _ in 0..threads {
                let over = Arc::clone(&over);
                std::thread::spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            move || over.store(true, Ordering::Relaxed)
        })?;
        Ok(Response::Done)
    }

    fn shift_clock(&self, offset_s: i64, lasts: Duration) -> Result<Response, Error> {
        let host = self.breakable.host.clone();
        self.begin("clock", &format!("is wrong by {offset_s} s"), lasts, move || {
            host.set_clock_offset(offset_s);
            move || host.set_clock_offset(0)
        })?;
        Ok(Response::Done)
    }

    fn break_disk(&self, slow_ms: Option<u64>, stopped: bool, lasts: Duration) -> Result<Response, Error> {
        let does = match slow_ms {
            _ if stopped => "had an error: the store stopped".to_owned(),
            None => "is full".to_owned(),
            Some(slow) => format!("takes {slow} ms longer for each call"),
        };
        let disk = self.breakable.host.disk().clone();
        self.begin("disk", &does, lasts, move || {
            match slow_ms {
                _ if stopped => disk.stop_open(),
                None => disk.fill(),
                Some(slow) => disk.slow(Duration::from_millis(slow)),
            }
            move || disk.heal()
        })?;
        Ok(Response::Done)
    }
}

/// How long a fault lasts, if that is not too long.
fn lasting(for_ms: u64) -> Result<Duration, Error> {
    let lasts = Duration::from_millis(for_ms);
    if (Duration::from_millis(1)..=FAULT_TIME_MAX).contains(&lasts) {
        return Ok(lasts);
    }
    let text = format!("a fault lasts from 1 ms to {} s: it must end by itself", FAULT_TIME_MAX.as_secs());
    Err(Error::new(ErrorKind::InvalidInput, text))
}

/// What an impairment does, in words; an error if it cannot be meant.
fn sound(impairment: &LinkImpairment) -> Result<String, Error> {
    let LinkImpairment { drop_permille, duplicate_permille, reorder_permille, delay_ms, jitter_ms, .. } = *impairment;
    let wrong = |text: &str| Err(Error::new(ErrorKind::InvalidInput, text.to_owned()));
    if [drop_permille, duplicate_permille, reorder_permille].iter().any(|share| *share > 1000) {
        return wrong("no share is more than 100 %");
    }
    if Duration::from_millis(u64::from(delay_ms) + u64::from(jitter_ms)) > DELAY_MAX {
        return wrong("delay and jitter together are at most 10 s");
    }
    let percent = |share: u16| f64::from(share) / 10.0;
    let mut does = Vec::new();
    let mut tell = |is_so: bool, what: String| does.extend(is_so.then_some(what));
    tell(impairment.gray, "loses packets of sessions".to_owned());
    tell(drop_permille > 0, format!("loses {} %", percent(drop_permille)));
    tell(duplicate_permille > 0, format!("doubles {} %", percent(duplicate_permille)));
    tell(reorder_permille > 0, format!("reorders {} %", percent(reorder_permille)));
    tell(delay_ms > 0 || jitter_ms > 0, format!("delays by {delay_ms} to {} ms", delay_ms.saturating_add(jitter_ms)));
    tell(impairment.bytes_per_second > 0, format!("passes {} bytes/s", impairment.bytes_per_second));
    if does.is_empty() {
        wrong("say what happens on the link, such as that it loses everything")
    } else {
        Ok(does.join(", "))
    }
}

fn datapath(impairment: LinkImpairment) -> Impairment {
    Impairment {
        drop_permille: impairment.drop_permille,
        duplicate_permille: impairment.duplicate_permille,
        reorder_permille: impairment.reorder_permille,
        delay: Duration::from_millis(impairment.delay_ms.into()),
        jitter: Duration::from_millis(impairment.jitter_ms.into()),
        bytes_per_second: impairment.bytes_per_second,
        gray: impairment.gray,
    }
}

/// Names in the tree that are not roles with a mailbox.
const NOT_HELD_UP: [&str; 4] = ["root", "peers", "healing", "surfaces"];
/// How long a datagram may be held back at most.
const DELAY_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impairment_is_told_in_words_and_must_do_something() {
        let does = |impairment| sound(&impairment).map_err(|error| error.kind());
        let none = LinkImpairment::default();
        assert_eq!(does(LinkImpairment::CUT), Ok("loses 100 %".to_owned()));
        let slow = LinkImpairment { delay_ms: 50, jitter_ms: 10, drop_permille: 5, ..none };
        assert_eq!(does(slow), Ok("loses 0.5 %, delays by 50 to 60 ms".to_owned()));
        for wrong in [
            none,
            LinkImpairment { drop_permille: 1001, ..none },
            LinkImpairment { delay_ms: 10_001, ..none },
            LinkImpairment { delay_ms: u32::MAX, jitter_ms: u32::MAX, ..none },
        ] {
            assert_eq!(does(wrong), Err(ErrorKind::InvalidInput), "{wrong:?}");
        }
    }

    #[test]
    fn no_fault_lasts_for_ever() {
        assert!(lasting(1).is_ok() && lasting(3_600_000).is_ok());
        assert!(lasting(0).is_err() && lasting(3_600_001).is_err() && lasting(u64::MAX).is_err());
    }
}
