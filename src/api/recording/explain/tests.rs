//! Recordings of a monitor that raises and clears incidents.

use std::path::PathBuf;

use prunella_core::monitor::{self, Config, Monitor, RTT_LIMIT};
use prunella_core::recording::{MonitorStart, Recorded};
use prunella_core::{Instant, PeerId};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::actors::recorder::{Recorder, RecorderSetup};
use crate::api::ErrorKind;

/// A run in which two actors fail, one second apart, and one of them comes back; the first incident has this number.
fn recorded(home: &TempDir, run_unix_ms: u64, next_id: u64) -> PathBuf {
    let (dir, node) = (home.path().to_path_buf(), PeerId::from_public_key([1; 32]));
    let recorder = Recorder::start(RecorderSetup { dir, node, run_unix_ms, file_bytes: 1 << 20 }).unwrap();
    let config = Config { me: node, neighbors_target: 0, rtt_limit: RTT_LIMIT };
    let start = MonitorStart { config, next_id, open: Vec::new(), now: Instant::BOOT };
    let mut monitor = Monitor::made_of(start.clone());
    let mut tape = recorder.begin("monitor", &start, &mut monitor, Instant::BOOT);
    let failed =
        |actor: &str| monitor::Input::ActorFailed { actor: actor.to_owned(), reason: "it panicked".to_owned() };
    let samples = (0..9).map(|n| (100 * n, monitor::Input::StoreWrote { took: Duration::from_millis(1) }));
    let heard = [(1000, failed("gossip")), (2000, failed("planner"))];
    let back = (2500, monitor::Input::ActorRestarted { actor: "gossip".to_owned() });
    for (ms, input) in samples.chain(heard).chain([back]) {
        tape.record(&mut monitor, Some(input), Instant::from_millis(ms), &mut Vec::new());
    }
    for ms in (3000..120_000).step_by(500) {
        tape.record(&mut monitor, None, Instant::from_millis(ms), &mut Vec::new());
    }
    recorder.finish();
    recorder.dir().to_path_buf()
}

const OPTIONS: ExplainOptions = ExplainOptions { role: None, around: Duration::from_millis(500), most: 100 };

#[test]
fn an_incident_is_told_from_what_raised_it_to_what_cleared_it() {
    let home = tempfile::tempdir().unwrap();
    recorded(&home, 1000, 1);
    recorded(&home, 2000, 3);
    // Those of the run before have their place in its own recording.
    for (id, run) in [(3, 2000), (1, 1000)] {
        let told = explain(home.path(), &About::Incident(id), OPTIONS).unwrap();
        assert_eq!(told.run_unix_ms, run);
        let incident = told.incident.unwrap();
        assert_eq!((incident.id, incident.opened_ns), (id, 1_000_000_000));
        assert_eq!(incident.raised["kind"], json!({"ActorFailed": {"actor": "gossip"}}));
        assert!(incident.cleared_ns.is_some(), "{incident:?}");
        let first = &told.scenes[0];
        assert_eq!(first.heard, Some(json!({"ActorFailed": {"actor": "gossip", "reason": "it panicked"}})));
        assert_eq!(first.effects[0]["Raise"]["id"], id);
        let last = told.scenes.last().unwrap();
        assert_eq!(last.effects[0], json!({"Clear": {"incident": id}}));
        assert!(
            !told
                .scenes
                .iter()
                .any(|scene| scene.heard.as_ref().is_some_and(|heard| heard["ActorFailed"]["actor"] == "planner"))
        );
    }
    let none = explain(home.path(), &About::Incident(7), OPTIONS).unwrap_err();
    assert_eq!(none.kind(), ErrorKind::InvalidInput);
    assert!(
        none.to_string().contains("#7 does not begin in this recording; of those that do, the last: #4 #3 #2 #1"),
        "{none}"
    );
}

#[test]
fn what_had_no_effect_is_told_once_before_what_had() {
    let home = tempfile::tempdir().unwrap();
    let run = recorded(&home, 1000, 1);
    let about = About::Actor("monitor".to_owned());
    let told = explain(&run, &about, OPTIONS).unwrap();
    let [_, wrote, raised, ..] = &told.scenes[..] else { panic!("{told:?}") };
    // Upon the first of the nine it asks to be told everything.
    assert_eq!((wrote.at_ns, wrote.like_it, wrote.effects.len()), (800_000_000, 7, 0));
    assert_eq!((raised.at_ns, raised.like_it), (1_000_000_000, 0));
    let newest = explain(&run, &about, ExplainOptions { most: 2, ..OPTIONS }).unwrap();
    assert_eq!(newest.scenes, told.scenes[told.scenes.len() - 2..]);
    assert_eq!(newest.left_out, told.scenes.len() as u64 - 2);
}

#[test]
fn what_is_no_peer_id_and_what_is_no_recording_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let run = recorded(&home, 1000, 1);
    for text in ["n1", "peer/abcdef", ""] {
        assert!(explain(&run, &About::Node(text.to_owned()), OPTIONS).is_err(), "{text}");
    }
    assert_eq!(explain(&run, &About::Node("abcdef".to_owned()), OPTIONS).unwrap().scenes, []);
    let empty = tempfile::tempdir().unwrap();
    assert!(explain(empty.path(), &About::Incident(1), OPTIONS).unwrap_err().to_string().contains("journal.inputs"));
    let cut = run.join("monitor.000000.inputs");
    let bytes = std::fs::read(&cut).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let told = explain(&run, &About::Incident(1), OPTIONS).unwrap();
    assert!(told.incident.unwrap().opened_ns == 1_000_000_000 && told.notes.is_empty());
}
