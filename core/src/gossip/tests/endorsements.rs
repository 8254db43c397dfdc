//! Words that count only with a second signature.

use super::*;
use crate::record::{Digest, Matter};

/// What a shell answers that has signed this; here the bytes are the digest alone.
fn endorsed(matter: Matter, digest: Digest) -> Input {
    Input::SetEndorsement { matter, digest, endorsement: digest.to_vec() }
}

/// Three nodes of a mesh that asks for endorsements. Node 1 endorses what it says when the test says so, node 2 is watched, and
/// node 3 is whom they vote about.
struct Endorsing {
    mesh: Mesh,
    /// What node 1 wants endorsed, in order.
    wanted: Vec<(Matter, Digest)>,
    /// What the shell and the ledger of node 2 hear.
    heard: Vec<Effect>,
}

impl Endorsing {
    fn new() -> Self {
        let mut mesh = Mesh { nodes: BTreeMap::new(), now: Instant::BOOT, sent: BTreeMap::new(), arrive: usize::MAX };
        for i in 1..=3 {
            let mut gossip = Gossip::new(Identity::from_secret(&[i; 32]), u64::from(i), mesh.now);
            let clock = Input::Clock { unix_ms: UNIX_MS };
            for input in [Input::EndorsementsRequired, clock] {
                gossip.handle(input, mesh.now, &mut Vec::new());
            }
            mesh.nodes.insert(id(i), gossip);
        }
        let mut this = Self { mesh, wanted: Vec::new(), heard: Vec::new() };
        (1..=3).for_each(|i| this.give(i, Input::Announce(body(&format!("n{i}")))));
        for (a, b) in [(1, 2), (1, 3), (2, 3)] {
            this.give(a, Input::LinkReported(report(b, LinkState::Up)));
            this.give(b, Input::LinkReported(report(a, LinkState::Up)));
        }
        this.run(5);
        this
    }

    /// As [`Mesh::give`], but effects that are no messages are kept.
    fn give(&mut self, to: u8, input: Input) {
        let mut effects = Vec::new();
        self.mesh.nodes.get_mut(&id(to)).unwrap().handle(input, self.mesh.now, &mut effects);
        self.deliver(to, effects);
    }

    fn deliver(&mut self, from: u8, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send { to, control } => {
                    let to = (1..=3).find(|i| id(*i) == to).unwrap();
                    let (message, bad) = verify(control, UNIX_MS + self.mesh.now.as_millis()).unwrap();
                    assert!(bad.is_empty());
                    self.give(to, Input::Heard { from: id(from), message });
                }
                Effect::EndorsementWanted { matter, digest } if from == 1 => self.wanted.push((matter, digest)),
                // The shell of node 2 checks nothing here: the bytes are what they endorse.
                Effect::EndorsementHeard { origin, matter, endorsement } if from == 2 => {
                    let digest = endorsement.try_into().unwrap();
                    self.give(2, Input::Endorsed { origin, matter, digest });
                }
                other if from == 2 => self.heard.push(other),
                _ => {}
            }
        }
    }

    fn run(&mut self, seconds: u64) {
        let end = self.mesh.now + Duration::from_secs(seconds);
        loop {
            let next = (1..=3).filter_map(|i| Some((self.mesh.nodes[&id(i)].deadline()?, i))).min();
            let Some((at, node)) = next.filter(|(at, _)| *at <= end) else { break };
            self.mesh.now = self.mesh.now.max(at);
            let mut effects = Vec::new();
            self.mesh.nodes.get_mut(&id(node)).unwrap().wake(self.mesh.now, &mut effects);
            self.deliver(node, effects);
        }
        self.mesh.now = end;
    }

    /// Endorses the newest of what node 1 wanted about this.
    fn endorse(&mut self, matter: Matter) {
        let (_, digest) = *self.wanted.iter().rfind(|(wanted, _)| *wanted == matter).unwrap();
        self.give(1, endorsed(matter, digest));
        self.run(5);
    }

    fn hears(&mut self, what: impl Fn(&Effect) -> bool) -> bool {
        self.run(5);
        std::mem::take(&mut self.heard).iter().any(what)
    }

    /// Who votes against node 3, as far as node 2 counts it.
    fn votes(&mut self) -> usize {
        self.run(5);
        let views = self.mesh.nodes[&id(2)].members();
        views.into_iter().find(|view| view.peer == id(3)).map_or(0, |view| view.distrusted_by.len())
    }
}

fn is_node_one(effect: &Effect) -> bool {
    matches!(effect, Effect::NodeChanged { peer, body: Some(_) } if *peer == id(1))
}

fn is_head(effect: &Effect) -> bool {
    matches!(effect, Effect::LedgerHeadHeard { .. })
}

#[test]
fn who_a_node_is_and_what_its_ledger_is_count_when_they_are_endorsed() {
    let mut pair = Endorsing::new();
    assert!(!pair.hears(is_node_one), "it is held, and not believed");
    pair.endorse(Matter::Identity);
    assert!(pair.hears(is_node_one));
    pair.give(1, Input::SetLedgerHead(ledger_head(1, 1)));
    assert!(!pair.hears(is_head));
    pair.endorse(Matter::LedgerHead);
    assert!(pair.hears(is_head));
    // What endorses one head endorses no other.
    pair.give(1, Input::SetLedgerHead(ledger_head(1, 4)));
    assert!(!pair.hears(is_head));
    pair.give(2, Input::ResyncRequested);
    assert!(!pair.hears(is_head), "nor does asking again help");
    pair.endorse(Matter::LedgerHead);
    assert!(pair.hears(is_head));
    let before = pair.wanted.len();
    pair.give(1, Input::EndorsementsRequired);
    assert_eq!(pair.wanted.len() - before, 2, "another issuer stands behind it: all of it is endorsed anew");
}

#[test]
fn a_vote_counts_and_is_taken_back_when_that_is_endorsed() {
    let mut pair = Endorsing::new();
    for _ in 0..5 {
        pair.give(1, Input::Rejected { from: id(3), reason: Rejected::Unsigned });
    }
    pair.run(5);
    assert_eq!(pair.votes(), 0);
    pair.endorse(Matter::Distrust);
    assert_eq!(pair.votes(), 1);
    // Node 3 is forgiven after a while. Whoever forged that with the weaker key alone changes nothing.
    pair.run(1200);
    assert!(pair.wanted.ends_with(&[(Matter::Distrust, Matter::digest_of_votes(&[]))]), "{:?}", pair.wanted);
    assert_eq!(pair.votes(), 1);
    pair.endorse(Matter::Distrust);
    assert_eq!(pair.votes(), 0);
}
