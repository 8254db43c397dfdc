//! That the comparison measures what it says, and leaves nothing behind, not even when it is interrupted.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up is a failed one")]

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use prunella_bench::{Lab, until};
use rustix::process::{Pid, Signal, kill_process};

/// Whether it can run here; says so if it cannot.
fn is_possible() -> bool {
    let why = match Lab::new() {
        Err(error) => error.to_string(),
        Ok(_) if Command::new("iperf3").arg("--version").output().is_err() => "there is no `iperf3`".to_owned(),
        Ok(_) => return true,
    };
    let line = format!("\nskipped: {}: {why}\n", std::thread::current().name().unwrap_or("a test"));
    let _ = std::io::stderr().write_all(line.as_bytes());
    false
}

fn compare(more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prunella-bench"));
    // Prunella itself takes no part: its program need not be built.
    command.args(["compare", "--quick", "--only", "bare,prunella-session", "--prunella", "/nowhere"]).args(more);
    command
}

/// The namespaces that the labs of a process have.
fn namespaces(pid: u32) -> usize {
    let listed = Command::new("ip").args(["netns", "list"]).output().unwrap();
    let prefix = format!("prunella-lab{pid}x");
    String::from_utf8(listed.stdout).unwrap().lines().filter(|line| line.starts_with(&prefix)).count()
}

#[test]
fn a_quick_comparison_tells_its_figures_in_three_forms() {
    if !is_possible() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (json, svg) = (dir.path().join("c.json"), dir.path().join("c.svg"));
    let files = ["--json", json.to_str().unwrap(), "--svg", svg.to_str().unwrap()];
    let told = compare(&files).output().unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    assert!(text.contains("throughput, 8 TCP flows, two hops"), "{text}");
    assert!(text.contains("prunella-session   skipped: there is no /nowhere"), "{text}");
    let document: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(document["failures"], serde_json::json!([]), "{document}");
    let samples = document["samples"].as_array().unwrap();
    let of = |shape: &str, measure: &str| {
        let found = samples.iter().find(|sample| sample["shape"] == shape && sample["measure"] == measure);
        found.and_then(|sample| sample["value"].as_f64()).unwrap_or_else(|| panic!("no {measure} on {shape}"))
    };
    for shape in ["one hop", "two hops"] {
        // A copy in memory carries more than 100 Mbit/s on whatever this runs, and takes less than a second.
        assert!(of(shape, "throughput_1") > 0.1 && of(shape, "throughput_8") > 0.1);
        assert!((1.0..1e6).contains(&of(shape, "ping_rest_p50")) && of(shape, "ping_load_p99") < 1e6);
        assert!(of(shape, "request_rest_p50") <= of(shape, "request_rest_p99"));
        assert!(of(shape, "machine_s_per_gb_1") > 0.0);
    }
    assert!(std::fs::read_to_string(svg).unwrap().contains("<rect class=\"other\""));
}

#[test]
fn an_interrupt_ends_a_comparison_and_leaves_nothing_behind() {
    if !is_possible() {
        return;
    }
    let mut child = compare(&[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid = child.id();
    // In the midst of it: two hosts, and a server.
    until("two hosts", Duration::from_secs(20), || match namespaces(pid) {
        count if count >= 2 => Ok(()),
        count => Err(count.to_string()),
    })
    .unwrap();
    // Not waited for yet, so that the id cannot be anybody else's.
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let status =
        until("the end", Duration::from_secs(20), || child.try_wait().unwrap().ok_or_else(String::new)).unwrap();
    assert!(!status.success());
    assert_eq!(namespaces(pid), 0);
}
