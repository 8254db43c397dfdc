//! Networks behind nodes: hosts that run nothing of Prunella are reached through nodes that announce them.

use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use prunella_bench::traffic::{BulkServer, Echo, EchoServer, Pace, pull, push};
use prunella_bench::{Host, Mesh, Node, until};
use prunella_core::PeerId;

use super::rig;

/// What `prunella tun` says of a network: its state, and the reason.
fn told(node: &Node, prefix: &str, announcer: &str) -> Option<(String, String)> {
    let told = node.json(&["tun"]).unwrap();
    let networks = told["networks"].as_array().unwrap().iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut found = networks.filter(|one| one["prefix"] == prefix && one["peer"] == announcer);
    found.next().map(|one| (text(&one["state"]), text(&one["reason"])))
}

/// Waits until a network has this state.
fn becomes(node: &Node, prefix: &str, announcer: &str, state: &str) -> String {
    until(&format!("{prefix} {state} at {}", node.name), PATIENCE, || match told(node, prefix, announcer) {
        Some((now, reason)) if now == state => Ok(reason),
        other => Err(format!("{other:?} {}", node.log())),
    })
    .unwrap()
}

/// Whether the machine sends packets for a network to the interface.
fn is_routed(host: &Host, prefix: &str) -> bool {
    let family = if prefix.contains(':') { "-6" } else { "-4" };
    host.run_well(&["ip", family, "route", "show", "dev", "prunella0"]).unwrap().contains(prefix)
}

fn ping(host: &Host, to: IpAddr) -> Result<(), String> {
    let told = host.run(&["ping", "-c", "1", "-W", "2", &to.to_string()], Duration::from_secs(10)).unwrap();
    if told.ok { Ok(()) } else { Err(format!("{} {}", told.stdout, told.stderr)) }
}

fn reaches(host: &Host, to: impl Into<IpAddr>) {
    let to = to.into();
    until(&format!("an answer of {to}"), PATIENCE, || ping(host, to)).unwrap();
}

/// Whether a TCP connection is refused at once, rather than timing out: by what Linux makes of "prohibited" in ICMPv6 and in
/// ICMP.
fn is_refused(host: &Host, to: SocketAddr) -> Result<(), String> {
    let kind = if to.is_ipv6() { ErrorKind::PermissionDenied } else { ErrorKind::HostUnreachable };
    let outcome = host.inside(|| std::net::TcpStream::connect_timeout(&to, Duration::from_secs(5)).map(drop)).unwrap();
    match outcome {
        Err(error) if error.kind() == kind => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

fn carries_bytes(from: &Host, to: SocketAddr) {
    for transfer in [push, pull] {
        let attempt = || transfer(from, to, 2_000_000).map_err(|error| error.to_string());
        until("bytes through the network", PATIENCE, attempt).unwrap();
    }
}

fn configure(node: &Node, announce: &[&str]) {
    let mut file = std::fs::OpenOptions::new().append(true).open(node.dir.join("config.toml")).unwrap();
    write!(file, "\n[tun]\ndevice = \"prunella0\"\nannounce = {announce:?}\n").unwrap();
}

/// Every node may do everything, but for what these rules say.
fn rules(node: &Node, rules: &str) {
    let all = "@name(\"all\")\npermit (principal, action, resource);\n";
    std::fs::write(node.dir.join("policy.toml"), format!("cedar = '''\n{all}{rules}'''\n")).unwrap();
}

fn change_rules(node: &Node, to: &str) {
    rules(node, to);
    node.run_well(&["policy", "--reload"]).unwrap();
}

const NOBODY_ANNOUNCES: &str = "@name(\"no networks\")\nforbid (principal, action == Action::\"route\", resource);\n";
const NO_TCP_BEYOND: &str = "@name(\"no tcp beyond\")\nforbid (principal, action == Action::\"flow\", resource)\n\
                             when { context has destination && context.protocol == \"tcp\" };\n";

/// Sends what is for other nodes over a router.
fn default_over(host: &Host, router: Ipv6Addr) {
    host.run_well(&["ip", "-6", "route", "replace", "default", "via", &router.to_string()]).unwrap();
}

#[test]
fn hosts_behind_nodes_reach_each_other_by_ipv6_and_by_ipv4_as_policies_permit() {
    let Some(lab) = rig::lab() else { return };
    let [a, b, c, d] = rig::hosts(&lab);
    let (between, far, near) = (lab.cable(&a, &b).unwrap(), lab.cable(&b, &c).unwrap(), lab.cable(&a, &d).unwrap());
    let prefixes = |segment: u8| [format!("fd77:0:0:{segment:x}::/64"), format!("10.77.{segment}.0/24")];
    let segment = |end: &prunella_bench::End| end.v4.octets()[2];
    let (beyond, here) = (prefixes(segment(&far.ends[0])), prefixes(segment(&near.ends[0])));
    let mut mesh = Mesh::prepare(&lab, &rig::plan(&[&a, &b]).over(0, 1, &between)).unwrap();
    configure(&mesh.nodes[0], &[&here[0], &here[1]]);
    configure(&mesh.nodes[1], &[&beyond[0], &beyond[1]]);
    rules(&mesh.nodes[0], NOBODY_ANNOUNCES);
    rules(&mesh.nodes[1], NO_TCP_BEYOND);
    mesh.start().unwrap();
    mesh.whole().unwrap();
    let (behind, server_at) = (far.ends[1].v6, |at: IpAddr| BulkServer::start(&c, SocketAddr::from((at, 0))).unwrap());
    default_over(&c, far.ends[0].v6);
    default_over(&d, near.ends[0].v6);
    c.route(&here[1], far.ends[0].v4.into()).unwrap();
    d.route(&beyond[1], near.ends[0].v4.into()).unwrap();

    // Denied unless a rule lets the other node announce it.
    let (one, other) = (mesh.nodes[0].peer.clone(), mesh.nodes[1].peer.clone());
    let reason = becomes(&mesh.nodes[0], &beyond[0], &other, "refused");
    assert!(reason.contains("no networks"), "{reason}");
    assert!(!is_routed(&a, &beyond[0]) && ping(&a, behind.into()).is_err());
    let warnings = mesh.nodes[1].json(&["tun"]).unwrap()["warnings"].to_string();
    assert!(
        warnings.contains("net.ipv6.conf.all.forwarding=1") && warnings.contains("net.ipv4.ip_forward=1"),
        "{warnings}"
    );
    a.be_router().unwrap();
    b.be_router().unwrap();
    assert_eq!(mesh.nodes[1].json(&["tun"]).unwrap()["warnings"].to_string(), "[]");

    // By what another policy permits: the node itself, its programs, and a host behind it.
    change_rules(&mesh.nodes[0], "");
    for prefix in &beyond {
        becomes(&mesh.nodes[0], prefix, &other, "used");
        assert!(is_routed(&a, prefix), "{prefix}");
    }
    becomes(&mesh.nodes[1], &here[1], &one, "used");
    for host in [&a, &d] {
        reaches(host, behind);
        reaches(host, far.ends[1].v4);
    }
    reaches(&c, mesh.nodes[0].address().unwrap());

    // The policy of the node before the network says what may go on from it.
    let servers = [behind.into(), far.ends[1].v4.into()].map(server_at);
    for server in &servers {
        until("a refusal", PATIENCE, || is_refused(&a, server.address())).unwrap();
    }
    let flows = mesh.nodes[1].json(&["tun"]).unwrap()["flows"].to_string();
    assert!(flows.contains(&behind.to_string()) && flows.contains("no tcp beyond"), "{flows}");
    change_rules(&mesh.nodes[1], "");
    for server in &servers {
        carries_bytes(&a, server.address());
        carries_bytes(&d, server.address());
    }

    // And it goes as it came.
    change_rules(&mesh.nodes[0], NOBODY_ANNOUNCES);
    becomes(&mesh.nodes[0], &beyond[0], &other, "refused");
    until("no route", PATIENCE, || if is_routed(&a, &beyond[0]) { Err("routed".to_owned()) } else { Ok(()) }).unwrap();
    assert!(ping(&a, behind.into()).is_err());
}

#[test]
fn of_two_nodes_before_a_network_the_other_takes_over_and_when_nobody_announces_it_it_is_gone() {
    let Some(lab) = rig::lab() else { return };
    let [a, left, right, c] = rig::hosts(&lab);
    let (to_left, to_right) = (lab.cable(&a, &left).unwrap(), lab.cable(&a, &right).unwrap());
    let lan = lab.switch(&[&left, &right, &c]).unwrap();
    let prefix = format!("fd77:0:0:{:x}::/64", lan.ends[0].v4.octets()[2]);
    let plan = rig::plan(&[&a, &left, &right]).over(0, 1, &to_left).over(0, 2, &to_right);
    let mut mesh = Mesh::prepare(&lab, &plan).unwrap();
    configure(&mesh.nodes[0], &["10.99.0.7/32"]);
    let over = to_left.ends[0].subnet();
    for (node, host, announced) in [(1, &left, &[&*over, &*prefix][..]), (2, &right, &[&*prefix])] {
        configure(&mesh.nodes[node], announced);
        host.be_router().unwrap();
    }
    mesh.start().unwrap();
    mesh.whole().unwrap();
    // Whoever has the lower id is sent it.
    let id = |node: usize| mesh.nodes[node].peer.parse::<PeerId>().unwrap();
    let (first, second) = if id(1) < id(2) { (1, 2) } else { (2, 1) };
    becomes(&mesh.nodes[0], &prefix, &mesh.nodes[first].peer, "used");
    becomes(&mesh.nodes[0], &prefix, &mesh.nodes[second].peer, "spare");
    // That over which they are neighbors is not: it is judged again when there are links.
    let reason = becomes(&mesh.nodes[0], &over, &mesh.nodes[1].peer, "refused");
    assert!(reason.contains("round in circles"), "{reason}");
    let behind = lan.ends[2].v6;
    // Answers take the other one, which is believed as well.
    default_over(&c, lan.ends[second - 1].v6);
    reaches(&a, behind);
    let server = EchoServer::start(&c, SocketAddr::from((behind, 0))).unwrap();
    let echo = Echo::start(&a, server.address(), Pace(Duration::from_millis(5))).unwrap();
    echo.goes_on(50).unwrap();

    // Nor does a connection end with the node that it goes over.
    mesh.nodes[first].kill();
    becomes(&mesh.nodes[0], &prefix, &mesh.nodes[second].peer, "used");
    assert!(is_routed(&a, &prefix));
    echo.goes_on(50).unwrap();
    let suffered = echo.finish().unwrap();
    assert!(suffered.gap < PATIENCE / 2, "{:?}", suffered.gap);

    // Back again, it announces nothing.
    mesh.nodes[second].stop().unwrap();
    let file = mesh.nodes[second].dir.join("config.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(&format!("{prefix:?}"), "")).unwrap();
    mesh.nodes[second].start(&[]).unwrap();
    mesh.nodes[second].answers().unwrap();
    until("nobody announces it", PATIENCE, || match told(&mesh.nodes[0], &prefix, &mesh.nodes[second].peer) {
        None if !is_routed(&a, &prefix) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .unwrap();
    assert!(ping(&a, behind.into()).is_err());
}

/// Other tests run beside these.
const PATIENCE: Duration = Duration::from_secs(60);
