//! How a node's gossip goes.

use super::called;
use super::page::Page;
use super::quantity::{bytes, span};
use super::table::{Column, Table};
use crate::api::vocabulary::{ControlInfo, GossipInfo, GossipNeighbor, GossipTold};

pub(super) fn gossip(info: &GossipInfo, page: &mut Page) {
    match &info.told {
        Some(told) => neighbors(told, page),
        None => page.line("the gossip actor does not answer: what it alone knows is missing here"),
    }
    page.line("");
    let mut table = Table::new([Column::Left("MESSAGES"), Column::Right("SENT"), Column::Right("RECEIVED")]);
    for ControlInfo { kind, sent, received } in &info.messages {
        table.row([kind.clone(), sent.to_string(), received.to_string()]);
    }
    table.row(["bytes of all".to_owned(), bytes(info.sent_bytes), bytes(info.received_bytes)]);
    table.write(page, "");
    if info.dropped > 0 {
        page.line(&format!("{} messages were dropped: a neighbor reads too slowly", info.dropped));
    }
    let rejected: Vec<String> = info.rejected.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    page.line(&format!(
        "turned away: {}",
        if rejected.is_empty() { "nothing".to_owned() } else { rejected.join(", ") }
    ));
}

fn neighbors(told: &GossipTold, page: &mut Page) {
    let mut table = Table::new([
        Column::Left("NEIGHBOR"),
        Column::Left("TREE"),
        Column::Left("HOLDS"),
        Column::Right("AGREED"),
        Column::Right("HEARD"),
        Column::Right("ROUNDS"),
        Column::Right("FULL"),
        Column::Right("GIVEN"),
        Column::Right("TAKEN"),
    ]);
    let ago = |ms: Option<u64>| ms.map(|ms| format!("{} ago", span(ms))).unwrap_or_default();
    for neighbor in &told.neighbors {
        table.row([
            called(&neighbor.name, neighbor.peer),
            if neighbor.eager { "eager" } else { "lazy" }.to_owned(),
            holds(neighbor, told.records),
            ago(neighbor.agreed_ms),
            ago(neighbor.heard_ms),
            neighbor.rounds.to_string(),
            neighbor.syncs.to_string(),
            neighbor.given.to_string(),
            neighbor.taken.to_string(),
        ]);
    }
    table.write(page, "no neighbor has a usable link");
    page.line(&format!("{} records are held, {} were announced and have not come", told.records, told.waiting));
}

/// What a neighbor holds, beside what this node does.
fn holds(neighbor: &GossipNeighbor, here: usize) -> String {
    match neighbor.held_there {
        _ if neighbor.in_sync => "the same".to_owned(),
        None => "not told".to_owned(),
        Some(there) => match (there as usize).cmp(&here) {
            std::cmp::Ordering::Greater => format!("{} more", there as usize - here),
            std::cmp::Ordering::Less => format!("{} fewer", here - there as usize),
            std::cmp::Ordering::Equal => "others".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PeerId;

    #[test]
    fn neighbors_are_told_with_their_place_in_the_tree_and_how_far_apart_they_are() {
        let neighbor = |byte: u8, eager, in_sync, held_there| GossipNeighbor {
            peer: PeerId::from_public_key([byte; 32]),
            name: format!("n{byte}"),
            eager,
            in_sync,
            held_there,
            greeted_ms: Some(1),
            heard_ms: Some(500),
            agreed_ms: in_sync.then_some(2_500),
            rounds: 3,
            syncs: 0,
            given: 7,
            taken: 2,
        };
        let neighbors = vec![
            neighbor(1, true, true, Some(9)),
            neighbor(2, false, false, Some(12)),
            neighbor(3, false, false, Some(4)),
            neighbor(4, false, false, None),
        ];
        let info = GossipInfo {
            told: Some(GossipTold { records: 9, waiting: 1, neighbors }),
            messages: vec![ControlInfo { kind: "push".into(), sent: 4, received: 5 }],
            sent_bytes: 100,
            received_bytes: 2048,
            dropped: 0,
            rejected: [("stale".to_owned(), 3)].into(),
        };
        let expected = "\
NEIGHBOR  TREE   HOLDS        AGREED       HEARD  ROUNDS  FULL  GIVEN  TAKEN
n1        eager  the same  2.5 s ago  500 ms ago       3     0      7      2
n2        lazy   3 more            -  500 ms ago       3     0      7      2
n3        lazy   5 fewer           -  500 ms ago       3     0      7      2
n4        lazy   not told          -  500 ms ago       3     0      7      2
9 records are held, 1 were announced and have not come

MESSAGES       SENT  RECEIVED
push              4         5
bytes of all  100 B   2.0 KiB
turned away: stale 3
";
        let mut page = Page::default();
        gossip(&info, &mut page);
        assert_eq!(page.into_text(), expected);
        let mut page = Page::default();
        gossip(&GossipInfo { told: None, ..info }, &mut page);
        assert!(page.into_text().starts_with("the gossip actor does not answer"));
    }
}
