//! Scenes: a whole node's samples as they come when all is well, and with one thing wrong at a time.

use super::*;
use crate::rng::Rng;

fn id(i: u8) -> PeerId {
    PeerId::from_public_key([i; 32])
}

/// What a node measures within one sample's time.
#[derive(Clone, Debug)]
struct Measured {
    late: Duration,
    unix_ms: u64,
    memory: u64,
    descriptors: u64,
    store: Duration,
    gossip_moves: bool,
    gossip_lags: bool,
    writer_moves: bool,
    /// Of the link to the first neighbor.
    state: LinkState,
    rtt: Duration,
    lost: u64,
    hears: bool,
    refused: u64,
    /// Of the session with the destination.
    acknowledges: bool,
    switches: bool,
    certificate_left: Duration,
    others_down: bool,
}

/// A node with four neighbors, one destination, and everything that is sampled, for `seconds`; `fault` changes what is
/// measured at each moment. What was raised, with the moment in milliseconds.
fn play(seconds: u64, seed: u64, busy: bool, fault: impl Fn(&mut Measured, u64)) -> Vec<(&'static str, u64)> {
    let config = Config { me: id(9), neighbors_target: 0, rtt_limit: RTT_LIMIT };
    let mut scene = Scene {
        monitor: Monitor::new(config, 1, [], Instant::BOOT),
        rng: Rng::from_seed(seed),
        busy,
        counts: [0; 8],
        due: [0; 2],
        is_due: [false; 2],
        told: Vec::new(),
    };
    let mut ms = 0;
    while ms < seconds * 1000 {
        let (late, step) = scene.schedule();
        ms += step;
        ms += scene.sample(late, ms, &fault);
    }
    scene.told
}

struct Scene {
    monitor: Monitor,
    rng: Rng,
    busy: bool,
    /// Handled by gossip, waiting for it, the same of the writer; sent and heard frames; probes returned and lost.
    counts: [u64; 8],
    /// When the counters and the reports come next, in milliseconds, and whether they come with this sample.
    due: [u64; 2],
    is_due: [bool; 2],
    told: Vec<(&'static str, u64)>,
}

impl Scene {
    /// How late the next sample comes, and when. On a host with twice the load that it can bear a process waits for its
    /// turn now and then, for up to some scheduling periods.
    fn schedule(&mut self) -> (Duration, u64) {
        let late = match self.rng.below(20) {
            0 if self.busy => 20 + self.rng.below(100) as u64,
            1..=10 if self.busy => self.rng.below(15) as u64,
            _ => 0,
        };
        (Duration::from_millis(late), 10 + late)
    }

    fn tell(&mut self, input: Input, ms: u64) {
        let mut effects = Vec::new();
        let now = Instant::from_millis(ms);
        if self.monitor.deadline().is_some_and(|at| at <= now) {
            self.monitor.wake(now, &mut effects);
        }
        self.monitor.handle(input, now, &mut effects);
        for effect in effects {
            if let Effect::Raise(incident) = effect {
                self.told.push((incident.kind.name(), ms));
            }
        }
    }

    /// By how many milliseconds more than it was meant to be the sample was late is returned.
    fn sample(&mut self, late: Duration, ms: u64, fault: &impl Fn(&mut Measured, u64)) -> u64 {
        let noise = |rng: &mut Rng, most: usize| rng.below(most) as u64;
        let slow = if self.busy { 8 } else { 1 };
        let mut measured = Measured {
            late,
            unix_ms: 1_800_000_000_000 + ms,
            memory: (60 << 20) + noise(&mut self.rng, 4 << 20),
            descriptors: 40 + noise(&mut self.rng, 10),
            store: Duration::from_millis(5 + noise(&mut self.rng, 10) * slow),
            gossip_moves: true,
            gossip_lags: false,
            writer_moves: true,
            state: LinkState::Up,
            rtt: Duration::from_micros(300 + noise(&mut self.rng, 1000) * slow),
            lost: ms / 60_000,
            hears: true,
            refused: 0,
            acknowledges: true,
            switches: false,
            certificate_left: Duration::from_secs(60_000),
            others_down: false,
        };
        fault(&mut measured, ms);
        for (i, every) in [100, 1000].into_iter().enumerate() {
            self.is_due[i] = ms >= self.due[i];
            if self.is_due[i] {
                self.due[i] = ms + every;
            }
        }
        self.tell_process(&measured, ms);
        if self.is_due[0] {
            self.tell_counters(&measured, ms);
        }
        if self.is_due[1] {
            self.tell_reports(&measured, ms);
        }
        measured.late.saturating_sub(late).as_millis() as u64
    }

    fn tell_process(&mut self, measured: &Measured, ms: u64) {
        let gossip_moves = measured.gossip_moves && (!measured.gossip_lags || ms % 300 < 10);
        let gossip_keeps_up = measured.gossip_moves && !measured.gossip_lags;
        for (moves, keeps_up, at) in
            [(gossip_moves, gossip_keeps_up, 0), (measured.writer_moves, measured.writer_moves, 2)]
        {
            self.counts[at] += u64::from(moves);
            // What waits for who does not keep up piles up slowly.
            self.counts[at + 1] =
                if keeps_up { u64::from(self.busy) } else { self.counts[at + 1] + u64::from(self.is_due[0]) };
        }
        let actor = |name: &str, at: usize| ActorSample {
            actor: name.to_owned(),
            handled: self.counts[at],
            waiting: self.counts[at + 1],
            oldest: None,
        };
        let actors = vec![actor("gossip", 0), actor("knowledge", 2)];
        let is_second = self.is_due[1];
        let process = ProcessSample {
            late: measured.late,
            unix_ms: measured.unix_ms,
            processor: None,
            memory: is_second.then_some(measured.memory),
            descriptors: is_second.then_some(measured.descriptors),
        };
        self.tell(Input::ProcessSampled { process, actors }, ms);
    }

    fn tell_counters(&mut self, measured: &Measured, ms: u64) {
        self.counts[4] += 10;
        self.counts[5] += if measured.hears { 10 } else { 0 };
        let mut rejected = [0; crate::Rejected::ALL.len()];
        rejected[0] = measured.refused;
        let sample = LinkSample {
            peer: id(1),
            sent: self.counts[4],
            sent_bytes: self.counts[4] * 1000,
            heard: self.counts[5],
            heard_bytes: self.counts[5] * 1000,
            rejected,
        };
        self.tell(Input::LinksSampled(vec![sample]), ms);
        let acknowledged = if measured.acknowledges { self.counts[4] } else { 0 };
        // Never fewer than before: a session only counts up.
        self.counts[7] = self.counts[7].max(acknowledged);
        let session = PathSample { destination: id(20), sent: self.counts[4], lost: 0, acknowledged: self.counts[7] };
        self.tell(Input::PathsSampled(vec![session]), ms);
        self.tell(Input::StoreWrote { took: measured.store }, ms);
        if measured.switches {
            let change = PathChange::Switched {
                from: vec![],
                to: vec![id(2)],
                cause: SwitchCause::Late,
                silent: Duration::ZERO,
            };
            self.tell(Input::PathReported(PathReport { destination: id(20), change }), ms);
        }
    }

    fn tell_reports(&mut self, measured: &Measured, ms: u64) {
        if ms < 1100 {
            let change = PathChange::Found;
            self.tell(Input::PathReported(PathReport { destination: id(20), change }), ms);
        }
        self.counts[6] += 5;
        for i in 1..=4 {
            let is_down = i > 1 && measured.others_down;
            let report = LinkReport {
                peer: id(i),
                link: Some((crate::LinkId(u64::from(i)), crate::Label(u16::from(i)))),
                state: if is_down {
                    LinkState::Down
                } else if i == 1 {
                    measured.state
                } else {
                    LinkState::Up
                },
                rtt: if i == 1 { measured.rtt } else { Duration::from_millis(1) },
                loss_permille: 0,
                probes_returned: self.counts[6],
                probes_lost: if i == 1 { measured.lost } else { 0 },
                heard: None,
                established: 1,
                probed_every: Duration::from_millis(200),
                carries_until: Instant::BOOT,
                failing: false,
                latency: Default::default(),
            };
            self.tell(Input::LinkReported(report), ms);
        }
        let left = measured.certificate_left;
        self.tell(Input::CertificateChecked { left, life: Duration::from_secs(86_400) }, ms);
    }
}

type Fault = Box<dyn Fn(&mut Measured, u64)>;

/// Faults that begin at [`BEGINS`], each with the incident that names it.
fn gray_cases() -> Vec<(&'static str, Fault)> {
    fn from_then(fault: impl Fn(&mut Measured, u64) + 'static) -> Fault {
        Box::new(move |measured, ms| {
            if ms >= BEGINS {
                fault(measured, ms - BEGINS)
            }
        })
    }
    let seconds = |ms: u64| ms / 1000 + 1;
    vec![
        ("link-down", from_then(|m, _| (m.state, m.hears) = (LinkState::Down, false))),
        ("link-one-way", from_then(|m, _| m.state = LinkState::Down)),
        ("link-lossy", from_then(move |m, ms| m.lost += seconds(ms) * 2)),
        ("link-slow", from_then(|m, _| m.rtt += Duration::from_millis(80))),
        ("breach-ahead", from_then(|m, ms| m.rtt += Duration::from_millis(ms / 40))),
        ("payload-lost", from_then(|m, _| m.acknowledges = false)),
        ("path-churn", from_then(|m, ms| m.switches = ms % 500 < 110)),
        ("refusals", from_then(|m, ms| m.refused = ms)),
        ("actor-stuck", from_then(|m, _| m.gossip_moves = false)),
        ("actor-stuck", from_then(|m, _| m.writer_moves = false)),
        ("actor-slow", from_then(|m, _| m.gossip_lags = true)),
        ("store-slow", from_then(|m, _| m.store = Duration::from_millis(600))),
        ("leak", from_then(move |m, ms| m.descriptors += seconds(ms) * 200)),
        ("leak", from_then(move |m, ms| m.memory += seconds(ms) * (200 << 20))),
        ("starved", from_then(|m, _| m.late = Duration::from_millis(300))),
        ("clock-jumped", from_then(|m, _| m.unix_ms -= 60_000)),
        ("certificate-expiring", from_then(|m, _| m.certificate_left = Duration::from_secs(100))),
        ("cut-off", from_then(|m, _| (m.state, m.hears, m.others_down) = (LinkState::Down, false, true))),
    ]
}

#[test]
fn every_gray_case_is_found_within_seven_seconds_and_nothing_before_it() {
    for (i, (name, fault)) in gray_cases().into_iter().enumerate() {
        let told = play(40, i as u64, false, fault);
        let found = told.iter().find(|(kind, _)| *kind == name).map(|(_, ms)| *ms);
        assert!(found.is_some_and(|ms| (BEGINS..BEGINS + 7000).contains(&ms)), "case {i}, {name}: {told:?}");
        assert!(told.iter().all(|(_, ms)| *ms >= BEGINS), "case {i}, {name}: {told:?}");
    }
}

#[test]
fn a_busy_host_finds_every_gray_case_within_seven_seconds_too() {
    for (i, (name, fault)) in gray_cases().into_iter().enumerate() {
        let told = play(40, i as u64, true, fault);
        let found = told.iter().find(|(kind, ms)| *kind == name && *ms >= BEGINS).map(|(_, ms)| *ms);
        assert!(found.is_some_and(|ms| ms < BEGINS + 7000), "case {i}, {name}: {told:?}");
    }
}

#[test]
fn a_busy_host_without_a_fault_raises_nothing() {
    for seed in 0..4 {
        assert_eq!(play(600, seed, true, |_, _| {}), [], "seed {seed}");
    }
}

/// When the fault begins: everything that learns has learned by then.
const BEGINS: u64 = 20_000;
