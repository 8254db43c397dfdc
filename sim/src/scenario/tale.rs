//! The story of a run, in lines that people read: who noticed, switched, raised and cleared what, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use prunella_core::incident::{Incident, IncidentKind};
use prunella_core::peer::LinkState;
use prunella_core::{Instant, Rejected};

use crate::news::News;
use crate::world::World;

/// What a story may be about. What the script does, processes that start, and oracles that say no, are always told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// How each end of a link judges it.
    Links,
    /// Which way traffic takes.
    Routes,
    /// How long an answer was missing.
    Traffic,
    /// Incidents that are raised and cleared.
    Incidents,
    /// What is tried about them.
    Steps,
    /// Who accuses whom, and who is alive, suspect or down.
    Members,
    /// Who has lost the majority.
    Quorum,
    /// Shared values, and writes that are refused.
    Shared,
    /// Proofs, what is turned away, and whom nobody believes in full.
    Trust,
    /// Who doubts itself.
    Health,
    /// What a process knows when it starts, and when it has caught up.
    Records,
    /// Whose ledger is not what it was.
    Ledgers,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Topic; 12] = [
        Topic::Links,
        Topic::Routes,
        Topic::Traffic,
        Topic::Incidents,
        Topic::Steps,
        Topic::Members,
        Topic::Quorum,
        Topic::Shared,
        Topic::Trust,
        Topic::Health,
        Topic::Records,
        Topic::Ledgers,
    ];

    /// The word for it in a script.
    pub fn name(self) -> &'static str {
        match self {
            Topic::Links => "links",
            Topic::Routes => "routes",
            Topic::Traffic => "traffic",
            Topic::Incidents => "incidents",
            Topic::Steps => "steps",
            Topic::Members => "members",
            Topic::Quorum => "quorum",
            Topic::Shared => "shared",
            Topic::Trust => "trust",
            Topic::Health => "health",
            Topic::Records => "records",
            Topic::Ledgers => "ledgers",
        }
    }
}

/// A story that was played to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// Its lines, in order: seconds, who says so, and what.
    pub lines: Vec<String>,
    /// What the oracles said no to, and what was not well in the end. Empty: all is as it must be.
    pub failures: Vec<String>,
    /// How many lines were left out because nobody would read on.
    pub left_out: usize,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        if self.left_out == 0 { Ok(()) } else { writeln!(f, "... and {} more lines", self.left_out) }
    }
}

/// What nodes are called: by number, and by the id that evidence names them with.
#[derive(Debug)]
pub(super) struct Names {
    names: Vec<String>,
    ids: Vec<[String; 2]>,
}

impl Names {
    pub(super) fn new(names: &[String], world: &World) -> Self {
        let ids = world.hosts.iter().map(|host| [host.peer_id().to_string(), host.peer_id().short()]).collect();
        Self { names: names.to_vec(), ids }
    }

    pub(super) fn of(&self, node: usize) -> &str {
        &self.names[node]
    }

    pub(super) fn way(&self, hops: &[usize]) -> String {
        hops.iter().map(|hop| self.of(*hop)).collect::<Vec<_>>().join(">")
    }

    /// A text in which the core names nodes by their ids.
    fn in_words(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, ids) in self.names.iter().zip(&self.ids) {
            text = ids.iter().fold(text, |text, id| text.replace(id, name));
        }
        text
    }

    /// A text in which an oracle names nodes by their numbers: each stands behind one of these words.
    fn of_oracle(&self, text: &str) -> String {
        const BEFORE: [&str; 9] = ["node", "nodes", "from", "to", "between", "and", "of", "over", "link-down"];
        let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        for at in 1..words.len() {
            let digits = words[at].trim_end_matches([':', ',', ';']).len();
            let number = words[at][..digits].parse::<usize>().ok();
            let behind = BEFORE.contains(&words[at - 1].as_str()) || words[at - 1].starts_with("path-");
            if let Some(name) = number.filter(|_| behind).and_then(|number| self.names.get(number)) {
                words[at] = format!("{name}{}", &words[at][digits..]);
            }
        }
        self.in_words(&words.join(" "))
    }
}

/// One line, while others may still join in.
#[derive(Debug)]
struct Line {
    at: Instant,
    /// Who says so; empty: the script, or an oracle.
    speakers: BTreeSet<usize>,
    what: String,
}

/// Somebody turns away one thing after the other.
#[derive(Debug)]
struct Burst {
    line: usize,
    first: Instant,
    last: Instant,
    count: u64,
}

/// A story that is being told.
#[derive(Debug)]
pub(super) struct Tale {
    pub(super) names: Names,
    topics: BTreeSet<Topic>,
    zero: Instant,
    lines: Vec<Line>,
    /// Which way each route led when it was last told.
    ways: BTreeMap<(usize, usize), (Vec<usize>, Vec<usize>)>,
    /// What each node last read under a shared key.
    read: BTreeMap<(usize, String), Vec<String>>,
    /// How ill each node last said to be.
    ill: BTreeMap<usize, u8>,
    bursts: BTreeMap<(usize, usize, Rejected), Burst>,
}

impl Tale {
    pub(super) fn new(names: Names, topics: &[Topic], zero: Instant) -> Self {
        Self {
            names,
            topics: topics.iter().copied().collect(),
            zero,
            lines: Vec::new(),
            ways: BTreeMap::new(),
            read: BTreeMap::new(),
            ill: BTreeMap::new(),
            bursts: BTreeMap::new(),
        }
    }

    /// What happened before the story begins: what it says is not news any more.
    pub(super) fn pass_over(&mut self, news: Vec<(Instant, News)>) {
        self.hear(news);
        self.lines.clear();
        self.bursts.clear();
    }

    /// Something that nobody in the mesh says.
    pub(super) fn note(&mut self, at: Instant, what: String) {
        self.lines.push(Line { at, speakers: BTreeSet::new(), what });
    }

    /// What happened, as far as it matters to the reader.
    pub(super) fn hear(&mut self, news: Vec<(Instant, News)>) {
        for (at, news) in news {
            match news {
                News::Route { host, to, hops, copies } => self.on_route(at, (host, to), hops, copies),
                News::NoRoute { host, to } => self.on_route(at, (host, to), Vec::new(), Vec::new()),
                News::Shared { host, key, values } if self.has_read(host, &key, &values) => {}
                // Getting better takes a step every second: only the end of it is news.
                News::Health { host, ill } if self.is_better(host, ill) && ill > 0 => {}
                // Whoever lies holds the proof of it as others do.
                News::Proof { host, accused, .. } if host == accused => {}
                News::Rejected { host, from, reason } => self.on_rejected(at, host, from, reason),
                // The script has told it in its own words.
                News::Fault { .. } => {}
                News::Failure { what } => {
                    let what = format!("AN ORACLE SAYS NO: {}", self.names.of_oracle(&what));
                    self.note(at, what);
                }
                news => {
                    if let News::Starts { host, .. } = news {
                        self.begin(host);
                    }
                    if let Some((speaker, topic, what)) = self.word(news, at)
                        && topic.is_none_or(|topic| self.topics.contains(&topic))
                    {
                        self.say(at, speaker, what);
                    }
                }
            }
        }
    }

    /// Says something; whoever says the same at about the same time is told in one line.
    fn say(&mut self, at: Instant, speaker: usize, what: String) {
        let recent =
            self.lines.iter_mut().rev().take_while(|line| at.since(line.at) <= TOGETHER && !line.speakers.is_empty());
        for line in recent {
            if line.what == what && !line.speakers.contains(&speaker) {
                line.speakers.insert(speaker);
                return;
            }
        }
        self.lines.push(Line { at, speakers: BTreeSet::from([speaker]), what });
    }

    fn has_read(&mut self, host: usize, key: &str, values: &[String]) -> bool {
        self.read.insert((host, key.to_owned()), values.to_vec()).is_some_and(|before| before == values)
    }

    fn is_better(&mut self, host: usize, ill: u8) -> bool {
        self.ill.insert(host, ill).is_some_and(|before| ill < before)
    }

    /// A process starts: it has read nothing and said nothing yet.
    fn begin(&mut self, host: usize) {
        self.read.retain(|(at, _), _| *at != host);
        self.ways.retain(|(at, _), _| *at != host);
        self.ill.remove(&host);
    }

    fn on_route(&mut self, at: Instant, (host, to): (usize, usize), hops: Vec<usize>, copies: Vec<usize>) {
        let before = self.ways.insert((host, to), (hops.clone(), copies.clone()));
        if before.is_some_and(|before| before.0 == hops && before.1 == copies) || !self.topics.contains(&Topic::Routes)
        {
            return;
        }
        let to = self.names.of(to).to_owned();
        let what = match (hops.is_empty(), copies.is_empty()) {
            (true, _) => format!("has no way to {to}"),
            (_, true) => format!("sends to {to} over {}", self.names.way(&hops)),
            (_, false) => {
                format!("sends to {to} over {}, and copies over {}", self.names.way(&hops), self.names.way(&copies))
            }
        };
        self.say(at, host, what);
    }

    fn on_rejected(&mut self, at: Instant, host: usize, from: usize, reason: Rejected) {
        // Honest nodes repeat themselves.
        if reason == Rejected::Replayed || !self.topics.contains(&Topic::Trust) {
            return;
        }
        let key = (host, from, reason);
        if self.bursts.get(&key).is_none_or(|burst| at.since(burst.last) > BURST_ENDS) {
            self.bursts.insert(key, Burst { line: self.lines.len(), first: at, last: at, count: 0 });
            self.lines.push(Line { at, speakers: BTreeSet::from([host]), what: String::new() });
        }
        let Some(burst) = self.bursts.get_mut(&key) else { return };
        (burst.last, burst.count) = (at, burst.count + 1);
        let within = seconds(burst.last.since(burst.first));
        let count = if burst.count == 1 { "one message".to_owned() } else { format!("{} messages", burst.count) };
        let within = if burst.count == 1 { String::new() } else { format!(" within {within} s") };
        let from = self.names.of(from);
        self.lines[burst.line].what = format!("turns away {count} of {from}{within}: {reason}");
    }

    /// Who says what, and what it is about; `None`: it is no news.
    fn word(&self, news: News, at: Instant) -> Option<(usize, Option<Topic>, String)> {
        let name = |node: usize| self.names.of(node);
        let (host, topic, what) = match news {
            News::Starts { host, records } => return Some((host, None, format!("starts, with {records} records"))),
            News::RolesRestarted { host } => return Some((host, None, "starts again what had crashed".to_owned())),
            News::CaughtUp { host, records } => {
                (host, Topic::Records, format!("knows what its neighbors know: {records} records"))
            }
            News::Link { host, peer, state } => {
                let is =
                    if state == LinkState::Dialing { "gone, and dialed".to_owned() } else { state.name().to_owned() };
                (host, Topic::Links, format!("link to {} is {is}", name(peer)))
            }
            News::Raised { host, incident } => {
                let evidence = self.names.in_words(&incident.evidence.to_string());
                (host, Topic::Incidents, format!("raises {}: {evidence}", self.incident(&incident)))
            }
            News::Cleared { host, incident } => {
                let lasted = seconds(at.since(incident.opened));
                (host, Topic::Incidents, format!("clears {} after {lasted} s", self.incident(&incident)))
            }
            News::Step { host, incident, step } => {
                (host, Topic::Steps, format!("tries for {}: {step}", self.incident(&incident)))
            }
            News::Accuses { host, subject, accuses } => {
                let what = if accuses { "accuses" } else { "takes back that it accused" };
                (host, Topic::Members, format!("{what} {}", name(subject)))
            }
            News::Member { host, subject, change } => {
                (host, Topic::Members, format!("{} {}", name(subject), News::standing(&change)))
            }
            News::Quorum { host, has, reachable, known } => {
                let what = if has { "has its quorum back" } else { "has lost the quorum" };
                (host, Topic::Quorum, format!("{what}: reaches {reachable} of {known}"))
            }
            News::Shared { host, key, values } if values.is_empty() => {
                (host, Topic::Shared, format!("reads nothing under {key}"))
            }
            News::Shared { host, key, values } => {
                (host, Topic::Shared, format!("reads {key} = {}", values.join(" | ")))
            }
            News::Answered { host, refused } => (host, Topic::Shared, format!("refuses to write: {}", refused?)),
            News::Proof { host, accused, finder } => {
                let what = format!(
                    "believes {} no more: {} has proof of two statements under one version",
                    name(accused),
                    name(finder)
                );
                (host, Topic::Trust, what)
            }
            News::Repaired { host, by, entries } => {
                (host, Topic::Ledgers, format!("repairs {entries} entries of its ledger with the help of {}", name(by)))
            }
            News::Ledger { host, owner, fault } => {
                (host, Topic::Ledgers, format!("finds that the ledger of {} was {fault}", name(owner)))
            }
            News::RolledBack { host, found, witnessed } => {
                let what = format!("says that its ledger was set back: {found} entries, and {witnessed} were seen");
                (host, Topic::Ledgers, what)
            }
            News::Health { host, ill: 0 } => (host, Topic::Health, "is well again".to_owned()),
            News::Health { host, ill } => (host, Topic::Health, format!("doubts itself: {ill} of 8")),
            News::Gap { client, server, gap } => {
                (client, Topic::Traffic, format!("had no answer from {} for {} ms", name(server), gap.as_millis()))
            }
            News::Fault { .. } | News::Failure { .. } => return None,
            News::Route { .. } | News::NoRoute { .. } | News::Rejected { .. } => return None,
        };
        Some((host, Some(topic), what))
    }

    fn incident(&self, incident: &Incident) -> String {
        let kind = incident.kind.name();
        match &incident.kind {
            IncidentKind::FewNeighbors => kind.to_owned(),
            other => format!("{kind} {}", self.names.in_words(&other.subject().to_string())),
        }
    }

    /// The last lines: how everything stands when the story is over.
    pub(super) fn end(mut self, world: &World) -> Story {
        let unwell = world.unhealed();
        let mut failures: Vec<String> =
            world.failures().iter().map(|failure| self.names.of_oracle(&failure.what)).collect();
        if unwell.is_empty() {
            self.note(world.now, "all is well".to_owned());
        }
        for wrong in unwell {
            let wrong = format!("not all is well: {}", self.names.of_oracle(&wrong));
            failures.push(wrong.clone());
            self.note(world.now, wrong);
        }
        if self.topics.contains(&Topic::Trust) {
            self.end_trust(world);
        }
        let left_out = self.lines.len().saturating_sub(LINES_MAX);
        let lines = self.lines.iter().take(LINES_MAX).map(|line| self.show(line)).collect();
        Story { lines, failures, left_out }
    }

    /// Who believes whom how far, if not in full.
    fn end_trust(&mut self, world: &World) {
        for host in (0..world.hosts.len()).filter(|host| !world.is_liar(*host)) {
            let Some(node) = world.node(host) else { continue };
            for (subject, other) in world.hosts.iter().enumerate() {
                let score = node.gossip().score(&other.peer_id());
                if score.sum < 1.0 {
                    let what = format!("believes {} to {:.0} %", self.names.of(subject), score.sum * 100.0);
                    self.say(world.now, host, what);
                }
            }
        }
    }

    fn show(&self, line: &Line) -> String {
        let at = seconds(line.at.since(self.zero));
        if line.speakers.is_empty() {
            return format!("{at:>7}  -- {}", line.what);
        }
        let who: Vec<&str> = line.speakers.iter().map(|speaker| self.names.of(*speaker)).collect();
        format!("{at:>7}  {}: {}", who.join(" "), line.what)
    }
}

/// Seconds with two decimals, rounded down.
fn seconds(duration: Duration) -> String {
    let hundredths = duration.as_millis() / 10;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// How far apart the same may be said by several nodes and be told in one line, with the time of the first.
const TOGETHER: Duration = Duration::from_millis(50);
/// How long nothing is turned away until it begins anew.
const BURST_ENDS: Duration = Duration::from_secs(1);
/// Most lines of a story.
const LINES_MAX: usize = 80;
