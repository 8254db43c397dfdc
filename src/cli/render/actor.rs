//! Actors: what runs, what it was sent, what failed.

use super::page::Page;
use super::quantity::{percent, round_trip, span};
use super::table::{Column, Table};
use super::tree::branches;
use crate::api::vocabulary::{ActorDetail, ActorInfo, ActorLink, HandledInfo, TapInfo, TookInfo};

pub(super) fn tree(actors: &[ActorInfo], page: &mut Page) {
    let mut table = Table::new([
        Column::Left("ACTOR"),
        Column::Left("STATE"),
        Column::Right("FOR"),
        Column::Right("MAILBOX"),
        Column::Right("HANDLED"),
        Column::Right("RESTARTS"),
        Column::Left("LAST FAILURE"),
    ]);
    let depths: Vec<usize> = actors.iter().map(|actor| actor.depth).collect();
    for (actor, branches) in actors.iter().zip(branches(&depths)) {
        table.row([
            format!("{branches}{}", with_strategy(actor)),
            actor.state.clone(),
            span(actor.age_ms),
            actor.mailbox.to_string(),
            actor.handled.to_string(),
            actor.restarts.to_string(),
            actor.last_failure.clone().unwrap_or_default(),
        ]);
    }
    table.write(page, "no actors");
}

/// The actors in the order in which they are given, with the time that they spent.
pub(in crate::cli) fn ranking(actors: &[ActorInfo]) -> String {
    let mut page = Page::default();
    let titles = ["MAILBOX", "HANDLED", "TIME", "P99", "RESTARTS"].map(Column::Right);
    let [mailbox, handled, time, p99, restarts] = titles;
    let [name, state] = ["ACTOR", "STATE"].map(Column::Left);
    let mut table = Table::new([name, state, mailbox, handled, time, p99, restarts]);
    for actor in actors {
        table.row([
            actor.name.clone(),
            actor.state.clone(),
            actor.mailbox.to_string(),
            actor.handled.to_string(),
            span(actor.busy_us / 1000),
            actor.took_p99_us.map(short).unwrap_or_default(),
            actor.restarts.to_string(),
        ]);
    }
    table.write(&mut page, "no actors");
    page.into_text()
}

/// An actor's name, and of a supervisor what it does when a child fails.
fn with_strategy(actor: &ActorInfo) -> String {
    actor.strategy.as_ref().map_or_else(|| actor.name.clone(), |strategy| format!("{} ({strategy})", actor.name))
}

/// How much waits for an actor, what it is at, and what came last.
pub(in crate::cli) fn inbox(actor: &ActorDetail) -> String {
    let mut page = Page::default();
    let info = &actor.info;
    page.line(&format!("waiting   {}; {} handled, {} dropped", info.mailbox, info.handled, actor.dropped));
    page.line(&format!("at        {}", at_hand(actor)));
    if let Some(held_up) = &actor.held_up {
        page.line(&format!("held up   {held_up}"));
    }
    last(&actor.last, &mut page);
    page.into_text()
}

fn at_hand(actor: &ActorDetail) -> String {
    actor.at.as_ref().map_or_else(|| "no message".to_owned(), |at| format!("{} for {}", at.kind, span(at.for_ms)))
}

/// Messages that came last.
fn last(handled: &[HandledInfo], page: &mut Page) {
    if handled.is_empty() {
        return;
    }
    page.line("");
    let mut last = Table::new([Column::Left("LAST"), Column::Right("AGO"), Column::Right("TOOK")]);
    for handled in handled {
        last.row([handled.kind.clone(), span(handled.ago_ms), short(handled.took_us)]);
    }
    last.write(page, "");
}

/// Whom it sends something, and who sends it something.
fn links(links: &[ActorLink], page: &mut Page) {
    let mut table = Table::new([Column::Left("WITH"), Column::Right("SENT"), Column::Right("HEARD")]);
    for ActorLink { actor, sent, heard } in links {
        table.row([actor.clone(), sent.to_string(), heard.map(|heard| heard.to_string()).unwrap_or_default()]);
    }
    table.write(page, "");
}

pub(super) fn one(actor: &ActorDetail, page: &mut Page) {
    let ActorDetail { info, .. } = actor;
    let under = info.parent.as_ref().map_or(String::new(), |parent| format!("  under {parent}"));
    page.line(&format!("{}  {}  for {}{under}", info.name, info.state, span(info.age_ms)));
    page.line(&format!("mailbox   {} waiting, {} handled, {} dropped", info.mailbox, info.handled, actor.dropped));
    let quantiles = [actor.took_p50_us, info.took_p99_us].map(|took| took.map_or("-".to_owned(), short));
    let [p50, p99] = quantiles;
    page.line(&format!("busy      {} in all; a message takes p50 {p50}, p99 {p99}", span(info.busy_us / 1000)));
    if let Some(held_up) = &actor.held_up {
        page.line(&format!("held up   {held_up}"));
    }
    page.line(&format!("restarts  {}", info.restarts));
    for failure in &actor.failures {
        page.line(&format!("          {} ago: {}", span(failure.ago_ms), failure.reason));
    }
    if !actor.links.is_empty() {
        page.line("");
        links(&actor.links, page);
    }
    if !actor.took.is_empty() {
        page.line("");
        histogram(&actor.took, page);
    }
    page.line("");
    let mut kinds = Table::new([
        Column::Left("MESSAGE"),
        Column::Right("COUNT"),
        Column::Right("MEAN"),
        Column::Right("LONGEST"),
        Column::Right("SHARE"),
    ]);
    for kind in &actor.kinds {
        kinds.row([
            kind.kind.clone(),
            kind.count.to_string(),
            short(kind.mean_us),
            short(kind.longest_us),
            percent(kind.share_permille),
        ]);
    }
    kinds.write(page, "no messages yet");
    last(&actor.last[..actor.last.len().min(LAST_SHOWN)], page);
    if !actor.knows.is_empty() {
        page.line("");
        actor.knows.lines().for_each(|line| page.line(line));
        if !actor.knows_is_whole {
            page.line("... and more");
        }
    }
}

/// How many messages took how long, as bars of which the longest stands for the most messages.
fn histogram(took: &[TookInfo], page: &mut Page) {
    let most = took.iter().map(|step| step.count).max().unwrap_or(1).max(1);
    let [at_most, messages] = ["TOOK AT MOST", "MESSAGES"].map(Column::Right);
    let mut table = Table::new([at_most, messages, Column::Left("")]);
    for step in took {
        // Of what there was any, there is something to be seen.
        let bar = (step.count * BAR_WIDTH).div_ceil(most) as usize;
        table.row([short(step.at_most_us), step.count.to_string(), "▇".repeat(bar)]);
    }
    table.write(page, "");
}

pub(super) fn tapped(info: &TapInfo, page: &mut Page) {
    for message in &info.messages {
        page.line(&format!("{:>10}  {}", format!("+{}", round_trip(message.after_us.max(1))), message.text));
    }
    let missed = if info.missed == 0 { String::new() } else { format!(", {} more not shown", info.missed) };
    let messages = if info.messages.len() == 1 { "message" } else { "messages" };
    page.line(&format!("{} {messages} within {}{missed}", info.messages.len(), span(info.lasted_ms)));
}

/// A time in microseconds, of which messages take few.
pub(in crate::cli) fn short(us: f64) -> String {
    if us < 100.0 { format!("{us:.1} µs") } else { round_trip(us as u64) }
}

/// How many of the last messages are shown; JSON has more.
const LAST_SHOWN: usize = 10;
/// How wide a bar of a histogram is at most.
const BAR_WIDTH: u64 = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::vocabulary::{AtInfo, FailureInfo, KindInfo, TappedInfo};

    fn actor(name: &str, depth: usize, restarts: u64, last_failure: Option<&str>) -> ActorInfo {
        ActorInfo {
            name: name.into(),
            parent: None,
            depth,
            state: "running".into(),
            strategy: None,
            age_ms: 61_000,
            mailbox: 0,
            handled: 12,
            busy_us: 2_400,
            took_p99_us: Some(1048.0),
            restarts,
            last_failure: last_failure.map(Into::into),
        }
    }

    #[test]
    fn actors_are_drawn_as_a_tree() {
        let tree = [
            ActorInfo { strategy: Some("rest-for-one".into()), ..actor("root", 0, 0, None) },
            ActorInfo { strategy: Some("one-for-one".into()), age_ms: 1_000, ..actor("peers", 1, 0, None) },
            actor("peer/aaa", 2, 1, Some("panicked")),
            actor("healing", 1, 0, None),
        ];
        let mut page = Page::default();
        super::tree(&tree, &mut page);
        let expected = "\
ACTOR                   STATE          FOR  MAILBOX  HANDLED  RESTARTS  LAST FAILURE
root (rest-for-one)     running  1 min 1 s        0       12         0  -
├─ peers (one-for-one)  running      1.0 s        0       12         0  -
│  └─ peer/aaa          running  1 min 1 s        0       12         1  panicked
└─ healing              running  1 min 1 s        0       12         0  -
";
        assert_eq!(page.into_text(), expected);
    }

    #[test]
    fn a_ranking_keeps_its_order_and_tells_the_time_spent() {
        let idle = ActorInfo { took_p99_us: None, busy_us: 0, ..actor("peers", 1, 2, None) };
        let expected = "\
ACTOR   STATE    MAILBOX  HANDLED  TIME      P99  RESTARTS
gossip  running        0       12  2 ms  1.05 ms         0
peers   running        0       12  0 ms        -         2
";
        assert_eq!(ranking(&[actor("gossip", 1, 0, None), idle]), expected);
    }

    #[test]
    fn an_actor_is_told_with_what_it_was_sent_and_why_it_failed() {
        let info =
            ActorInfo { parent: Some("root".into()), mailbox: 3, ..actor("gossip", 1, 1, Some("it was told to")) };
        let detail = ActorDetail {
            links: vec![ActorLink { actor: "monitor".to_owned(), sent: 7, heard: Some(2) }],
            info,
            dropped: 0,
            at: Some(AtInfo { kind: "Heard".into(), for_ms: 1500 }),
            held_up: None,
            took_p50_us: Some(2.048),
            took: vec![TookInfo { at_most_us: 2.048, count: 1000 }, TookInfo { at_most_us: 1048.576, count: 2 }],
            kinds: vec![KindInfo {
                kind: "Heard".into(),
                count: 12,
                mean_us: 1.87,
                longest_us: 900.0,
                share_permille: 998,
            }],
            last: vec![HandledInfo { ago_ms: 20, kind: "Heard".into(), took_us: 1.5 }],
            failures: vec![FailureInfo { ago_ms: 61_000, reason: "it was told to".into() }],
            knows: "Gossip {\n}".into(),
            knows_is_whole: false,
        };
        let mut page = Page::default();
        one(&detail, &mut page);
        let wanted = "\
gossip  running  for 1 min 1 s  under root
mailbox   3 waiting, 12 handled, 0 dropped
busy      2 ms in all; a message takes p50 2.0 µs, p99 1.05 ms
restarts  1
          1 min 1 s ago: it was told to

WITH     SENT  HEARD
monitor     7      2

TOOK AT MOST  MESSAGES
      2.0 µs      1000  ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇
     1.05 ms         2  ▇

MESSAGE  COUNT    MEAN  LONGEST   SHARE
Heard       12  1.9 µs   900 µs  99.8 %

LAST     AGO    TOOK
Heard  20 ms  1.5 µs

Gossip {
}
... and more
";
        assert_eq!(page.into_text(), wanted);
    }

    #[test]
    fn an_inbox_tells_what_waits_and_what_is_at_hand() {
        let mut detail = crate::cli::top::fixture::actor_detail();
        let expected = "\
waiting   9; 900 handled, 0 dropped
at        no message

LAST            AGO    TOOK
LinkReported  20 ms  3.0 µs
";
        assert_eq!(inbox(&detail), expected);
        detail.at = Some(AtInfo { kind: "LinkReported".into(), for_ms: 1500 });
        detail.held_up = Some("takes no message".into());
        detail.last.clear();
        let expected = "\
waiting   9; 900 handled, 0 dropped
at        LinkReported for 1.5 s
held up   takes no message
";
        assert_eq!(inbox(&detail), expected);
    }

    #[test]
    fn messages_are_told_with_when_they_came() {
        let messages = vec![TappedInfo { after_us: 1500, kind: "Clock".into(), text: "Clock { unix_ms: 1 }".into() }];
        let mut page = Page::default();
        tapped(&TapInfo { actor: "gossip".into(), messages, missed: 7, lasted_ms: 5000 }, &mut page);
        let wanted = "  +1.50 ms  Clock { unix_ms: 1 }\n1 message within 5.0 s, 7 more not shown\n";
        assert_eq!(page.into_text(), wanted);
    }
}
