//! What a verdict costs with 500 policies: remembered, found over the index, and found by plain Cedar over all of them.
//!
//! `cargo bench --bench policy`. The three are measured in turn, in the same run; each figure is over groups of requests,
//! so that a moment in which the machine did something else shows as spread and not as the result.

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request as CedarRequest,
    RestrictedExpression,
};
use prunella::policy::policy_file::Form;
use prunella::policy::{Action, Engine, Facts, NodeFacts, PolicyFile, Request};
use prunella_core::PeerId;

const POLICIES: usize = 500;
const NODES: usize = 200;
const SERVICES: usize = 40;
const REGIONS: usize = 8;
const ROUNDS: usize = 60;

fn main() -> io::Result<()> {
    let text = policies();
    let policy = PolicyFile::parse(&text, "bench.toml", Form::Toml).expect("the policies are good");
    assert_eq!(policy.rules.len(), POLICIES);
    let cedar: String = policy.rules.iter().map(|rule| format!("{}\n", rule.cedar)).collect();
    let engine = Engine::new(policy, me());
    let all: PolicySet = cedar.parse().expect("what a rule compiles to is Cedar");
    let requests = requests();
    let facts = Known;
    let (mut cached, mut indexed, mut plain, mut allowed) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        requests.iter().for_each(|request| drop(engine.decide(request, &facts)));
        cached.push(mean(&requests, |request| engine.decide(request, &facts).allowed));
        indexed.push(mean(&requests, |request| engine.judge(request, &facts).allowed));
        let few = &requests[..requests.len() / 10];
        plain.push(mean(few, |request| by_cedar(request, &all)));
        for request in &requests {
            let verdict = engine.decide(request, &facts).allowed;
            allowed += usize::from(verdict);
        }
    }
    for request in &requests {
        assert_eq!(engine.decide(request, &facts).allowed, by_cedar(request, &all), "{request:?}");
    }
    let mut out = io::stdout().lock();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').take(3).collect::<Vec<_>>().join(" ");
    let share = 100 * allowed / (ROUNDS * requests.len());
    writeln!(out, "µs per verdict, {POLICIES} policies, {} requests of which {share} % are allowed", requests.len())?;
    writeln!(out, "load average {load}; each round is a mean over its requests, {ROUNDS} rounds")?;
    writeln!(out, "{:<34} {:>9} {:>9} {:>9} {:>9}", "", "least", "median", "p90", "most")?;
    show(&mut out, "remembered", &mut cached)?;
    show(&mut out, "found over the index", &mut indexed)?;
    show(&mut out, "plain Cedar over all policies", &mut plain)
}

/// Rules as an operator of a few hundred nodes may have them: about nodes, regions, everybody; a few in every request's
/// way.
fn policies() -> String {
    let mut text = String::new();
    let mut rule = |effect: &str, from: String, rest: String| {
        writeln!(text, "[[rule]]\neffect = '{effect}'\nfrom = [{from}]\naction = 'connect'\n{rest}").expect("a string");
    };
    let everybody = || "'*'".to_owned();
    for i in 0..POLICIES - 60 {
        rule("allow", format!("'{}'", peer(i % NODES)), format!("service = ['s{}']", i % SERVICES));
    }
    for i in 0..20 {
        rule(
            "allow",
            everybody(),
            format!("service = ['s{i}']\nregion = ['r{}']\nreputation_above = 0.5", i % REGIONS),
        );
    }
    for i in 0..20 {
        rule("deny", format!("'{}', '{}'", peer(i), peer(i + 20)), format!("service = ['s{}']", i + 10));
    }
    for i in 0..16 {
        rule("allow", everybody(), format!("region = ['r{}']\nservice = ['s{}', 's{}']", i % REGIONS, i, i + 20));
    }
    rule("deny", everybody(), "reputation_below = 0.2".to_owned());
    rule("deny", everybody(), "quarantined = true".to_owned());
    rule("deny", everybody(), "incident = ['misbehaving']".to_owned());
    rule("deny", everybody(), "certificate_older_than_s = 172800".to_owned());
    text
}

fn requests() -> Vec<Request<'static>> {
    let names: Vec<&'static str> = (0..SERVICES).map(|i| &*format!("s{i}").leak()).collect();
    let of =
        |i: usize| Request { from: peer(i * 7 % NODES), action: Action::Connect { service: names[i * 3 % SERVICES] } };
    (0..1000).map(of).collect()
}

/// The mean time of one verdict.
fn mean(requests: &[Request<'_>], verdict: impl Fn(&Request<'_>) -> bool) -> Duration {
    let started = Instant::now();
    for request in requests {
        black_box(verdict(black_box(request)));
    }
    started.elapsed() / requests.len() as u32
}

/// The same verdict by Cedar alone, over all policies.
fn by_cedar(request: &Request<'_>, all: &PolicySet) -> bool {
    let uid = |of: &str, id: &str| -> EntityUid { format!("{of}::\"{id}\"").parse().expect("an entity") };
    let service = request.action.about().unwrap_or_default();
    let (who, what) = (uid("Node", &request.from.to_string()), uid("Service", service));
    let facts = Known.node(&request.from);
    let string = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let attributes = [
        ("name", string(&facts.name)),
        ("region", string(&facts.region)),
        ("reputation", RestrictedExpression::new_long(facts.reputation.into())),
        ("certificate_age_s", RestrictedExpression::new_long(0)),
        ("quarantined", RestrictedExpression::new_bool(false)),
        ("incident", string("")),
        ("trust_domain", string("")),
        ("spiffe_id", string("")),
        ("federated", RestrictedExpression::new_bool(false)),
    ];
    let attributes = attributes.map(|(key, value)| (key.to_owned(), value)).into();
    let region = uid("Region", &facts.region);
    let node = Entity::new(who.clone(), attributes, [region].into()).expect("plain values");
    let entities = Entities::from_entities([node], None).expect("one entity");
    let action = uid("Action", "connect");
    let request = CedarRequest::new(who, action, what, Context::empty(), None).expect("no schema");
    Authorizer::new().is_authorized(&request, all, &entities).decision() == Decision::Allow
}

/// Facts that never change.
struct Known;

impl Facts for Known {
    fn generation(&self, _about: &PeerId) -> u64 {
        0
    }

    fn node(&self, about: &PeerId) -> NodeFacts {
        let first = usize::from(about.as_bytes()[0]);
        NodeFacts {
            region: format!("r{}", first % REGIONS),
            reputation: 100 + (first as u16 * 37) % 900,
            ..NodeFacts::sound()
        }
    }
}

fn peer(i: usize) -> PeerId {
    PeerId::from_public_key(*blake3::hash(&i.to_le_bytes()).as_bytes())
}

fn me() -> PeerId {
    peer(usize::MAX)
}

fn show(out: &mut impl Write, name: &str, times: &mut [Duration]) -> io::Result<()> {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_nanos() as f64 / 1000.0;
    writeln!(out, "{name:<34} {:>9.2} {:>9.2} {:>9.2} {:>9.2}", at(0), at(50), at(90), at(100))
}
