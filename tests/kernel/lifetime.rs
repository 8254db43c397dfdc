//! The program goes with the process, however that ends; and where there is none, the port works.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use prunella::datapath::{AttachMode, KernelError};

use crate::ends::End;
use crate::namespaces::{Family, Row, at, told};
use crate::relay::Relay;

const CHILD: &str = "PRUNELLA_KERNEL_CHILD";

#[test]
fn the_program_is_detached_when_the_port_is_dropped() {
    let Some(row) = Row::new() else { return };
    let _end = End::open(&row.left, "wire");
    let relay = Relay::start(&row.relay, at(Family::V4.any(), 4600));
    let attached = relay.attach(&["west", "nothing0", "east"]).unwrap();
    // The other end of the second one takes nothing from a driver.
    let modes = [("west", AttachMode::Native), ("east", AttachMode::Generic)];
    assert_eq!(attached.interfaces, modes.map(|(name, mode)| (name.to_owned(), mode)));
    assert_eq!(attached.shortcomings, ["nothing0: there is no such interface"]);
    assert_eq!(relay.attach(&["west"]), Err(KernelError::AttachedAlready));
    assert!(is_attached(&row));
    drop(relay);
    assert!(detached_soon(&row), "{}", told(&format!("-n {} -d link show", row.relay)));
}

#[test]
fn the_program_is_detached_when_the_process_is_killed() {
    let Some(row) = Row::new() else { return };
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "lifetime::a_child_holds_the_program", "--nocapture", "--test-threads=1"])
        .env(CHILD, &row.relay)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("attached")), "the child attaches the program");
    assert!(is_attached(&row));
    // SIGKILL: nothing of the process runs any more.
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(detached_soon(&row), "{}", told(&format!("-n {} -d link show", row.relay)));
}

/// Not a test by itself: what the test above kills.
#[test]
fn a_child_holds_the_program() {
    let Ok(namespace) = env::var(CHILD) else { return };
    let relay = Relay::start(&namespace, at(Family::V4.any(), 4600));
    relay.attach(&["west", "east"]).unwrap();
    writeln!(std::io::stdout(), "attached").unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_port_without_an_interface_goes_on_in_user_space() {
    let Some(row) = Row::new() else { return };
    let relay = Relay::start(&row.relay, at(Family::V4.any(), 4600));
    let refused = relay.attach(&["nothing0"]).unwrap_err();
    assert_eq!(refused, KernelError::NoInterface("nothing0: there is no such interface".to_owned()));
    assert_eq!(relay.with(|port| port.counters().forwarded), 0);
    assert!(relay.attach(&["west"]).is_ok(), "and may try again");
}

#[test]
fn an_interface_that_does_not_forward_is_told_of() {
    let Some(row) = Row::new() else { return };
    crate::namespaces::inside(&row.relay, || {
        std::fs::write("/proc/sys/net/ipv4/conf/west/forwarding", "0").unwrap();
    });
    let relay = Relay::start(&row.relay, at(Family::V4.any(), 4600));
    let attached = relay.attach(&["west"]).unwrap();
    let expected = "west: net.ipv4.conf.west.forwarding is 0, so its frames go through user space";
    assert_eq!(attached.shortcomings, [expected]);
}

fn is_attached(row: &Row) -> bool {
    told(&format!("-n {} -d link show", row.relay)).contains("prog/xdp")
}

fn detached_soon(row: &Row) -> bool {
    let until = Instant::now() + Duration::from_secs(5);
    while is_attached(row) {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}
