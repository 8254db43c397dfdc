//! The overlay interface: whatever speaks IPv6 reaches other nodes.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use prunella_bench::traffic::{BulkServer, Echo, EchoServer, Pace, pull, push};
use prunella_bench::{Host, Lab, Mesh, Plan, until};

use super::rig::{self, hosts};

/// Three nodes with interfaces, in a line; the far cable takes packets of so many bytes.
fn line(lab: &Lab, mtu: u16) -> Mesh {
    let [a, relay, b] = hosts(lab);
    let (near, far) = (lab.cable(&a, &relay).unwrap(), lab.cable(&relay, &b).unwrap());
    far.set_mtu(mtu).unwrap();
    found(lab, rig::plan(&[&a, &relay, &b]).over(0, 1, &near).over(1, 2, &far))
}

fn found(lab: &Lab, plan: Plan) -> Mesh {
    Mesh::found(lab, &plan.up(&["--tun"])).unwrap()
}

/// The address of a node's interface, once it answers to another node.
fn reached(mesh: &Mesh, from: usize, to: usize) -> Ipv6Addr {
    let address = mesh.nodes[to].address().unwrap();
    until("an answer through the interface", Duration::from_secs(20), || match ping(mesh, from, address, &[]) {
        (true, _) => Ok(()),
        (false, told) => Err(told),
    })
    .unwrap();
    address
}

/// Pings once.
fn ping(mesh: &Mesh, from: usize, to: Ipv6Addr, more: &[&str]) -> (bool, String) {
    let to = to.to_string();
    let words = [&["ping", "-c", "1", "-W", "2"], more, &[&to]].concat();
    let told = mesh.nodes[from].host.run(&words, Duration::from_secs(10)).unwrap();
    (told.ok, format!("{} {}", told.stdout, told.stderr))
}

fn bulk_server(host: &Host, at: Ipv6Addr) -> BulkServer {
    BulkServer::start(host, SocketAddr::from((at, 0))).unwrap()
}

#[test]
fn nodes_are_pinged_over_one_hop_and_over_two() {
    let Some(lab) = rig::lab() else { return };
    let mesh = line(&lab, 1500);
    for (from, to) in [(0, 1), (0, 2), (2, 0), (1, 2)] {
        let address = reached(&mesh, from, to);
        let host = &mesh.nodes[from].host;
        let words = ["ping", "-q", "-c", "50", "-i", "0.01", &address.to_string()];
        let told = host.run_well(&words).unwrap();
        assert!(told.contains(" 50 received"), "{told}");
    }
    // To a node that there is not, and to this node itself.
    let nobody: Ipv6Addr = "fd70:7275:6e65::1".parse().unwrap();
    assert!(!ping(&mesh, 0, nobody, &["-W", "0.3"]).0);
    assert!(ping(&mesh, 0, mesh.nodes[0].address().unwrap(), &[]).0);
}

#[test]
fn packets_are_carried_by_threads_of_their_own_at_the_ends_and_at_the_relay() {
    let Some(lab) = rig::lab() else { return };
    let mesh = line(&lab, 1500);
    let server = bulk_server(&mesh.nodes[2].host, reached(&mesh, 0, 2));
    let ran = || mesh.nodes.iter().map(|node| time_on_packets(node.pid().unwrap())).collect::<Vec<_>>();
    let before = ran();
    push(&mesh.nodes[0].host, server.address(), 50_000_000).unwrap();
    // Less than a tenth of what carrying them takes, and far more than saying where they go.
    let least = Duration::from_millis(5);
    for (before, after) in before.into_iter().zip(ran()) {
        assert!(after > before + least, "{before:?}, {after:?}");
    }
}

/// How long the threads of a process ran that carry packets.
fn time_on_packets(pid: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|task| task.unwrap().path());
    let carry =
        tasks.filter(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("datapath-")));
    let ran = |task: std::path::PathBuf| {
        let told = std::fs::read_to_string(task.join("schedstat")).unwrap();
        Duration::from_nanos(told.split(' ').next().unwrap().parse().unwrap())
    };
    carry.map(ran).sum()
}

#[test]
fn tcp_carries_every_byte_unchanged_over_one_hop_and_over_two() {
    let Some(lab) = rig::lab() else { return };
    let mesh = line(&lab, 1500);
    for to in [1, 2] {
        let server = bulk_server(&mesh.nodes[to].host, reached(&mesh, 0, to));
        for transfer in [push, pull] {
            transfer(&mesh.nodes[0].host, server.address(), 8_000_000).unwrap();
        }
    }
}

#[test]
fn several_tcp_connections_both_ways_share_an_interface() {
    let Some(lab) = rig::lab() else { return };
    let mesh = line(&lab, 1500);
    let server = bulk_server(&mesh.nodes[2].host, reached(&mesh, 0, 2));
    std::thread::scope(|scope| {
        for transfer in [push, pull, push, pull] {
            let (host, address) = (&mesh.nodes[0].host, server.address());
            scope.spawn(move || transfer(host, address, 3_000_000).unwrap());
        }
    });
}

#[test]
fn a_relay_whose_far_cable_takes_less_is_no_black_hole_for_an_interface() {
    let Some(lab) = rig::lab() else { return };
    let mesh = line(&lab, 1350);
    let address = reached(&mesh, 0, 2);
    let server = bulk_server(&mesh.nodes[2].host, address);
    for transfer in [push, pull] {
        transfer(&mesh.nodes[0].host, server.address(), 4_000_000).unwrap();
    }
    // As the interface says, 1380 bytes less 48 of headers: fragments, once the sender was told.
    until("a large ping", Duration::from_secs(10), || match ping(&mesh, 0, address, &["-s", "1332"]) {
        (true, _) => Ok(()),
        (false, told) => Err(told),
    })
    .unwrap();
}

#[test]
fn a_stream_over_an_interface_bears_that_the_relay_in_use_goes_dark() {
    let Some(lab) = rig::lab() else { return };
    let (plan, ways) = super::failover::diamond(&lab);
    let mesh = found(&lab, plan);
    let address = reached(&mesh, 0, 3);
    let server = EchoServer::start(&mesh.nodes[3].host, SocketAddr::from((address, 0))).unwrap();
    let echo = Echo::start(&mesh.nodes[0].host, server.address(), Pace(Duration::from_millis(5))).unwrap();
    let used = mesh.paths(0, 3, 2).unwrap();
    echo.goes_on(100).unwrap();
    ways[(used[1] - 1) * 2].cut().unwrap();
    echo.goes_on(200).unwrap();
    let suffered = echo.finish().unwrap();
    assert!(suffered.gap < Duration::from_secs(2), "{:?} over {used:?}", suffered.gap);
    assert_ne!(mesh.paths(0, 3, 1).unwrap()[1], used[1]);
}

#[test]
fn a_stream_over_an_interface_bears_that_the_address_below_it_changes() {
    let Some(lab) = rig::lab() else { return };
    let [a, b] = hosts(&lab);
    let mut switch = lab.switch(&[&a, &b]).unwrap();
    let mesh = found(&lab, rig::plan(&[&a, &b]).link(0, 1, [&switch.ends[0], &switch.ends[1]]));
    let server = EchoServer::start(&b, SocketAddr::from((reached(&mesh, 0, 1), 0))).unwrap();
    let echo = Echo::start(&a, server.address(), Pace(Duration::from_millis(5))).unwrap();
    echo.goes_on(50).unwrap();
    switch.ends[0].move_to(101).unwrap();
    echo.goes_on(200).unwrap();
    let suffered = echo.finish().unwrap();
    assert!(suffered.gap < Duration::from_secs(15), "{:?}", suffered.gap);
}

#[test]
fn an_interface_goes_with_its_node() {
    let Some(lab) = rig::lab() else { return };
    let [a, b] = hosts(&lab);
    let cable = lab.cable(&a, &b).unwrap();
    let mut mesh = found(&lab, rig::plan(&[&a, &b]).over(0, 1, &cable));
    let shown = a.run_well(&["ip", "-6", "addr", "show", "dev", "prunella0"]).unwrap();
    let address = mesh.nodes[0].address().unwrap();
    assert!(shown.contains(&address.to_string()) && shown.contains("mtu 1380"), "{shown}");
    mesh.nodes[0].stop().unwrap();
    assert!(!a.run(&["ip", "link", "show", "dev", "prunella0"], Duration::from_secs(5)).unwrap().ok);
    mesh.nodes[1].kill();
    until("no interface", Duration::from_secs(5), || {
        match b.run(&["ip", "link", "show", "dev", "prunella0"], Duration::from_secs(5)) {
            Ok(told) if !told.ok => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .unwrap();
}

#[test]
fn a_node_is_found_by_its_name_and_what_it_exposes_is_open_at_its_address() {
    let Some(lab) = rig::lab() else { return };
    let mesh = line(&lab, 1500);
    let (user, far) = (&mesh.nodes[0], &mesh.nodes[2]);
    let address = reached(&mesh, 0, 2);
    let own = user.address().unwrap();
    until("the name of n2", Duration::from_secs(10), || match user.host.inside(|| ask(own, "n2")).unwrap() {
        Some(found) if found == address => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .unwrap();
    assert_eq!(user.host.inside(|| ask(own, "n9")).unwrap(), None);

    // A server of the loopback address alone: the node carries what comes for its port.
    let server = BulkServer::start(&far.host, SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    far.expose("bulk", server.address()).unwrap();
    let open = SocketAddr::from((address, server.address().port()));
    until("the service at the overlay address", Duration::from_secs(10), || {
        push(&user.host, open, 1_000_000).map_err(|error| error.to_string())
    })
    .unwrap();
}

/// Asks the responder at `server` for the address of `NAME.mesh`, by DNS (RFC 1035) and its type AAAA (RFC 3596).
fn ask(server: Ipv6Addr, name: &str) -> Option<Ipv6Addr> {
    let socket = std::net::UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let label = |label: &str| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat();
    // An id, recursion wanted, one question; its name, its type, and the class Internet.
    let head = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let question = [&head[..], &label(name), &label("mesh"), &[0, 0, 28, 0, 1]].concat();
    socket.send_to(&question, (server, 53)).unwrap();
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).ok()?;
    assert_eq!(buffer[..2], head[..2]);
    // One answer: its address stands at the end.
    let answers = u16::from_be_bytes([buffer[6], buffer[7]]);
    let address: [u8; 16] = buffer[..length].last_chunk().copied()?;
    (answers == 1).then(|| Ipv6Addr::from(address))
}
