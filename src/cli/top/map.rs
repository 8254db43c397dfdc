//! Where each node is drawn: this one in the middle, its neighbors around it, the others around them. Pure.

use std::f64::consts::{PI, TAU};

use super::rows::{Mark, called};
use crate::api::PeerId;
use crate::api::harmless;
use crate::api::vocabulary::{LinkInfo, PeerInfo, Reach, TopologyInfo};
use crate::cli::render::quantity::round_trip;

/// The nodes and the links that are known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Map {
    /// This node first, if it is known.
    pub(super) nodes: Vec<Node>,
    pub(super) links: Vec<Link>,
}

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) peer: PeerId,
    pub(super) name: String,
    pub(super) reach: Reach,
}

/// A link between two nodes, by their numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Link {
    pub(super) ends: [usize; 2],
    pub(super) mark: Mark,
    /// The round trip, if it is known and of interest.
    pub(super) note: String,
}

/// A map on a screen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Drawn {
    pub(super) labels: Vec<Label>,
    /// From where to where, in columns and rows of centers, and how the link is.
    pub(super) lines: Vec<([Spot; 2], Mark)>,
    /// How many nodes found no room.
    pub(super) hidden: usize,
}

/// A column and a row.
pub(super) type Spot = (u16, u16);

/// A text and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Label {
    pub(super) text: String,
    pub(super) at: Spot,
    pub(super) mark: Mark,
    /// Whether it names this node.
    pub(super) is_me: bool,
}

impl Map {
    /// This node's own links as it measures them, and those of others as far as both of their ends tell of them.
    pub(super) fn of(peers: &[PeerInfo], links: &[LinkInfo], others: Option<&TopologyInfo>) -> Self {
        let mut nodes: Vec<Node> = peers.iter().map(|info| Node::of(info.peer, &info.name, info.state)).collect();
        for link in links {
            if !nodes.iter().any(|node| node.peer == link.peer) {
                nodes.push(Node::of(link.peer, &link.name, Reach::Unreachable));
            }
        }
        nodes.sort_by(|a, b| (ring(a.reach), &a.name).cmp(&(ring(b.reach), &b.name)));
        let number = |peer: PeerId| nodes.iter().position(|node| node.peer == peer);
        let mine = nodes.iter().position(|node| node.reach == Reach::Myself);
        let drawn = links.iter().filter_map(|link| {
            let note = if link.state == "up" { round_trip(link.rtt_us) } else { link.state.clone() };
            Some(Link { ends: [mine?, number(link.peer)?], mark: Mark::of_link(link), note })
        });
        let mut drawn: Vec<Link> = drawn.collect();
        for node in others.into_iter().flat_map(|topology| &topology.nodes) {
            // Each is told by both ends, and drawn once.
            for link in node.links.iter().filter(|link| link.agreed && node.peer < link.to) {
                let ends = [number(node.peer), number(link.to)];
                if let [Some(a), Some(b)] = ends
                    && ![Some(a), Some(b)].contains(&mine)
                {
                    drawn.push(Link { ends: [a, b], mark: Mark::Plain, note: String::new() });
                }
            }
        }
        Self { links: drawn, nodes }
    }

    /// Draws it on so many columns and rows.
    pub(super) fn drawn(&self, width: u16, height: u16) -> Drawn {
        let mut screen = Screen { width, height, taken: Vec::new() };
        let centers: Vec<Option<Spot>> =
            self.places().into_iter().zip(&self.nodes).map(|(place, node)| screen.put(place, &node.label())).collect();
        let mut drawn = Drawn { hidden: centers.iter().filter(|center| center.is_none()).count(), ..Drawn::default() };
        for (node, center) in self.nodes.iter().zip(&centers) {
            let Some(center) = center else { continue };
            let text = node.label();
            let at = (center.0.saturating_sub(columns(&text) / 2), center.1);
            drawn.labels.push(Label { text, at, mark: node.mark(), is_me: node.reach == Reach::Myself });
        }
        for link in &self.links {
            let [Some(from), Some(to)] = link.ends.map(|end| centers.get(end).copied().flatten()) else { continue };
            drawn.lines.push(([from, to], link.mark));
            let text = if link.mark == Mark::Bad { format!("✗ {}", link.note) } else { link.note.clone() };
            let middle = (u16::midpoint(from.0, to.0), u16::midpoint(from.1, to.1));
            let free = !text.is_empty() && screen.is_free(middle, columns(&text));
            if free && let Some(center) = screen.take(middle, columns(&text)) {
                let at = (center.0.saturating_sub(columns(&text) / 2), center.1);
                drawn.labels.push(Label { text, at, mark: link.mark, is_me: false });
            }
        }
        drawn
    }

    /// Where each node should be, from -1 to 1 in both directions.
    fn places(&self) -> Vec<(f64, f64)> {
        let mut places = vec![(0.0, 0.0); self.nodes.len()];
        let on = |wanted: u8| (0..self.nodes.len()).filter(move |at| ring(self.nodes[*at].reach) == wanted);
        let (inner, mut outer): (Vec<usize>, Vec<usize>) = (on(1).collect(), on(2).collect());
        let radius = if outer.is_empty() { 0.9 } else { 0.55 };
        let mut angles = vec![0.0; self.nodes.len()];
        for (number, at) in inner.iter().enumerate() {
            angles[*at] = TAU * number as f64 / inner.len() as f64;
            places[*at] = (radius * angles[*at].cos(), radius * angles[*at].sin());
        }
        // Each stands near those that it has links to.
        let towards = |at: usize| {
            let others = self.links.iter().filter_map(|link| match link.ends {
                [a, b] if a == at => Some(places[b]),
                [a, b] if b == at => Some(places[a]),
                _ => None,
            });
            let (x, y) = others.fold((0.0, 0.0), |(x, y), (more_x, more_y)| (x + more_x, y + more_y));
            y.atan2(x).rem_euclid(TAU)
        };
        outer.sort_by(|a, b| towards(*a).total_cmp(&towards(*b)));
        // The first one stands where it is drawn to, or between the neighbors if it is drawn nowhere.
        let is_drawn = |at: &usize| self.links.iter().any(|link| link.ends.contains(at));
        let begin = match outer.first() {
            Some(first) if is_drawn(first) => towards(*first) + PI / 8.0,
            _ => PI / inner.len().max(1) as f64,
        };
        for (number, at) in outer.iter().enumerate() {
            let angle = TAU * number as f64 / outer.len() as f64 + begin;
            places[*at] = (angle.cos(), angle.sin());
        }
        places
    }
}

impl Node {
    fn of(peer: PeerId, name: &str, reach: Reach) -> Self {
        Self { peer, name: harmless(&called(name, peer)), reach }
    }

    fn label(&self) -> String {
        let name: String = self.name.chars().take(NAME_MAX).collect();
        match self.reach {
            Reach::Myself => format!("[{name}]"),
            Reach::Neighbor => name,
            Reach::Relayed => format!("({name})"),
            Reach::Unreachable => format!("✗{name}"),
        }
    }

    fn mark(&self) -> Mark {
        match self.reach {
            Reach::Myself | Reach::Neighbor => Mark::Good,
            Reach::Relayed => Mark::Plain,
            Reach::Unreachable => Mark::Bad,
        }
    }
}

/// Where there is room.
struct Screen {
    width: u16,
    height: u16,
    /// Row, first column, columns.
    taken: Vec<(u16, u16, u16)>,
}

impl Screen {
    /// Takes room for a label as near to the place as there is any; the label's center.
    fn put(&mut self, (x, y): (f64, f64), label: &str) -> Option<Spot> {
        let wide = columns(label);
        let reach_x = f64::from(self.width.saturating_sub(wide + 2)) / 2.0;
        let reach_y = f64::from(self.height.saturating_sub(1)) / 2.0;
        let column = f64::from(self.width) / 2.0 + x * reach_x;
        let row = reach_y + y * reach_y;
        let wanted = (column.floor() as u16, row.round() as u16);
        let nearby = (0..i32::from(self.height)).flat_map(|by| [by, -by]);
        let mut rows = nearby.filter_map(|by| u16::try_from(i32::from(wanted.1) + by).ok());
        let spot = rows.find(|row| self.is_free((wanted.0, *row), wide))?;
        self.take((wanted.0, spot), wide)
    }

    fn first(&self, center: Spot, wide: u16) -> u16 {
        center.0.saturating_sub(wide / 2).min(self.width.saturating_sub(wide))
    }

    /// Whether that many columns around the spot are free, with a blank on both sides.
    fn is_free(&self, center: Spot, wide: u16) -> bool {
        let first = self.first(center, wide);
        let overlaps = |(row, other, columns): &(u16, u16, u16)| {
            *row == center.1 && first < other + columns + 1 && *other < first + wide + 1
        };
        center.1 < self.height && wide <= self.width && !self.taken.iter().any(overlaps)
    }

    fn take(&mut self, center: Spot, wide: u16) -> Option<Spot> {
        let first = self.first(center, wide);
        self.taken.push((center.1, first, wide));
        Some((first + wide / 2, center.1))
    }
}

fn ring(reach: Reach) -> u8 {
    match reach {
        Reach::Myself => 0,
        Reach::Neighbor => 1,
        Reach::Relayed | Reach::Unreachable => 2,
    }
}

fn columns(text: &str) -> u16 {
    u16::try_from(ratatui::text::Span::raw(text).width()).unwrap_or(u16::MAX)
}

/// How much of a name is drawn.
const NAME_MAX: usize = 14;

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn no_label_is_drawn_over_another_and_what_finds_no_room_is_counted() {
        for nodes in [1, 2, 3, 8, 20, 60, 200] {
            let map = Map::of(&fixture::peers(nodes), &[], None);
            for (width, height) in [(78, 12), (118, 28), (20, 4)] {
                let Drawn { labels, hidden, .. } = map.drawn(width, height);
                assert_eq!(labels.len() + hidden, nodes, "{width}x{height}");
                assert!(labels[0].is_me, "this node is always there");
                for (i, label) in labels.iter().enumerate() {
                    let end = label.at.0 + columns(&label.text);
                    assert!(end <= width && label.at.1 < height, "{label:?} of {width}x{height}");
                    let apart = |other: &Label| {
                        other.at.1 != label.at.1 || other.at.0 >= end || other.at.0 + columns(&other.text) <= label.at.0
                    };
                    assert!(labels[..i].iter().all(apart), "{label:?}");
                }
            }
        }
        assert_eq!(Map::of(&fixture::peers(20), &[], None).drawn(118, 28).hidden, 0);
        assert!(Map::of(&fixture::peers(200), &[], None).drawn(78, 12).hidden > 0);
    }

    #[test]
    fn this_node_is_in_the_middle_and_a_broken_link_is_marked() {
        let mut links = fixture::links();
        links[1].state = "down".to_owned();
        let drawn = Map::of(&fixture::peers(4), &links, None).drawn(79, 13);
        let me = drawn.labels.iter().find(|label| label.is_me).unwrap();
        assert_eq!((me.text.as_str(), me.at), ("[n0]", (37, 6)));
        assert_eq!(drawn.lines.iter().map(|(_, mark)| *mark).collect::<Vec<_>>(), [Mark::Good, Mark::Bad]);
        assert!(drawn.labels.iter().any(|label| label.text == "✗ down"), "{drawn:?}");
        assert!(drawn.labels.iter().any(|label| label.text == "(n3)"), "{drawn:?}");
    }

    #[test]
    fn a_link_of_others_is_drawn_once_and_only_if_both_ends_tell_of_it() {
        let map = Map::of(&fixture::peers(4), &fixture::links(), Some(&fixture::topology()));
        let others: Vec<[&str; 2]> = map
            .links
            .iter()
            .filter(|link| link.mark == Mark::Plain)
            .map(|link| link.ends.map(|end| map.nodes[end].name.as_str()))
            .collect();
        assert_eq!((map.links.len(), others.len()), (3, 1), "{map:?}");
        assert!(others[0].contains(&"n1") && others[0].contains(&"n3"), "{others:?}");
        let drawn = map.drawn(79, 13);
        let spot = |name: &str| drawn.labels.iter().find(|label| label.text == name).unwrap().at;
        assert!(spot("(n3)").0 > spot("[n0]").0, "it stands at the side of the one that it is linked with: {drawn:?}");
    }
}
