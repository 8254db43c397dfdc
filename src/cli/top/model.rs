//! What is shown: the node's answers, which view, what is chosen. Pure: time and answers come from outside.

use std::collections::BTreeMap;
use std::time::Duration;

use super::input::Action;
use super::known::Known;
use super::rows::{self, ActorOrder, LinkOrder, Listing, Mark, Row};
use super::story::Story;
use crate::api::vocabulary::{ActorInfo, IncidentInfo, LinkInfo, PeerInfo, Status, TopologyInfo};
use crate::api::{Request, Response};

/// What is known of the node, and how it is looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) status: Known<Status>,
    pub(super) peers: Known<Vec<PeerInfo>>,
    pub(super) links: Known<Vec<LinkInfo>>,
    /// Who is linked with whom, of as many nodes as fit an answer.
    pub(super) topology: Known<TopologyInfo>,
    pub(super) actors: Known<Vec<ActorInfo>>,
    pub(super) incidents: Known<Vec<IncidentInfo>>,
    /// What is looked at closer.
    pub(super) detail: Option<Detail>,
    pub(super) story: Story,
    pub(super) view: View,
    /// What every row shown must have in it.
    pub(super) filter: String,
    /// Whether the filter is being typed.
    pub(super) typing: bool,
    pub(super) help: bool,
    pub(super) paused: bool,
    /// Since the start.
    pub(super) now: Duration,
    pub(super) now_unix_ms: u64,
    /// The node that was asked for, if it is not the one at the socket.
    pub(super) far: Option<String>,
    /// The key of the row that is chosen in each view.
    chosen: BTreeMap<View, String>,
    actor_order: ActorOrder,
    link_order: LinkOrder,
}

/// What is shown of the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum View {
    /// Who is where, and what happened.
    #[default]
    Map,
    /// The links to neighbors.
    Links,
    /// The actors.
    Actors,
    /// The incidents.
    Incidents,
    /// The paths to each node.
    Paths,
}

/// One thing, looked at closer.
#[derive(Clone, Debug)]
pub(super) struct Detail {
    /// What is asked for it.
    pub(super) request: Request,
    /// How it is called.
    pub(super) title: String,
    pub(super) known: Known<Response>,
    /// How many lines are above the first one that is shown.
    pub(super) scroll: usize,
}

/// A part of what is known, asked for by itself: one that is not answered holds up no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Status,
    Peers,
    Links,
    Topology,
    Actors,
    Incidents,
    Detail,
}

/// What is to be asked again and again.
pub(super) type Wanted = BTreeMap<Part, Request>;

/// An answer, or why there is none.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) part: Part,
    /// What was asked.
    pub(super) request: Request,
    pub(super) answer: Result<Response, String>,
}

impl View {
    pub(super) const ALL: [View; 5] = [View::Map, View::Links, View::Actors, View::Incidents, View::Paths];

    pub(super) fn title(self) -> &'static str {
        match self {
            View::Map => "Map",
            View::Links => "Links",
            View::Actors => "Actors",
            View::Incidents => "Incidents",
            View::Paths => "Paths",
        }
    }

    fn parts(self) -> &'static [Part] {
        match self {
            View::Map => &[Part::Status, Part::Peers, Part::Links, Part::Topology, Part::Incidents],
            View::Links => &[Part::Status, Part::Links, Part::Incidents],
            View::Actors => &[Part::Status, Part::Actors, Part::Incidents],
            View::Incidents => &[Part::Status, Part::Incidents],
            View::Paths => &[Part::Status, Part::Peers, Part::Incidents],
        }
    }
}

impl Part {
    pub(super) const ALL: [Part; 7] =
        [Part::Status, Part::Peers, Part::Links, Part::Topology, Part::Actors, Part::Incidents, Part::Detail];

    /// The question, where it is always the same.
    fn request(self) -> Option<Request> {
        Some(match self {
            Part::Status => Request::Status,
            Part::Peers => Request::Peers { after: None },
            Part::Links => Request::Links,
            Part::Topology => Request::Topology { after: None },
            Part::Actors => Request::Actors,
            Part::Incidents => Request::Incidents,
            Part::Detail => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Part::Status => "status",
            Part::Peers => "peers",
            Part::Links => "links",
            Part::Topology => "topology",
            Part::Actors => "actors",
            Part::Incidents => "incidents",
            Part::Detail => "this",
        }
    }
}

impl Model {
    /// What the view that is shown needs. While it is paused, only what has never been told.
    pub(super) fn wanted(&self) -> Wanted {
        let parts = self.view.parts().iter().filter_map(|part| Some((*part, part.request()?)));
        let detail = self.detail.iter().map(|detail| (Part::Detail, detail.request.clone()));
        parts.chain(detail).filter(|(part, _)| !self.paused || !self.is_known(*part)).collect()
    }

    /// Takes an answer.
    pub(super) fn hear(&mut self, heard: Heard) {
        let Heard { part, request, answer } = heard;
        let at = self.now;
        // Whatever else a node answers, it is no answer to that.
        fn only<T>(answer: Result<Response, String>, pick: fn(Response) -> Option<T>) -> Result<T, String> {
            answer.and_then(|response| match response {
                Response::Error { error } => Err(error.to_string()),
                other => pick(other).ok_or_else(|| "the node answered something else".to_owned()),
            })
        }
        match part {
            Part::Status => {
                self.hear_status(only(answer, |r| if let Response::Status(s) = r { Some(s) } else { None }))
            }
            Part::Peers => {
                self.peers
                    .hear(only(answer, |r| if let Response::Peers { peers, .. } = r { Some(peers) } else { None }), at);
            }
            Part::Links => {
                let links = only(answer, |r| if let Response::Links { links } = r { Some(links) } else { None });
                if let Ok(links) = &links {
                    self.story.links(self.links.last().map(Vec::as_slice), links, self.now_unix_ms);
                }
                self.links.hear(links, at);
            }
            Part::Topology => {
                let pick = |r| if let Response::Topology(topology) = r { Some(topology) } else { None };
                self.topology.hear(only(answer, pick), at);
            }
            Part::Actors => {
                let pick = |r| if let Response::Actors { actors } = r { Some(actors) } else { None };
                self.actors.hear(only(answer, pick), at);
            }
            Part::Incidents => {
                let pick = |r| if let Response::Incidents { incidents } = r { Some(incidents) } else { None };
                let incidents = only(answer, pick);
                if let Ok(incidents) = &incidents {
                    self.story.incidents(self.incidents.last().map(Vec::as_slice), incidents);
                }
                self.incidents.hear(incidents, at);
            }
            Part::Detail => {
                if let Some(detail) = self.detail.as_mut().filter(|detail| detail.request == request) {
                    detail.known.hear(only(answer, Some), at);
                }
            }
        }
    }

    fn hear_status(&mut self, status: Result<Status, String>) {
        if let (Some(before), Ok(now)) = (self.status.last(), &status)
            && (now.pid, now.peer) != (before.pid, before.peer)
        {
            self.story.tell(self.now_unix_ms, "the node was started anew", Mark::Doubtful);
            // What the node before it counted goes on in nothing.
            self.incidents = Known::default();
        }
        self.status.hear(status, self.now);
    }

    /// Does what a key asks for; true if it asks to leave.
    pub(super) fn act(&mut self, action: Action) -> bool {
        match action {
            Action::Quit => return true,
            Action::Help => self.help = !self.help,
            Action::Pause => self.paused = !self.paused,
            Action::Back => self.back(),
            Action::Filter => (self.typing, self.help) = (true, false),
            Action::Type(c) if self.filter.len() < FILTER_BYTES_MAX => self.filter.push(c),
            Action::Type(_) => {}
            Action::Erase => _ = self.filter.pop(),
            Action::Accept => self.typing = false,
            Action::Show(view) => self.show(view),
            Action::Turn { onwards } => {
                let at = self.view as usize + if onwards { 1 } else { View::ALL.len() - 1 };
                self.show(View::ALL[at % View::ALL.len()]);
            }
            Action::Move(by) => self.step(|at, last| at.saturating_add_signed(by).min(last)),
            Action::First => self.step(|_, _| 0),
            Action::Last => self.step(|_, last| last),
            Action::Open => self.open(),
            Action::Sort => match self.view {
                View::Actors => self.actor_order = self.actor_order.next(),
                View::Links => self.link_order = self.link_order.next(),
                View::Map | View::Incidents | View::Paths => {}
            },
        }
        false
    }

    /// The list of the view, if it is one, with the rows that the filter leaves.
    pub(super) fn listing(&self) -> Option<Listing> {
        let mut listing = match self.view {
            View::Map => return None,
            View::Links => rows::links(&self.links, self.link_order),
            View::Actors => rows::actors(&self.actors, self.actor_order),
            View::Incidents => rows::incidents(&self.incidents, self.now_unix_ms),
            View::Paths => rows::nodes(&self.peers),
        };
        let wanted = self.filter.to_lowercase();
        listing.rows.retain(|row| row.cells.iter().any(|cell| cell.to_lowercase().contains(&wanted)));
        Some(listing)
    }

    /// Which of the rows is chosen: the one that was, wherever it stands now, or else the first.
    pub(super) fn at(&self, rows: &[Row]) -> usize {
        let chosen = self.chosen.get(&self.view);
        rows.iter().position(|row| Some(&row.key) == chosen).unwrap_or(0)
    }

    /// What is not answered at present, and how old what is shown of it is.
    pub(super) fn trouble(&self) -> Option<String> {
        let parts = self.view.parts().iter().copied().chain([Part::Detail]);
        let (part, trouble) = parts.filter_map(|part| Some((part, self.trouble_of(part)?))).next()?;
        let age = self.stale(part).map_or_else(String::new, |age| format!(" (shown: {} s old)", age.as_secs()));
        Some(format!("{}: {trouble}{age}", part.name()))
    }

    /// How old the view's own data is, if it is not answered for any more.
    pub(super) fn age(&self) -> Option<Duration> {
        let parts: &[Part] = match (&self.detail, self.view) {
            (Some(_), _) => &[Part::Detail],
            (None, View::Map) => &[Part::Peers, Part::Links, Part::Topology],
            (None, View::Links) => &[Part::Links],
            (None, View::Actors) => &[Part::Actors],
            (None, View::Incidents) => &[Part::Incidents],
            (None, View::Paths) => &[Part::Peers],
        };
        parts.iter().filter_map(|part| self.stale(*part)).max()
    }

    /// Whether the list of the view was ever told.
    pub(super) fn has_rows(&self) -> bool {
        match self.view {
            View::Map | View::Paths => self.is_known(Part::Peers),
            View::Links => self.is_known(Part::Links),
            View::Actors => self.is_known(Part::Actors),
            View::Incidents => self.is_known(Part::Incidents),
        }
    }

    fn trouble_of(&self, part: Part) -> Option<&str> {
        match part {
            Part::Status => self.status.trouble(),
            Part::Peers => self.peers.trouble(),
            Part::Links => self.links.trouble(),
            Part::Topology => self.topology.trouble(),
            Part::Actors => self.actors.trouble(),
            Part::Incidents => self.incidents.trouble(),
            Part::Detail => self.detail.as_ref()?.known.trouble(),
        }
    }

    fn stale(&self, part: Part) -> Option<Duration> {
        match part {
            Part::Status => self.status.stale(self.now),
            Part::Peers => self.peers.stale(self.now),
            Part::Links => self.links.stale(self.now),
            Part::Topology => self.topology.stale(self.now),
            Part::Actors => self.actors.stale(self.now),
            Part::Incidents => self.incidents.stale(self.now),
            Part::Detail => self.detail.as_ref()?.known.stale(self.now),
        }
    }

    fn is_known(&self, part: Part) -> bool {
        match part {
            Part::Status => self.status.last().is_some(),
            Part::Peers => self.peers.last().is_some(),
            Part::Links => self.links.last().is_some(),
            Part::Topology => self.topology.last().is_some(),
            Part::Actors => self.actors.last().is_some(),
            Part::Incidents => self.incidents.last().is_some(),
            Part::Detail => self.detail.as_ref().is_some_and(|detail| detail.known.last().is_some()),
        }
    }

    fn show(&mut self, view: View) {
        (self.view, self.detail, self.help) = (view, None, false);
        self.filter.clear();
    }

    fn back(&mut self) {
        if self.typing {
            self.typing = false;
            self.filter.clear();
        } else if self.help {
            self.help = false;
        } else if self.detail.take().is_none() {
            self.filter.clear();
        }
    }

    fn step(&mut self, to: impl Fn(usize, usize) -> usize) {
        let now_unix_ms = self.now_unix_ms;
        if let Some(detail) = &mut self.detail {
            detail.scroll = to(detail.scroll, detail.lines(now_unix_ms).len().saturating_sub(1));
            return;
        }
        let Some(Listing { rows, .. }) = self.listing() else { return };
        if let Some(last) = rows.len().checked_sub(1) {
            self.chosen.insert(self.view, rows[to(self.at(&rows), last)].key.clone());
        }
    }

    fn open(&mut self) {
        let Some(Listing { rows, .. }) = self.listing() else { return };
        let Some(row) = rows.get(self.at(&rows)).filter(|_| self.detail.is_none() && !self.help) else { return };
        let key = row.key.clone();
        let request = match self.view {
            View::Map => return,
            View::Links | View::Paths => Request::Paths { destination: key.clone(), why: true },
            View::Actors => Request::Actor { name: key.clone(), briefly: true },
            View::Incidents => Request::Incident { id: key.parse().unwrap_or_default() },
        };
        let title = match self.view {
            View::Links | View::Paths => format!("paths to {}", row.cells[0]),
            View::Incidents => format!("incident #{key}"),
            View::Map | View::Actors => key.clone(),
        };
        self.chosen.insert(self.view, key);
        self.detail = Some(Detail { request, title, known: Known::default(), scroll: 0 });
    }
}

impl Detail {
    /// What it is, line by line, as the command of the same question prints it.
    pub(super) fn lines(&self, now_unix_ms: u64) -> Vec<String> {
        let Some(response) = self.known.last() else { return Vec::new() };
        let mut response = response.clone();
        if let Response::Actor(actor) = &mut response {
            // Too long, and changing too fast, to be read along: `prunella actor --state` prints it.
            actor.knows.clear();
        }
        crate::cli::render::text(&response, now_unix_ms).lines().map(str::to_owned).collect()
    }
}

/// How long a filter may be.
const FILTER_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    fn keys(model: &Model) -> Vec<String> {
        model.listing().unwrap().rows.into_iter().map(|row| row.key).collect()
    }

    #[test]
    fn only_what_the_view_shows_is_asked_for_and_nothing_twice_while_it_is_paused() {
        let mut model = Model::default();
        let parts = |model: &Model| model.wanted().into_keys().collect::<Vec<_>>();
        assert_eq!(parts(&model), [Part::Status, Part::Peers, Part::Links, Part::Topology, Part::Incidents]);
        model.act(Action::Show(View::Actors));
        assert_eq!(parts(&model), [Part::Status, Part::Actors, Part::Incidents]);
        let mut model = fixture::model();
        model.act(Action::Pause);
        assert_eq!(parts(&model), []);
        model.act(Action::Show(View::Actors));
        model.act(Action::Open);
        assert_eq!(parts(&model), [Part::Detail]);
        fixture::hear(&mut model, Part::Detail, Ok(Response::Done));
        assert_eq!(parts(&model), []);
    }

    #[test]
    fn what_is_chosen_stays_chosen_when_rows_change_places() {
        let mut model = fixture::model();
        model.act(Action::Show(View::Actors));
        model.act(Action::Move(1));
        let chosen = |model: &Model| keys(model)[model.at(&model.listing().unwrap().rows)].clone();
        assert_eq!((keys(&model)[1].as_str(), chosen(&model).as_str()), ("gossip", "gossip"));
        model.act(Action::Sort);
        model.act(Action::Sort);
        assert_eq!(keys(&model), ["monitor", "gossip", "planner", "root"], "by time");
        assert_eq!(chosen(&model), "gossip");
        model.act(Action::Move(99));
        assert_eq!(chosen(&model), "root");
        model.act(Action::First);
        model.act(Action::Move(-5));
        assert_eq!(chosen(&model), "monitor");
    }

    #[test]
    fn a_filter_goes_with_escape_and_with_the_view() {
        let mut model = fixture::model();
        model.act(Action::Show(View::Actors));
        for c in "GOS".chars() {
            model.act(Action::Type(c));
        }
        assert_eq!(keys(&model), ["gossip"]);
        model.act(Action::Back);
        assert_eq!(keys(&model).len(), 4);
        model.act(Action::Type('x'));
        model.act(Action::Turn { onwards: true });
        assert_eq!((model.view, model.filter.as_str()), (View::Incidents, ""));
        model.act(Action::Turn { onwards: false });
        model.act(Action::Turn { onwards: false });
        model.act(Action::Turn { onwards: false });
        model.act(Action::Turn { onwards: false });
        assert_eq!(model.view, View::Paths);
        (0..200).for_each(|_| _ = model.act(Action::Type('x')));
        assert_eq!(model.filter.len(), FILTER_BYTES_MAX);
    }

    #[test]
    fn an_answer_to_what_is_not_asked_any_more_is_not_shown() {
        let mut model = fixture::model();
        model.act(Action::Show(View::Actors));
        model.act(Action::Open);
        let asked = model.wanted()[&Part::Detail].clone();
        model.act(Action::Back);
        model.act(Action::Move(1));
        model.act(Action::Open);
        model.hear(Heard { part: Part::Detail, request: asked, answer: Ok(Response::Done) });
        assert!(model.detail.as_ref().unwrap().known.last().is_none());
        fixture::hear(&mut model, Part::Actors, Ok(Response::Done));
        assert_eq!(model.trouble().as_deref(), Some("actors: the node answered something else (shown: 0 s old)"));
    }

    #[test]
    fn a_node_that_was_started_anew_is_told_and_its_incidents_are_its_own() {
        let mut model = fixture::model();
        let status = Status { pid: 43, ..fixture::status() };
        fixture::hear(&mut model, Part::Status, Ok(Response::Status(status)));
        let told: Vec<&str> = model.story.newest().map(|happened| happened.what.as_str()).collect();
        assert_eq!(told[0], "the node was started anew");
        assert!(model.incidents.last().is_none());
    }

    #[test]
    fn each_list_asks_for_its_own_kind_of_detail() {
        let opened = |view: View| {
            let mut model = fixture::model();
            model.act(Action::Show(view));
            model.act(Action::Open);
            model.detail.map(|detail| (detail.request, detail.title))
        };
        let paths = |number: usize| Request::Paths { destination: fixture::peer(number).to_string(), why: true };
        assert_eq!(opened(View::Map), None);
        assert_eq!(opened(View::Links), Some((paths(1), "paths to n1".to_owned())));
        assert_eq!(
            opened(View::Actors),
            Some((Request::Actor { name: "root".to_owned(), briefly: true }, "root".to_owned()))
        );
        assert_eq!(opened(View::Incidents), Some((Request::Incident { id: 2 }, "incident #2".to_owned())));
        assert_eq!(opened(View::Paths), Some((paths(1), "paths to n1".to_owned())));
    }
}
