//! Network namespaces with wires between them. They are gone when the value is dropped.

#![allow(dead_code, unreachable_pub, reason = "the tests and the benchmark each use a part of it")]

use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Three hosts in a row: `left`, `relay` and `right`. The relay's wires are called `west` and `east`; the others' ends `wire`.
pub struct Row {
    pub left: String,
    pub relay: String,
    pub right: String,
}

/// The addresses of the row: left, the relay's towards it, the relay's towards the right, right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    /// Where `left` is, and a second address of it that no link has.
    pub fn left(self) -> [&'static str; 2] {
        match self {
            Family::V4 => ["10.77.1.1", "10.77.1.9"],
            Family::V6 => ["fd77:1::1", "fd77:1::9"],
        }
    }

    /// Where the relay is: towards the left, towards the right.
    pub fn relay(self) -> [&'static str; 2] {
        match self {
            Family::V4 => ["10.77.1.2", "10.77.2.2"],
            Family::V6 => ["fd77:1::2", "fd77:2::2"],
        }
    }

    pub fn right(self) -> &'static str {
        match self {
            Family::V4 => "10.77.2.1",
            Family::V6 => "fd77:2::1",
        }
    }

    pub fn any(self) -> &'static str {
        match self {
            Family::V4 => "0.0.0.0",
            Family::V6 => "::",
        }
    }
}

/// An address with a port.
pub fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

impl Row {
    /// A row with both families of addresses; `None`, and a line that says so, where that cannot be had.
    pub fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: network namespaces and packet programs take root");
            return None;
        }
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = |host: &str| {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            format!("prunella-{host}-{}-{number}", std::process::id())
        };
        let row = Self { left: name("left"), relay: name("relay"), right: name("right") };
        if !runs(&format!("netns add {}", row.left)) {
            eprintln!("skipped: `ip netns add` fails; `apt-get install iproute2` and privileges are needed");
            return None;
        }
        ip(&format!("netns add {}", row.relay));
        ip(&format!("netns add {}", row.right));
        row.wire(&row.left, "west");
        row.wire(&row.right, "east");
        for (own, [first, second]) in [Family::V4, Family::V6].map(|family| (family.left(), family.relay())) {
            own.iter().for_each(|address| add(&row.left, "wire", address));
            add(&row.relay, "west", first);
            add(&row.relay, "east", second);
        }
        [Family::V4, Family::V6].iter().for_each(|family| add(&row.right, "wire", family.right()));
        inside(&row.relay, || {
            for family in ["ipv4", "ipv6"] {
                std::fs::write(format!("/proc/sys/net/{family}/conf/all/forwarding"), "1").unwrap();
            }
        });
        Some(row)
    }

    fn wire(&self, host: &str, end: &str) {
        ip(&format!("link add wire netns {host} type veth peer name {end} netns {}", self.relay));
        ip(&format!("-n {host} link set wire up"));
        ip(&format!("-n {} link set {end} up", self.relay));
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        for host in [&self.left, &self.relay, &self.right] {
            let _ = runs(&format!("netns del {host}"));
        }
    }
}

/// Runs something on a thread in a namespace. Sockets that it opens stay there.
pub fn inside<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            enter(namespace);
            work()
        });
        thread.join().unwrap()
    })
}

/// Moves the calling thread into a namespace.
pub fn enter(namespace: &str) {
    let file = File::open(format!("/run/netns/{namespace}")).unwrap();
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
}

/// A UDP socket in a namespace.
pub fn socket(namespace: &str, address: SocketAddr) -> UdpSocket {
    inside(namespace, || UdpSocket::bind(address).unwrap())
}

/// What `ip` says.
pub fn told(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn add(namespace: &str, wire: &str, address: &str) {
    let (length, flags) = if address.contains(':') { (64, "nodad") } else { (24, "") };
    ip(&format!("-n {namespace} address add {address}/{length} dev {wire} {flags}"));
}

fn ip(arguments: &str) {
    assert!(runs(arguments), "ip {arguments}");
}

fn runs(arguments: &str) -> bool {
    run("ip", arguments)
}

/// Whether a command has done what it was told.
pub fn run(command: &str, arguments: &str) -> bool {
    Command::new(command).args(arguments.split_whitespace()).status().is_ok_and(|status| status.success())
}
