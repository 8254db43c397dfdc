//! What the kernel sees of links: how long probes are away, what this host drops itself, what it sends anew.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use prunella::datapath::{AttachMode, Observed};
use prunella_core::Tag;

use crate::namespaces::{Family, inside, run};
use crate::scene::{Half, LEFT_LINK, RIGHT_LINK, Scene};

#[test]
fn a_probe_is_timed_without_the_time_that_its_echo_waits_for_the_process() {
    for family in [Family::V4, Family::V6] {
        let Some(mut scene) = Scene::new(family, Half::Kernel(AttachMode::Generic)) else { return };
        let busy = Duration::from_millis(300);
        scene.relay.begin(move |port| {
            port.send_probe(LEFT_LINK, &[], 0, 7);
            thread::sleep(busy);
        });
        scene.answer_a_probe();
        // A path's probe is no link's, and an echo of nothing is none.
        scene.port(|port| port.send_probe(LEFT_LINK, &[], 5, 8));
        scene.answer_a_probe();
        let echo = scene.echo(0, 99);
        scene.send(&echo);
        let seen = of(&scene, scene.left.local_addr().unwrap());
        assert_eq!(seen.echoes, 1, "{seen:?}");
        assert!(seen.rtt > Duration::ZERO && seen.rtt < busy / 2, "{seen:?}");
        assert_eq!(seen.rtt, seen.rtt_least);
    }
}

#[test]
fn what_this_host_drops_of_a_link_is_counted_for_the_neighbor_and_the_way() {
    for family in [Family::V4, Family::V6] {
        let Some(scene) = Scene::new(family, Half::Kernel(AttachMode::Generic)) else { return };
        let [left, right] = [&scene.left, &scene.right].map(|socket| socket.local_addr().unwrap());
        let before = of(&scene, right);
        assert_eq!((before.dropped_in, before.dropped_out), (0, 0), "{before:?}");
        // A queue that takes nothing.
        let tc = |what: &str| run("tc", &format!("-n {} qdisc {what} dev east root bfifo limit 1", scene.row.relay));
        assert!(tc("add"));
        for nonce in 0..5 {
            scene.port(move |port| port.send_probe(RIGHT_LINK, &[], 3, nonce));
        }
        assert_eq!(of(&scene, right).dropped_out, 5);
        // A process that does not read, until its socket is full.
        scene.relay.begin(|_| thread::sleep(Duration::from_millis(300)));
        for _ in 0..20_000 {
            scene.send(&[0x40; 1000]);
        }
        let seen = of(&scene, left);
        assert!(seen.dropped_in > 0 && seen.dropped_out == 0, "{seen:?}");
        assert_eq!(of(&scene, right).dropped_in, 0);
    }
}

#[test]
fn what_programs_send_anew_to_a_node_is_counted_for_that_node() {
    let Some(scene) = Scene::new(Family::V4, Half::Kernel(AttachMode::Generic)) else { return };
    let [here, there, elsewhere] = [Tag(0xaa).address(), Tag(0xbb).address(), "fd78::bb".parse().unwrap()];
    let (relay, left) = (&scene.row.relay, &scene.row.left);
    assert!(run("ip", &format!("-n {relay} address add {here}/64 dev west nodad")));
    assert!(run("ip", &format!("-n {relay} address add fd78::aa/64 dev west nodad")));
    for address in [there, elsewhere] {
        assert!(run("ip", &format!("-n {left} address add {address}/64 dev wire nodad")));
        let listener = inside(left, || TcpListener::bind((address, 7)).unwrap());
        let mut stream = inside(relay, || TcpStream::connect((address, 7)).unwrap());
        let _accepted = listener.accept().unwrap();
        assert!(run("ip", &format!("-n {left} address del {address}/64 dev wire")));
        stream.write_all(b"to nobody").unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while sent_anew(&stream, relay) == 0 {
            assert!(Instant::now() < until, "nothing is sent anew");
            thread::sleep(Duration::from_millis(20));
        }
    }
    let counted = scene.port(|port| port.sent_anew());
    assert!(matches!(counted[..], [(Tag(0xbb), 1..)]), "{counted:?}");
}

/// How often the kernel says itself that it has sent something anew on a connection.
fn sent_anew(stream: &TcpStream, namespace: &str) -> u32 {
    let port = stream.local_addr().unwrap().port();
    let told = inside(namespace, || std::fs::read_to_string("/proc/thread-self/net/tcp6").unwrap());
    let local = format!(":{port:04X}");
    let line =
        told.lines().find(|line| line.split_whitespace().nth(1).is_some_and(|local_end| local_end.ends_with(&local)));
    // sl, local, remote, state, queues, timer, retransmissions.
    line.and_then(|line| line.split_whitespace().nth(6)).and_then(|count| u32::from_str_radix(count, 16).ok()).unwrap()
}

fn of(scene: &Scene, neighbor: std::net::SocketAddr) -> Observed {
    let all = scene.port(|port| port.observed());
    all.into_iter().find(|one| one.neighbor == neighbor).unwrap_or_else(|| panic!("{neighbor} is observed"))
}
