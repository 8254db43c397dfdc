//! What the overlay interface carries.

use super::page::Page;
use super::quantity::{bytes, span};
use super::table::{Column, Table};
use crate::api::vocabulary::{FlowInfo, NetworkInfo, TunInfo, TunnelInfo};

pub(super) fn tun(info: &TunInfo, page: &mut Page) {
    let fact = |page: &mut Page, title: &str, fact: &str| page.line(&format!("{title:<9} {fact}"));
    if info.device.is_empty() {
        fact(page, "device", "none; `prunella up --tun` makes one");
        return fact(page, "address", &info.address.to_string());
    }
    fact(page, "device", &format!("{}, packets of at most {} bytes", info.device, info.mtu));
    fact(page, "address", &info.address.to_string());
    let names = if info.domain.is_empty() { "none".to_owned() } else { format!("NAME.{}, by DNS there", info.domain) };
    fact(page, "names", &names);
    let doors: Vec<String> = info.doors.iter().map(|(port, name)| format!("{name} at port {port}")).collect();
    fact(page, "services", &if doors.is_empty() { "none".to_owned() } else { doors.join(", ") });
    fact(page, "announces", &if info.announced.is_empty() { "none".to_owned() } else { info.announced.join(", ") });
    info.warnings.iter().for_each(|warning| fact(page, "warning", warning));
    page.line("");
    networks(info, page);
    let columns = [
        Column::Left("TUNNEL TO"),
        Column::Left("ADDRESS"),
        Column::Right("SENT"),
        Column::Right("RECEIVED"),
        Column::Right("LONGEST"),
    ];
    let mut table = Table::new(columns);
    for TunnelInfo { name, address, bytes: [sent, received], longest, .. } in &info.tunnels {
        table.row([name.clone(), address.to_string(), bytes(*sent), bytes(*received), longest.to_string()]);
    }
    table.write(page, "no tunnels: one is made for the first packet to a node");
    page.line("");
    let columns = [
        Column::Left("FLOW FROM"),
        Column::Left("TO"),
        Column::Left("VERDICT"),
        Column::Right("AGO"),
        Column::Left("BY"),
    ];
    let mut table = Table::new(columns);
    for FlowInfo { name, protocol, destination, destination_port, allowed, reason, ago_ms, .. } in &info.flows {
        let mut to = if *destination_port == 0 || protocol == "icmp" {
            protocol.clone()
        } else {
            format!("{protocol}/{destination_port}")
        };
        if *destination != info.address {
            to += &format!("@{destination}");
        }
        let verdict = if *allowed { "allowed" } else { "denied" };
        table.row([name.clone(), to, verdict.to_owned(), span(*ago_ms), reason.clone()]);
    }
    table.write(page, "no other node has begun a flow");
}

/// Networks behind other nodes; nothing where nobody announces any.
fn networks(info: &TunInfo, page: &mut Page) {
    if info.networks.is_empty() {
        return;
    }
    let columns = [Column::Left("NETWORK"), Column::Left("BEHIND"), Column::Left("STATE"), Column::Left("BY")];
    let mut table = Table::new(columns);
    for NetworkInfo { prefix, name, state, reason, .. } in &info.networks {
        table.row([prefix.clone(), name.clone(), state.clone(), reason.clone()]);
    }
    table.write(page, "");
    if info.networks_more > 0 {
        page.line(&format!("and {} more", info.networks_more));
    }
    page.line("");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PeerId;

    #[test]
    fn a_denied_flow_is_told_with_the_reason() {
        let peer = PeerId::from_public_key([7; 32]);
        let flow = FlowInfo {
            from: peer,
            name: "b".into(),
            protocol: "tcp".into(),
            source: peer.tag().address().into(),
            destination: "10.20.0.5".parse().unwrap(),
            source_port: 4000,
            destination_port: 22,
            allowed: false,
            reason: "default: no rule allows it".into(),
            ago_ms: 2000,
        };
        let network = NetworkInfo {
            prefix: "10.20.0.0/16".to_owned(),
            peer,
            name: "b".to_owned(),
            state: "refused".to_owned(),
            reason: "default: no rule allows it".to_owned(),
        };
        let info = TunInfo {
            device: "prunella0".into(),
            address: peer.tag().address(),
            mtu: 1380,
            domain: "mesh".into(),
            doors: [(8080, "web".to_owned())].into(),
            tunnels: Vec::new(),
            announced: vec!["fd00:30::/64".to_owned()],
            networks: vec![network],
            networks_more: 3,
            warnings: vec!["this machine forwards no IPv6".to_owned()],
            flows: vec![flow],
            counters: Default::default(),
        };
        let mut page = Page::default();
        tun(&info, &mut page);
        let text = page.into_text();
        for part in [
            "web at port 8080",
            "tcp/22@10.20.0.5",
            "denied",
            "no rule allows it",
            "no tunnels",
            "announces fd00:30::/64",
            "warning   this machine",
            "10.20.0.0/16  b",
            "refused",
            "and 3 more",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
