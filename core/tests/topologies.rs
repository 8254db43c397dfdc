//! Every single cut of real networks: who stays connected has a path, and nearly always had it before.
//!
//! The networks are those of the Internet Topology Zoo and of SNDlib, from the Python package `topohub`. They are not
//! ours to copy, so the test installs the package below the build folder, and says that it was left out where that is
//! impossible. `TOPOLOGY_NODES_MAX=1000 cargo test --release -p prunella-core --test topologies -- --nocapture` takes all
//! of them; without the variable the small ones are enough to notice a mistake.
#![allow(clippy::print_stdout, reason = "a report is part of the result")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use prunella_core::limits::{PATH_LABELS_MAX, PATHS_DEFAULT};
use prunella_core::paths::{Path, PathTable, disjoint_paths};
use prunella_core::record::LinkBody;
use prunella_core::{Label, PeerId};

/// The package, with its version: other versions may hold other networks.
const PACKAGE: &str = "topohub==1.5.1";
/// Networks with more nodes are left out unless `TOPOLOGY_NODES_MAX` says otherwise.
const NODES_MAX: usize = 20;
/// Most links on a path.
const LINKS_MAX: usize = PATH_LABELS_MAX + 1;
/// Light in glass takes a microsecond for 200 m, and there and back again twice as long.
const RTT_US_PER_KM: f64 = 10.0;

/// What is cut.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Link(usize, usize),
    Node(usize),
}

impl Cut {
    fn hits(self, path: &Path) -> bool {
        match self {
            Cut::Link(a, b) => {
                path.hops.windows(2).any(|pair| pair == [peer(a), peer(b)] || pair == [peer(b), peer(a)])
            }
            Cut::Node(node) => path.hops.contains(&peer(node)),
        }
    }
}

struct Network {
    nodes: usize,
    /// By both ends, the lower number first: the round trip in microseconds.
    links: BTreeMap<(usize, usize), u32>,
}

impl Network {
    fn parse(text: &str) -> Self {
        let json: serde_json::Value = serde_json::from_str(text).expect("topohub is JSON");
        let list = |name: &str| json[name].as_array().expect("there are nodes and edges").clone();
        let ids: Vec<serde_json::Value> = list("nodes").iter().map(|node| node["id"].clone()).collect();
        let at = |end: &serde_json::Value| ids.iter().position(|id| id == end).expect("ends are nodes");
        let mut links = BTreeMap::new();
        for edge in list("edges") {
            let (a, b) = (at(&edge["source"]), at(&edge["target"]));
            if a != b {
                let rtt_us = (edge["dist"].as_f64().unwrap_or_default() * RTT_US_PER_KM) as u32;
                links.insert((a.min(b), a.max(b)), rtt_us);
            }
        }
        Self { nodes: ids.len(), links }
    }

    fn without(&self, cut: Cut) -> Self {
        let mut links = self.links.clone();
        links.retain(|(a, b), _| match cut {
            Cut::Link(c, d) => (*a, *b) != (c, d),
            Cut::Node(node) => *a != node && *b != node,
        });
        Self { nodes: self.nodes, links }
    }

    fn cuts(&self) -> impl Iterator<Item = Cut> + '_ {
        self.links.keys().map(|(a, b)| Cut::Link(*a, *b)).chain((0..self.nodes).map(Cut::Node))
    }

    fn neighbors(&self) -> Vec<Vec<usize>> {
        let mut neighbors = vec![Vec::new(); self.nodes];
        for (a, b) in self.links.keys() {
            neighbors[*a].push(*b);
            neighbors[*b].push(*a);
        }
        neighbors
    }

    fn told(&self, node: usize) -> Vec<LinkBody> {
        let ends = self.links.iter().filter_map(|((a, b), rtt_us)| match node {
            n if n == *a => Some((*b, *rtt_us)),
            n if n == *b => Some((*a, *rtt_us)),
            _ => None,
        });
        ends.map(|(to, rtt_us)| LinkBody { neighbor: peer(to), label: Label(to as u16 + 1), rtt_us, loss_permille: 0 })
            .collect()
    }

    /// The judge: how many links away every node is, if it can be reached at all.
    fn links_away(&self, from: usize) -> Vec<Option<usize>> {
        let neighbors = self.neighbors();
        let mut away = vec![None; self.nodes];
        away[from] = Some(0);
        let mut level = vec![from];
        for links in 1.. {
            level =
                level.iter().flat_map(|node| neighbors[*node].clone()).collect::<BTreeSet<_>>().into_iter().collect();
            level.retain(|node| away[*node].is_none());
            if level.is_empty() {
                break;
            }
            level.iter().for_each(|node| away[*node] = Some(links));
        }
        away
    }

    /// The nodes that say something else after a cut.
    fn concerned(&self, cut: Cut) -> Vec<usize> {
        match cut {
            Cut::Link(a, b) => vec![a, b],
            Cut::Node(node) => self.neighbors()[node].iter().copied().chain([node]).collect(),
        }
    }
}

/// What was found out.
#[derive(Default)]
struct Score {
    networks: usize,
    cuts: usize,
    /// Pairs after a cut of something else than their ends.
    pairs: usize,
    /// Of them, those that stay connected.
    connected: usize,
    /// Of them, those that stay connected by as many links as a path may have.
    within: usize,
    /// Of those within, those whose first path was hit.
    hit: usize,
    /// Of those hit, those that had another path which was not.
    protected: usize,
    /// Of those hit and not protected, those that had two disjoint paths that are not too long.
    unprotected_in_spite: usize,
    /// Cost of the first path after the cut by that before it, in thousandths, of those hit.
    stretch: Vec<u64>,
    /// Cost of the first of three paths by that of the only one if one is asked for, in thousandths.
    price: Vec<u64>,
}

fn peer(number: usize) -> PeerId {
    PeerId::from_public_key(
        [(number % 255) as u8 + 1, (number / 255) as u8, 7].repeat(11)[..32].try_into().expect("32 bytes"),
    )
}

fn number(peer: &PeerId) -> usize {
    let bytes = peer.to_bytes();
    usize::from(bytes[0]) - 1 + 255 * usize::from(bytes[1])
}

fn judge(network: &Network, score: &mut Score) {
    score.networks += 1;
    score.cuts += network.cuts().count();
    let mut tables: Vec<PathTable> = (0..network.nodes).map(|from| table(network, from)).collect();
    let kept = |table: &mut PathTable| (0..network.nodes).map(|to| table.paths(peer(to)).to_vec()).collect();
    let before: Vec<Vec<Vec<Path>>> = tables.iter_mut().map(kept).collect();
    for (from, paths) in before.iter().enumerate() {
        for (to, paths) in paths.iter().enumerate().filter(|(_, paths)| !paths.is_empty()) {
            let only = &disjoint_paths(tables[from].topology(), peer(from), peer(to), 1)[0];
            score.price.push(paths[0].cost * 1000 / only.cost);
        }
    }
    for cut in network.cuts() {
        let after = network.without(cut);
        let said = |by: &Network| network.concerned(cut).into_iter().map(|node| (peer(node), by.told(node))).collect();
        let (then, now): (Vec<_>, Vec<_>) = (said(network), said(&after));
        for from in (0..network.nodes).filter(|from| !matches!(cut, Cut::Node(node) if node == *from)) {
            for (node, links) in &now {
                tables[from].set_links(*node, links);
            }
            judge_cut(&after, from, cut, &before[from], &mut tables[from], score);
            for (node, links) in &then {
                tables[from].set_links(*node, links);
            }
        }
    }
}

fn table(network: &Network, from: usize) -> PathTable {
    let mut table = PathTable::new(peer(from), PATHS_DEFAULT);
    for node in 0..network.nodes {
        table.set_links(peer(node), &network.told(node));
    }
    table
}

fn judge_cut(after: &Network, from: usize, cut: Cut, before: &[Vec<Path>], table: &mut PathTable, score: &mut Score) {
    let away = after.links_away(from);
    let spared = |to: &usize| *to != from && !matches!(cut, Cut::Node(node) if node == *to);
    for to in (0..after.nodes).filter(spared) {
        score.pairs += 1;
        let paths = table.paths(peer(to));
        paths.iter().for_each(|path| follow(after, path));
        let Some(links) = away[to] else {
            assert!(paths.is_empty(), "{from} to {to} without {cut:?}: a path that cannot be");
            continue;
        };
        score.connected += 1;
        if links > LINKS_MAX {
            continue;
        }
        score.within += 1;
        assert!(!paths.is_empty(), "{from} to {to} without {cut:?}: not healed");
        let Some(first) = before[to].first().filter(|first| cut.hits(first)) else { continue };
        score.hit += 1;
        score.stretch.push(paths[0].cost * 1000 / first.cost);
        if before[to].iter().any(|path| !cut.hits(path)) {
            score.protected += 1;
        } else if before[to].windows(2).any(|two| two[0].relays().iter().all(|relay| !two[1].relays().contains(relay)))
        {
            score.unprotected_in_spite += 1;
        }
    }
}

/// Follows a frame: every link is there, and no node is visited twice.
fn follow(network: &Network, path: &Path) {
    let distinct: BTreeSet<&PeerId> = path.hops.iter().collect();
    assert_eq!(distinct.len(), path.hops.len(), "a loop: {path:?}");
    assert!(path.labels.len() <= PATH_LABELS_MAX);
    let numbers: Vec<usize> = path.hops.iter().map(number).collect();
    let is_link = |pair: &[usize]| network.links.contains_key(&(pair[0].min(pair[1]), pair[0].max(pair[1])));
    assert!(numbers.windows(2).all(is_link), "a link that is not there: {path:?}");
    let labels: Vec<Label> = numbers[2..].iter().map(|next| Label(*next as u16 + 1)).collect();
    assert_eq!(path.labels, labels);
}

/// Where the networks are; `None`, and a line that says why, where they cannot be had.
fn networks() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(PACKAGE);
    let data = folder.join("topohub/data");
    if !data.is_dir() {
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target"];
        let installed = Command::new("python3").args(pip).arg(&folder).arg(PACKAGE).output();
        let failed = match installed {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(reason) = failed {
            println!("SKIPPED: real topologies: failed to install {PACKAGE}: {reason}");
            return None;
        }
    }
    Some(data)
}

#[test]
fn real_networks_heal_from_every_single_cut() {
    let Some(data) = networks() else { return };
    let nodes_max = std::env::var("TOPOLOGY_NODES_MAX").map_or(NODES_MAX, |max| max.parse().expect("a number"));
    for collection in ["sndlib", "topozoo"] {
        let files = std::fs::read_dir(data.join(collection)).expect("the package holds the collection");
        let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
        files.sort();
        let read = |file: &PathBuf| Network::parse(&std::fs::read_to_string(file).expect("a readable file"));
        let all = files.iter().filter(|file| file.extension().is_some_and(|e| e == "json")).map(read);
        let mut score = Score::default();
        all.filter(|network| network.nodes <= nodes_max).for_each(|network| judge(&network, &mut score));
        report(collection, nodes_max, &mut score);
        assert!(score.networks > 5 && score.hit > 0, "{collection}: hardly anything was tried");
        assert_eq!(score.unprotected_in_spite, 0, "{collection}: disjoint paths cannot both be hit");
    }
}

fn report(collection: &str, nodes_max: usize, score: &mut Score) {
    let Score { networks, cuts, pairs, connected, within, hit, protected, .. } = score;
    println!("{collection}: {networks} networks of at most {nodes_max} nodes, {cuts} cuts, {pairs} pairs after them");
    println!("  connected {connected}, of them by at most {LINKS_MAX} links {within}: all healed, no loop");
    println!("  first path hit {hit}, another one was ready {protected} ({} not)", *hit - *protected);
    for (what, values) in [
        ("cost after the cut by before", &mut score.stretch),
        ("cost of the first of three by that of the only one", &mut score.price),
    ] {
        values.sort_unstable();
        let at = |permille: usize| {
            values.get((values.len().saturating_sub(1)) * permille / 1000).map_or(0.0, |v| *v as f64 / 1000.0)
        };
        println!("  {what}: p50 {:.2}, p90 {:.2}, p99 {:.2}, max {:.2}", at(500), at(900), at(990), at(1000));
    }
}
