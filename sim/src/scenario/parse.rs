//! Reading a script: one line, one statement; what is not understood is named with its line and what was expected.

use std::collections::BTreeSet;
use std::time::Duration;

use prunella_core::node::Role;

use super::{Act, Deed, Mistake, Scenario, Topic};
use crate::disk::Damage;
use crate::fault::Fault;

impl Scenario {
    /// Reads a script; a transcript behind it is passed over.
    ///
    /// # Errors
    /// The first line that does not say what it should.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        let mut reader = Reader::default();
        let (script, _) = super::split(text);
        let mut last = 0;
        for (number, line) in script.lines().enumerate() {
            last = number + 1;
            let said = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = said.split_whitespace().collect();
            if let [first, rest @ ..] = &words[..] {
                reader.statement(first, rest).map_err(|what| Mistake { line: last, what })?;
            }
        }
        reader.finish().map_err(|what| Mistake { line: last.max(1), what })
    }
}

#[derive(Default)]
struct Reader {
    nodes: Vec<String>,
    wires: Vec<(usize, usize, Duration)>,
    traffic: Vec<(usize, usize)>,
    topics: BTreeSet<Topic>,
    seed: Option<u64>,
    acts: Vec<Act>,
    end: Option<Duration>,
}

/// What is wrong with a line.
type Said<T> = Result<T, String>;

impl Reader {
    fn statement(&mut self, first: &str, rest: &[&str]) -> Said<()> {
        if self.end.is_some() {
            return Err(format!("{first:?} stands behind `end`, which is the last line of a script"));
        }
        if self.nodes.is_empty() && first != "nodes" {
            return Err(format!("expected `nodes NAME ...` before {first:?}"));
        }
        match first {
            "nodes" => self.nodes(rest),
            "link" => self.link(rest),
            "mesh" => self.mesh(rest),
            "traffic" => self.traffic(rest),
            "tell" => self.tell(rest),
            "seed" => {
                let [number] = rest else { return Err("expected `seed NUMBER`".to_owned()) };
                self.seed = Some(number.parse().map_err(|_| format!("expected a number, found {number:?}"))?);
                Ok(())
            }
            "at" => self.at(rest),
            "end" => {
                let [time] = rest else { return Err("expected `end TIME`".to_owned()) };
                self.end = Some(duration(time)?);
                Ok(())
            }
            other => Err(format!("expected one of {}, found {other:?}", STATEMENTS.join(", "))),
        }
    }

    fn finish(self) -> Said<Scenario> {
        let end = self.end.ok_or("expected `end TIME` as the last line")?;
        if self.wires.is_empty() {
            return Err("expected `link A-B TIME` or `mesh TIME`: no node has a wire".to_owned());
        }
        if let Some(act) = self.acts.iter().find(|act| act.at >= end) {
            return Err(format!("{:?} happens when the story is over", act.words));
        }
        let topics = if self.topics.is_empty() { Topic::ALL.to_vec() } else { self.topics.into_iter().collect() };
        Ok(Scenario {
            nodes: self.nodes,
            wires: self.wires,
            traffic: self.traffic,
            topics,
            seed: self.seed.unwrap_or(1),
            acts: self.acts,
            end,
        })
    }

    fn nodes(&mut self, names: &[&str]) -> Said<()> {
        if !self.nodes.is_empty() {
            return Err("the nodes are named already".to_owned());
        }
        if !(3..=NODES_MAX).contains(&names.len()) {
            return Err(format!("expected 3 to {NODES_MAX} names, found {}", names.len()));
        }
        for name in names {
            let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            if !plain {
                return Err(format!("expected a name of small letters and digits, found {name:?}"));
            }
            if self.nodes.iter().any(|known| known == name) {
                return Err(format!("{name:?} is named twice"));
            }
            self.nodes.push((*name).to_owned());
        }
        Ok(())
    }

    fn node(&self, name: &str) -> Said<usize> {
        let found = self.nodes.iter().position(|known| known == name);
        found.ok_or_else(|| format!("expected one of {}, found {name:?}", self.nodes.join(", ")))
    }

    /// Two nodes with a mark between them: `a-b`, `a>b`.
    fn pair(&self, word: &str, mark: char) -> Said<(usize, usize)> {
        let expected = || format!("expected two nodes like {}{mark}{}, found {word:?}", self.nodes[0], self.nodes[1]);
        let (a, b) = word.split_once(mark).ok_or_else(expected)?;
        let (a, b) = (self.node(a)?, self.node(b)?);
        if a == b { Err(expected()) } else { Ok((a, b)) }
    }

    fn wired(&self, a: usize, b: usize) -> Said<()> {
        let is = self.wires.iter().any(|(from, to, _)| (*from, *to) == (a.min(b), a.max(b)));
        if is { Ok(()) } else { Err(format!("there is no link between {} and {}", self.nodes[a], self.nodes[b])) }
    }

    fn add_wire(&mut self, a: usize, b: usize, takes: Duration) -> Said<()> {
        if self.wired(a, b).is_ok() {
            return Err(format!("{} and {} are linked already", self.nodes[a], self.nodes[b]));
        }
        self.wires.push((a.min(b), a.max(b), takes));
        Ok(())
    }

    fn link(&mut self, rest: &[&str]) -> Said<()> {
        let Some((time, pairs)) = rest.split_last().filter(|(_, pairs)| !pairs.is_empty()) else {
            return Err("expected `link A-B ... TIME`".to_owned());
        };
        let takes = duration(time)?;
        pairs.iter().try_for_each(|pair| {
            let (a, b) = self.pair(pair, '-')?;
            self.add_wire(a, b, takes)
        })
    }

    fn mesh(&mut self, rest: &[&str]) -> Said<()> {
        let [time] = rest else { return Err("expected `mesh TIME`".to_owned()) };
        let takes = duration(time)?;
        for a in 0..self.nodes.len() {
            (a + 1..self.nodes.len()).try_for_each(|b| self.add_wire(a, b, takes))?;
        }
        Ok(())
    }

    fn traffic(&mut self, rest: &[&str]) -> Said<()> {
        if rest.is_empty() {
            return Err("expected `traffic A>B ...`".to_owned());
        }
        for pair in rest {
            let pair = self.pair(pair, '>')?;
            self.traffic.push(pair);
        }
        Ok(())
    }

    fn tell(&mut self, rest: &[&str]) -> Said<()> {
        for word in rest {
            let topic = Topic::ALL.into_iter().find(|topic| topic.name() == *word);
            let names = || Topic::ALL.map(Topic::name).join(", ");
            self.topics.insert(topic.ok_or_else(|| format!("expected topics ({}), found {word:?}", names()))?);
        }
        if rest.is_empty() { Err("expected `tell TOPIC ...`".to_owned()) } else { Ok(()) }
    }

    fn at(&mut self, rest: &[&str]) -> Said<()> {
        let [time, words @ ..] = rest else { return Err("expected `at TIME DEED ...`".to_owned()) };
        let at = duration(time)?;
        if self.acts.last().is_some_and(|last| last.at > at) {
            return Err(format!("{time} is before the line above: a story is told in order"));
        }
        let place = |word: &str| words.iter().position(|found| *found == word);
        let deed_ends = place("for").or_else(|| place("every")).unwrap_or(words.len());
        let (deed, mut left) = words.split_at(deed_ends);
        let mut act =
            Act { at, deed: self.deed(deed)?, words: deed.join(" "), lasts: None, every: Duration::ZERO, times: 1 };
        if let ["for", lasts, rest @ ..] = left {
            act.lasts = Some(duration(lasts)?);
            left = rest;
        }
        if let ["every", every, "times", times, rest @ ..] = left {
            act.every = duration(every)?;
            act.times = times.parse().map_err(|_| format!("expected how many times, found {times:?}"))?;
            left = rest;
        }
        if let [unread, ..] = left {
            return Err(format!("expected `for TIME` or `every TIME times NUMBER` behind the deed, found {unread:?}"));
        }
        if act.times > 1 && act.lasts.is_some_and(|lasts| lasts >= act.every) {
            return Err("it begins again before it is over".to_owned());
        }
        let instant = match &act.deed {
            Deed::Fault(fault) => matches!(fault, Fault::FailWrite { .. } | Fault::Crash { .. }),
            Deed::Write { .. } | Deed::Equivocate { .. } => true,
            Deed::Flood { .. } => false,
        };
        if instant && act.lasts.is_some() {
            return Err(format!("{:?} takes no time: no `for`", act.words));
        }
        if matches!(act.deed, Deed::Flood { .. }) && act.lasts.is_none() {
            return Err("expected `flood A>B for TIME`".to_owned());
        }
        self.acts.push(act);
        Ok(())
    }

    fn deed(&self, words: &[&str]) -> Said<Deed> {
        let damage = |word: &str| DAMAGES.into_iter().find(|damage| damage.name() == word);
        Ok(match words {
            ["cut", pair] if pair.contains('>') => {
                let (from, to) = self.pair(pair, '>')?;
                self.wired(from, to)?;
                Deed::Fault(Fault::CutOneWay { from, to })
            }
            ["cut", pair] => {
                let (a, b) = self.pair(pair, '-')?;
                self.wired(a, b)?;
                Deed::Fault(Fault::Cut { a, b })
            }
            ["clog", pair] => {
                let (from, to) = self.pair(pair, '>')?;
                self.wired(from, to)?;
                Deed::Fault(Fault::Clog { from, to })
            }
            ["partition", side @ ..] if !side.is_empty() => {
                let side = side.iter().map(|name| self.node(name)).collect::<Said<_>>()?;
                Deed::Fault(Fault::Partition { side })
            }
            ["pause", name] => Deed::Fault(Fault::Pause { node: self.node(name)? }),
            ["fail-write", name] => Deed::Fault(Fault::FailWrite { node: self.node(name)? }),
            ["crash", name, role] => Deed::Fault(Fault::Crash { node: self.node(name)?, role: role_named(role)? }),
            ["jump", name, way @ ("forward" | "back"), by] => {
                let by = i64::try_from(duration(by)?.as_millis()).unwrap_or(i64::MAX);
                let by_ms = if *way == "forward" { by } else { -by };
                Deed::Fault(Fault::Jump { node: self.node(name)?, by_ms })
            }
            ["set", name, key, value @ ..] if !value.is_empty() => {
                Deed::Write { node: self.node(name)?, key: (*key).to_owned(), value: Some(value.join(" ")) }
            }
            ["remove", name, key] => Deed::Write { node: self.node(name)?, key: (*key).to_owned(), value: None },
            ["equivocate", name] => Deed::Equivocate { node: self.node(name)? },
            ["flood", pair] => {
                let (from, to) = self.pair(pair, '>')?;
                self.wired(from, to)?;
                Deed::Flood { from, to }
            }
            [kill, name] if damage(kill).is_some() => {
                let node = self.node(name)?;
                Deed::Fault(Fault::Kill { node, damage: damage(kill).unwrap_or(Damage::None) })
            }
            other => return Err(format!("expected one of {}; found {:?}", DEEDS.join(", "), other.join(" "))),
        })
    }
}

fn role_named(word: &str) -> Said<Role> {
    let roles = [
        Role::Policy,
        Role::Gossip,
        Role::Monitor,
        Role::Pathfinder,
        Role::Planner,
        Role::Executor,
        Role::Rebalancer,
        Role::Ledger,
    ];
    let name = |role: &Role| format!("{role:?}").to_lowercase();
    let found = roles.into_iter().find(|role| name(role) == word);
    let names = || roles.iter().map(name).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| format!("expected a role ({}), found {word:?}", names()))
}

/// A whole number with its unit, a day at most.
fn duration(word: &str) -> Said<Duration> {
    let expected = || format!("expected a time like 250ms, 3s, 2m or 1h, a day at most, found {word:?}");
    let digits = word.find(|c: char| !c.is_ascii_digit()).ok_or_else(expected)?;
    let number: u64 = word[..digits].parse().map_err(|_| expected())?;
    let unit_ms = match &word[digits..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(expected()),
    };
    let most = Duration::from_secs(24 * 3600);
    number.checked_mul(unit_ms).map(Duration::from_millis).filter(|d| *d <= most).ok_or_else(expected)
}

/// Most nodes of a scenario: nobody follows a story of more.
const NODES_MAX: usize = 26;
const DAMAGES: [Damage; 5] = [Damage::None, Damage::Torn, Damage::Corrupt, Damage::Lost, Damage::Forged];
const STATEMENTS: [&str; 8] = ["nodes", "link", "mesh", "traffic", "tell", "seed", "at", "end"];
const DEEDS: [&str; 17] = [
    "cut A-B",
    "cut A>B",
    "clog A>B",
    "partition NODE ...",
    "pause NODE",
    "kill NODE",
    "kill-torn NODE",
    "kill-corrupt NODE",
    "lose-disk NODE",
    "forge-ledger NODE",
    "fail-write NODE",
    "crash NODE ROLE",
    "jump NODE forward|back TIME",
    "set NODE KEY VALUE",
    "remove NODE KEY",
    "equivocate NODE",
    "flood A>B",
];
