//! Pictures of fixed data at the two sizes that people have.

use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::*;
use crate::api::Response;
use crate::cli::top::fixture;
use crate::cli::top::input::Action;
use crate::cli::top::model::Part;

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (120, 40);

fn terminal(model: &Model, (width, height): (u16, u16), theme: Theme) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model, theme)).unwrap();
    terminal
}

/// The picture line by line, without blanks at the ends of lines and without empty lines.
fn picture(model: &Model, size: (u16, u16)) -> Vec<String> {
    let terminal = terminal(model, size, Theme::new(true));
    let buffer = terminal.backend().buffer();
    let row = |y: u16| (0..size.0).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..size.1).map(row).filter(|line| !line.is_empty()).collect()
}

fn shown(view: View) -> Model {
    let mut model = fixture::model();
    model.act(Action::Show(view));
    model
}

fn act(model: &mut Model, actions: &[Action]) {
    for action in actions {
        assert!(!model.act(*action), "{action:?} leaves");
    }
}

const HEAD: &str = "n0  up 1 min 1 s  2 links  3/3 reachable  4 alive 0 suspect 0 down  1 open";

#[test]
fn the_map_has_this_node_in_the_middle_and_what_happened_below() {
    let expected = [
        HEAD,
        " 1 Map  2 Links  3 Actors  4 Incidents  5 Paths",
        "                  n2⠒⠒⠒⠒⠒⠒1.80 ms⠒⠒⠒⠒⠒[n0]⠒⠒⠒⠒⠒900 µs⠒⠒⠒⠒⠒⠒n1⠤⠤⣀⡀",
        "                                                                ⠈⠉⠑⠒⠤⠤⣀⡀",
        "                                                                       ⠈(n3)",
        "[this node]  neighbor  (over relays)  ✗unreachable  4 nodes",
        "WHAT HAPPENED",
        "2023-11-14 22:13:22Z  #2 link-down of n1: opened",
        "Tab next view  p pause  ? help  q leave",
    ];
    assert_eq!(picture(&shown(View::Map), SMALL), expected);
    let large = picture(&shown(View::Map), LARGE);
    assert_eq!(large[0], HEAD);
    assert!(large[2].trim_start().starts_with("n2⠒") && large[2].contains("⠒[n0]⠒"), "{large:#?}");
}

#[test]
fn a_broken_link_is_marked_on_the_map_by_words_and_by_color() {
    let mut model = shown(View::Map);
    let mut links = fixture::links();
    links[0].state = "down".to_owned();
    fixture::hear(&mut model, Part::Links, Ok(Response::Links { links }));
    let lines = picture(&model, SMALL);
    assert!(lines[2].contains("✗ down⠒") && lines[2].contains("⠒n1"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.ends_with("link to n1: up, now down")), "{lines:#?}");
    let colors = |theme: Theme| {
        let terminal = terminal(&model, SMALL, theme);
        let cells = terminal.backend().buffer().content().iter();
        let mut colors: Vec<Color> = cells.map(|cell| cell.fg).filter(|color| *color != Color::Reset).collect();
        colors.dedup();
        colors
    };
    assert!(colors(Theme::new(true)).contains(&Color::Red));
    assert_eq!(colors(Theme::new(false)), [], "without color nothing has one");
}

#[test]
fn links_have_what_passed_between_two_answers() {
    let expected = [
        HEAD,
        " 1 Map  2 Links  3 Actors  4 Incidents  5 Paths   2 rows by name",
        "NEIGHBOR  STATE      RTT  P99   LOSS   SENT/S  RECEIVED/S  MADE  ADDRESS",
        "n1        up      900 µs    -  0.0 %  1.9 MiB         0 B     1  10.0.0.1:4600",
        "n2        up     1.80 ms    -  0.5 %      0 B         0 B     1  10.0.0.2:4600",
        "Enter closer  s order  / filter  Tab next view  p pause  ? help  q leave",
    ];
    let mut model = shown(View::Links);
    for size in [SMALL, LARGE] {
        assert_eq!(picture(&model, size), expected);
    }
    act(&mut model, &[Action::Sort]);
    let lines = picture(&model, SMALL);
    assert!(lines[1].ends_with("by round trip") && lines[3].starts_with("n2 "), "{lines:#?}");
    act(&mut model, &[Action::Open]);
    fixture::hear(&mut model, Part::Detail, Ok(fixture::paths()));
    let lines = picture(&model, SMALL);
    assert_eq!(lines[2..4], ["STATE       RTT  COST  PATH", "in-use  1.90 ms  1900  n0 → n1 → n3"], "{lines:#?}");
}

#[test]
fn actors_are_ordered_by_what_they_cost_now() {
    let mut model = shown(View::Actors);
    let expected = [
        HEAD,
        " 1 Map  2 Links  3 Actors  4 Incidents  5 Paths   4 rows as in the tree",
        "ACTOR        STATE    MAILBOX  HANDLED/S    BUSY      P99  RESTARTS        FOR  LAST FAILURE",
        "root         running        0          0  0.00 %  16.4 µs         0  1 min 1 s  -",
        "  gossip     running        4          0  0.00 %  16.4 µs         0  1 min 1 s  -",
        "    monitor  running        9         50  1.25 %  16.4 µs         1  1 min 1 s  it was told to",
        "    planner  running        0          0  0.00 %  16.4 µs         2  1 min 1 s  it was told to",
        "Enter closer  s order  / filter  Tab next view  p pause  ? help  q leave",
    ];
    assert_eq!(picture(&model, LARGE), expected);
    let cut: Vec<&str> = expected[3..7].iter().map(|line| line.get(..78).unwrap_or(line).trim_end()).collect();
    let small = picture(&model, SMALL);
    assert!(small[3..7].iter().zip(&cut).all(|(line, cut)| line.starts_with(&cut[..70])), "{small:#?}");
    let orders =
        [("by mailbox", "monitor"), ("by time", "monitor"), ("by restarts", "planner"), ("by handled/s", "monitor")];
    for (order, first) in orders {
        act(&mut model, &[Action::Sort]);
        let lines = picture(&model, SMALL);
        assert!(lines[1].ends_with(order) && lines[3].starts_with(first), "{order}: {lines:#?}");
    }
}

#[test]
fn an_actor_is_looked_at_closer_and_scrolled() {
    let mut model = shown(View::Actors);
    act(&mut model, &[Action::Move(2), Action::Open]);
    assert_eq!(picture(&model, SMALL)[2], "waiting for the node");
    fixture::hear(&mut model, Part::Detail, Ok(Response::Actor(Box::new(fixture::actor_detail()))));
    let lines = picture(&model, LARGE);
    assert!(lines[1].ends_with("5 Paths   monitor"), "{lines:#?}");
    for part in ["monitor  running", "TOOK AT MOST  MESSAGES", "LinkReported    900", "LAST"] {
        assert!(lines.iter().any(|line| line.trim_start().starts_with(part)), "no {part:?} in {lines:#?}");
    }
    assert!(!lines.iter().any(|line| line.contains("Monitor {")), "what it knows is not for a live view");
    act(&mut model, &[Action::Move(1)]);
    assert!(picture(&model, LARGE)[2].starts_with("mailbox"), "one line was scrolled");
    act(&mut model, &[Action::Back]);
    assert!(picture(&model, SMALL)[1].ends_with("as in the tree"));
}

#[test]
fn open_incidents_come_first_and_have_a_story() {
    let mut model = shown(View::Incidents);
    let expected = [
        HEAD,
        " 1 Map  2 Links  3 Actors  4 Incidents  5 Paths   2 rows open ones first",
        "ID  OPENED                KIND       SUBJECT  SEVERITY  STATE",
        " 2  2023-11-14 22:13:22Z  link-down  n1       major     OPEN for 58 s",
        " 1  2023-11-14 22:13:21Z  link-down  n1       major     healed after 400 ms",
        "Enter closer  / filter  Tab next view  p pause  ? help  q leave",
    ];
    for size in [SMALL, LARGE] {
        assert_eq!(picture(&model, size), expected);
    }
    act(&mut model, &[Action::Last, Action::Open]);
    fixture::hear(&mut model, Part::Detail, Ok(Response::Incident(fixture::incident(1, Some(400)))));
    let lines = picture(&model, SMALL);
    assert_eq!(lines[2], "#1  link-down  n1  major  lasted 400 ms");
    assert!(lines.iter().any(|line| line.ends_with("execute   redial: begun")), "{lines:#?}");
}

#[test]
fn nodes_are_listed_and_their_paths_looked_at() {
    let mut model = shown(View::Paths);
    let expected = [
        HEAD,
        " 1 Map  2 Links  3 Actors  4 Incidents  5 Paths   3 rows by name",
        "NODE  PEER        REACHED      RELAYS  ADDRESSES",
        "n1    aibaeaqcai  directly          0  10.0.0.1:4600",
        "n2    ambqgaydam  directly          0  10.0.0.2:4600",
        "n3    aqcaibaeaq  over relays       1  10.0.0.3:4600",
        "Enter closer  / filter  Tab next view  p pause  ? help  q leave",
    ];
    for size in [SMALL, LARGE] {
        assert_eq!(picture(&model, size), expected);
    }
    act(&mut model, &[Action::Filter, Action::Type('n'), Action::Type('3')]);
    assert_eq!(picture(&model, SMALL).last().unwrap(), "/n3_");
    act(&mut model, &[Action::Accept]);
    let lines = picture(&model, SMALL);
    assert!(lines[1].ends_with("1 rows by name  with \"n3\"") && lines[3].starts_with("n3 "), "{lines:#?}");
    act(&mut model, &[Action::Open]);
    fixture::hear(&mut model, Part::Detail, Ok(fixture::paths()));
    let lines = picture(&model, SMALL);
    assert!(lines[1].contains("paths to n3") && lines[4].ends_with("n0 → n2 → n3"), "{lines:#?}");
}

#[test]
fn what_is_not_answered_stays_and_says_how_old_it_is() {
    let mut model = shown(View::Links);
    model.now = Duration::from_secs(13);
    fixture::hear(&mut model, Part::Links, Err("the node has not answered within 5 s".to_owned()));
    let lines = picture(&model, SMALL);
    assert!(lines[1].contains("STALE: 12 s old"), "{lines:#?}");
    assert!(lines[3].starts_with("n1 "), "{lines:#?}");
    assert_eq!(lines.last().unwrap(), "links: the node has not answered within 5 s (shown: 12 s old)");
    act(&mut model, &[Action::Show(View::Actors)]);
    assert!(!picture(&model, SMALL)[1].contains("STALE"), "the others are not old for that");
}

#[test]
fn help_lists_the_keys_and_a_small_screen_says_so() {
    let mut model = shown(View::Actors);
    act(&mut model, &[Action::Help]);
    for size in [SMALL, LARGE] {
        let lines = picture(&model, size);
        assert!(lines[2] == "KEYS" && lines.iter().any(|line| line.starts_with("q, Ctrl-C")), "{lines:#?}");
    }
    for size in [(79, 24), (80, 23), (20, 5), (1, 1)] {
        let lines = picture(&model, size);
        assert!(lines.len() == 1 && "79x24 80x23 20x5 1x1".contains(&lines[0][..1]), "{lines:#?}");
    }
    assert_eq!(picture(&model, (79, 24)), ["79x24 is too small: 80x24 at least; q leaves"]);
}
