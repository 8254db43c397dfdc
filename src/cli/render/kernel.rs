//! What is done in the kernel.

use std::net::SocketAddr;

use super::page::Page;
use super::quantity::round_trip;
use super::table::{Column, Table};
use crate::api::vocabulary::{KernelInfo, KernelNeighbor, KernelSource, SentAnew};

pub(super) fn kernel(info: &KernelInfo, page: &mut Page) {
    let fact = |page: &mut Page, title: &str, fact: &str| page.line(&format!("{title:<10} {fact}"));
    if !info.off.is_empty() {
        return fact(page, "kernel", &format!("does nothing for this node: {}", info.off));
    }
    let interfaces: Vec<String> = info.interfaces.iter().map(|(name, mode)| format!("{name} ({mode})")).collect();
    fact(page, "interfaces", &interfaces.join(", "));
    fact(page, "forwarded", &format!("{} frames", info.forwarded));
    info.shortcomings.iter().for_each(|shortcoming| fact(page, "warning", shortcoming));
    page.line("");
    neighbors(&info.neighbors, page);
    page.line("");
    sources(info, page);
    if !info.sent_anew.is_empty() {
        page.line("");
        sent_anew(&info.sent_anew, page);
    }
}

fn neighbors(neighbors: &[KernelNeighbor], page: &mut Page) {
    let columns = [
        Column::Left("NEIGHBOR"),
        Column::Left("ADDRESS"),
        Column::Right("RTT"),
        Column::Right("LEAST"),
        Column::Right("ECHOES"),
        Column::Right("DROPPED IN"),
        Column::Right("DROPPED OUT"),
    ];
    let mut table = Table::new(columns);
    for KernelNeighbor { name, address, rtt_us, rtt_least_us, echoes, dropped_in, dropped_out, .. } in neighbors {
        table.row([
            name.clone(),
            address.to_string(),
            round_trip(*rtt_us),
            round_trip(*rtt_least_us),
            echoes.to_string(),
            dropped_in.to_string(),
            dropped_out.to_string(),
        ]);
    }
    table.write(page, "no neighbor is observed");
}

fn sources(info: &KernelInfo, page: &mut Page) {
    let columns =
        [Column::Left("SOURCE WITHOUT A LINK"), Column::Left("IS"), Column::Right("PASSED"), Column::Right("DROPPED")];
    let mut table = Table::new(columns);
    for KernelSource { address, port, passed, dropped } in &info.sources {
        let (source, is) = match port {
            Some(port) => (SocketAddr::new(*address, *port).to_string(), "shut out"),
            None => (address.to_string(), "a stranger"),
        };
        table.row([source, is.to_owned(), passed.to_string(), dropped.to_string()]);
    }
    table.write(page, "nobody without a link has sent anything");
    if info.sources_more > 0 {
        page.line(&format!("and {} more", info.sources_more));
    }
}

fn sent_anew(nodes: &[SentAnew], page: &mut Page) {
    let columns = [Column::Left("SENT ANEW TO"), Column::Left("ADDRESS"), Column::Right("SEGMENTS")];
    let mut table = Table::new(columns);
    for SentAnew { name, address, segments } in nodes {
        table.row([name.clone(), address.to_string(), segments.to_string()]);
    }
    table.write(page, "");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::api::PeerId;

    fn rendered(info: &KernelInfo) -> String {
        let mut page = Page::default();
        kernel(info, &mut page);
        page.into_text()
    }

    #[test]
    fn it_tells_where_it_works_and_what_it_has_seen() {
        let mut info = KernelInfo {
            off: String::new(),
            interfaces: BTreeMap::from([("eth0".to_owned(), "driver".to_owned())]),
            shortcomings: vec!["eth1: there is no such interface".to_owned()],
            forwarded: 12,
            neighbors: vec![KernelNeighbor {
                peer: PeerId::from_public_key([1; 32]),
                name: "far".to_owned(),
                address: "10.0.0.2:4600".parse().unwrap(),
                echoes: 7,
                rtt_us: 1400,
                rtt_least_us: 90,
                dropped_in: 3,
                dropped_out: 4,
            }],
            sources: vec![
                KernelSource { address: "10.0.0.9".parse().unwrap(), port: Some(7), passed: 0, dropped: 900 },
                KernelSource { address: "10.0.0.8".parse().unwrap(), port: None, passed: 5, dropped: 6 },
            ],
            sources_more: 2,
            sent_anew: vec![SentAnew { name: "far".to_owned(), address: "fd70::1".parse().unwrap(), segments: 8 }],
        };
        assert_eq!(
            rendered(&info),
            "interfaces eth0 (driver)\n\
             forwarded  12 frames\n\
             warning    eth1: there is no such interface\n\
             \n\
             NEIGHBOR  ADDRESS            RTT  LEAST  ECHOES  DROPPED IN  DROPPED OUT\n\
             far       10.0.0.2:4600  1.40 ms  90 µs       7           3            4\n\
             \n\
             SOURCE WITHOUT A LINK  IS          PASSED  DROPPED\n\
             10.0.0.9:7             shut out         0      900\n\
             10.0.0.8               a stranger       5        6\n\
             and 2 more\n\
             \n\
             SENT ANEW TO  ADDRESS  SEGMENTS\n\
             far           fd70::1         8\n"
        );
        info.off = "`kernel.interfaces` names no interface".to_owned();
        assert_eq!(rendered(&info), "kernel     does nothing for this node: `kernel.interfaces` names no interface\n");
    }
}
