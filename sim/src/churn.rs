//! What operators do while the storm lasts: services come and go, shared values are written, and rules change.

use std::time::Duration;

use prunella_core::rng::Rng;
use prunella_core::wiring::Route;
use prunella_core::{PeerId, gossip, policy};

use crate::config::Config;
use crate::event::Event;
use crate::host::Host;
use crate::rules::{Rule, written};
use crate::world::World;

/// The service that the timed requests are for.
pub(crate) const SERVICE: &str = "web";

impl Host {
    /// Its operator writes the rules for the first time.
    pub(crate) fn write_rules(&mut self, rng: &mut Rng, config: &Config) {
        let rules = if config.churn { draw_rules(rng, &[]) } else { open_rules() };
        self.written = vec![written(1, &rules)];
        self.exposed.insert(SERVICE.to_owned());
    }
}

impl World {
    /// A service comes or goes, or somebody's rules change.
    pub(crate) fn on_churn(&mut self) {
        if self.now >= self.stormy_until {
            return;
        }
        let every = self.rng.jitter(CHURN_EVERY, 50);
        self.queue.push(self.now + every, Event::Churn);
        let host = self.rng.below(self.hosts.len());
        if !self.hosts[host].is_running() {
            return;
        }
        match self.rng.below(6) {
            0 => self.change_rules(host),
            1 | 2 => self.write_shared(host),
            _ => self.change_service(host),
        }
    }

    fn change_service(&mut self, host: usize) {
        let name = format!("s{}", self.rng.below(4));
        let exposed = !self.hosts[host].exposed.remove(&name);
        if exposed {
            self.hosts[host].exposed.insert(name.clone());
        }
        self.tell(host, Route::Gossip(gossip::Input::SetService { name, exposed }));
    }

    /// Writes or removes one of a few shared keys. Whoever's clock is ahead does not: what it wrote would stay in the
    /// future until then, and that is as it should be.
    fn write_shared(&mut self, host: usize) {
        if self.is_liar(host) || !self.hosts[host].is_on_time() {
            return;
        }
        self.tell_clock(host);
        let key = format!("k{}", self.rng.below(3));
        let value = (self.rng.below(4) > 0).then(|| format!("v{}", self.rng.below(100)));
        self.tell(host, Route::Gossip(gossip::Input::SetShared { key, value, ticket: 0 }));
    }

    fn change_rules(&mut self, host: usize) {
        let peers: Vec<PeerId> = self.hosts.iter().map(|host| host.peer_id()).collect();
        let rules = draw_rules(&mut self.rng, &peers);
        let before = self.hosts[host].written[0].clone();
        let document = written(before.version + 1, &rules);
        self.hosts[host].written = vec![document.clone(), before.clone()];
        self.tell(host, Route::Policy(policy::Input::Offered(document)));
        // Somebody who has not heard the news hands on what was said before.
        if self.rng.below(3) == 0 {
            self.tell(host, Route::Policy(policy::Input::Offered(before)));
        }
    }
}

/// Everybody may relay; who may connect is drawn.
fn draw_rules(rng: &mut Rng, peers: &[PeerId]) -> Vec<Rule> {
    let mut rules = vec![Rule { allows: true, from: Vec::new(), service: None }];
    if let (Some(peer), 0) = (rng.pick(peers), rng.below(2)) {
        rules.push(Rule { allows: false, from: vec![*peer], service: Some("*".to_owned()) });
    }
    if rng.below(4) > 0 {
        let service = [SERVICE, "db"][rng.below(2)].to_owned();
        rules.push(Rule { allows: true, from: Vec::new(), service: Some(service) });
    }
    rules
}

/// Everybody may do everything that is simulated.
fn open_rules() -> Vec<Rule> {
    [None, Some("*")].map(|service| Rule { allows: true, from: Vec::new(), service: service.map(str::to_owned) }).into()
}

/// Time between two changes, on average.
const CHURN_EVERY: Duration = Duration::from_millis(1500);
