//! Who stands close together, and which node should name another region.

use super::called;
use super::page::Page;
use super::quantity::round_trip;
use crate::api::vocabulary::{ClusterInfo, RegionHint, RegionsInfo};

pub(super) fn regions(info: &RegionsInfo, page: &mut Page) {
    if info.clusters.is_empty() {
        return page.line("no link has been measured yet");
    }
    for ClusterInfo { number, members, names, region, inside_us } in &info.clusters {
        let names: Vec<String> = members.iter().zip(names).map(|(peer, name)| called(name, *peer)).collect();
        let region = region.as_deref().map(|region| format!(" ({region})")).unwrap_or_default();
        let inside = inside_us.map(|us| format!(", {} inside", round_trip(us.into()))).unwrap_or_default();
        page.line(&format!("cluster {number}{region}: {}{inside}", names.join(" ")));
    }
    for RegionHint { peer, name, named, measured } in &info.hints {
        let name = called(name, *peer);
        page.line(&match named.as_str() {
            "" => format!("hint: {name} names no region; the nodes near it name {measured}"),
            named => format!("hint: {name} names {named}; the nodes near it name {measured}"),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PeerId;

    #[test]
    fn clusters_are_told_with_their_region_and_who_should_name_it() {
        let peer = |i: u8| PeerId::from_public_key([i; 32]);
        let cluster = |number, members: &[u8], region: Option<&str>, inside_us| ClusterInfo {
            number,
            members: members.iter().map(|i| peer(*i)).collect(),
            names: members.iter().map(|i| format!("n{i}")).collect(),
            region: region.map(str::to_owned),
            inside_us,
        };
        let hint =
            |named: &str| RegionHint { peer: peer(2), name: "n2".into(), named: named.into(), measured: "east".into() };
        let info = RegionsInfo {
            clusters: vec![cluster(1, &[1, 2], Some("east"), Some(400)), cluster(2, &[3], None, None)],
            hints: vec![hint(""), hint("west")],
            more: false,
        };
        let expected = "\
cluster 1 (east): n1 n2, 400 µs inside
cluster 2: n3
hint: n2 names no region; the nodes near it name east
hint: n2 names west; the nodes near it name east
";
        let mut page = Page::default();
        regions(&info, &mut page);
        assert_eq!(page.into_text(), expected);
    }
}
