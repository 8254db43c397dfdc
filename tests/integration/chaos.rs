//! `prunella chaos` on whole nodes: only with consent, with the effect that was asked for, and never for ever.

use std::time::Duration;

use prunella::api::chaos::{InForce, Order};
use prunella::api::vocabulary::ActorDetail;
use prunella::{ErrorKind, Request, Response};

use super::echo::{Echo, echo_server};
use super::mesh::{Mesh, Node, PATIENCE, Plan, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_broken_without_consent() {
    let config = "[chaos]\nallow = false\n".parse().unwrap();
    let mesh = Mesh::found(Plan { config, ..Plan::alone() }).await;
    for order in [
        "link n1 --drop 100%",
        "actor gossip --how stall",
        "cpu-hog",
        "clock --offset 60",
        "disk --slow 100ms",
        "certificate",
        "status",
        "clear",
    ] {
        let words: Vec<&str> = std::iter::once("chaos").chain(order.split(' ')).collect();
        mesh.nodes[0].run(&words).await.fails(3, &["does not consent", "[chaos]"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_ends_by_itself_and_the_status_says_when() {
    let mesh = Mesh::found(Plan::pair()).await;
    let node = &mesh.nodes[0];
    node.run(&["chaos", "link", "n1", "--drop", "100%", "--for", "3s"]).await.ok();
    let told = in_force(node).await;
    let subjects: Vec<&str> = told.iter().map(|fault| fault.subject.as_str()).collect();
    assert_eq!(subjects, ["link n1 received", "link n1 sent"]);
    assert!(told.iter().all(|fault| fault.left_ms <= 3000 && fault.does == "loses 100 %"), "{told:?}");
    assert!(node.run(&["chaos", "status"]).await.ok().contains("loses 100 %"));
    until("something lost", PATIENCE, async || {
        let lost = node.status().await?.counters["datagrams_lost_on_purpose"];
        if lost > 0 { Ok(()) } else { Err("nothing yet".to_owned()) }
    })
    .await;
    until("no fault in force", PATIENCE, async || match in_force(node).await.len() {
        0 => Ok(()),
        left => Err(format!("{left} left")),
    })
    .await;
    mesh.whole().await;
    assert_eq!(node.run(&["chaos", "status"]).await.ok(), "no fault is in force\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_that_would_last_too_long_or_do_nothing_is_refused() {
    let mesh = Mesh::found(Plan::pair()).await;
    let node = &mesh.nodes[0];
    node.run(&["chaos", "link", "n1", "--drop", "100%", "--for", "2h"]).await.fails(2, &["3600 s"]);
    node.run(&["chaos", "link", "n0", "--drop", "100%"]).await.fails(1, &["not a neighbor"]);
    node.run(&["chaos", "actor", "peers", "--how", "stall"]).await.fails(2, &["no actor named peers"]);
    node.run(&["stall", "peers"]).await.fails(2, &["no actor named peers"]);
    node.run(&["chaos", "actor", "nobody", "--how", "slow"]).await.fails(2, &["no actor named nobody"]);
    assert_eq!(in_force(node).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_actor_handles_nothing_until_it_is_let_go_or_restarted() {
    let mesh = Mesh::found(Plan::pair()).await;
    let node = &mesh.nodes[0];
    let echo = carry(&mesh).await;
    for ending in ["clear", "kill"] {
        node.run(&["stall", "pathfinder", "--for", "60s"]).await.ok();
        until("messages waiting for the stalled actor", PATIENCE, async || {
            let waiting = node.actor("pathfinder").await?.mailbox;
            if waiting > 2 { Ok(()) } else { Err(format!("{waiting} waiting")) }
        })
        .await;
        let stuck = node.actor("pathfinder").await.unwrap();
        let later = node.actor("pathfinder").await.unwrap();
        assert_eq!(later.handled, stuck.handled);
        match ending {
            "clear" => node.run(&["chaos", "clear"]).await.ok(),
            _ => node.run(&["kill", "pathfinder"]).await.ok(),
        };
        until(&format!("it goes on after {ending}"), PATIENCE, async || {
            let actor = node.actor("pathfinder").await?;
            if actor.handled > stuck.handled + 2 && actor.mailbox < 3 { Ok(()) } else { Err(format!("{actor:?}")) }
        })
        .await;
        echo.goes_on().await;
    }
    echo.finish().await;
}

/// How an operator finds a stuck actor; docs/operations.md shows the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_actor_is_sent_and_what_it_knows_is_seen_and_a_stuck_one_is_seen_to_be_stuck() {
    let mesh = Mesh::found(Plan::pair()).await;
    let node = &mesh.nodes[0];
    let told = node.run(&["actor", "gossip", "--state"]).await.ok();
    for part in ["gossip  running  for", "LinkReported", "SHARE", "Gossip {", "Held"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let detail = detail(node, "gossip").await;
    let counted: u64 = detail.kinds.iter().map(|kind| kind.count).sum();
    assert!(counted >= detail.info.handled && detail.info.took_p99_us >= detail.took_p50_us, "{detail:?}");
    assert!(!detail.last.is_empty() && detail.knows.contains(&mesh.nodes[1].peer[..8]), "{detail:?}");
    node.run(&["actor", "nobody"]).await.fails(2, &["no actor is named nobody"]);

    // The clock comes every second. Who looks on is written down: it shows what others have said.
    let traced = node.run(&["trace", "--actor", "gossip", "--kind", "clock", "--max", "1"]).await.ok();
    assert!(traced.contains("Clock { unix_ms: ") && traced.contains("1 message within"), "{traced}");
    let ledger = node.run(&["ledger", "export"]).await.ok();
    assert!(ledger.contains("trace gossip"), "{ledger}");
    node.run(&["trace", "--actor", "nobody"]).await.fails(2, &["no actor is named nobody"]);
    assert_eq!(node.run(&["trace", "n1", "--kind", "clock"]).await.code, 2);

    // The monitor is the one that has stuck actors restarted: nobody restarts it but people.
    node.run(&["chaos", "actor", "monitor", "--how", "stall", "--for", "60s"]).await.ok();
    until("messages to wait", PATIENCE, async || {
        let waiting = node.actor("monitor").await?.mailbox;
        if waiting > 2 { Ok(()) } else { Err(format!("{waiting} waiting")) }
    })
    .await;
    let stuck = self::detail(node, "monitor").await;
    assert!(stuck.knows.is_empty() && stuck.info.mailbox > 2 && !stuck.kinds.is_empty(), "{stuck:?}");
    let traced = node.run(&["trace", "--actor", "monitor", "--seconds", "1"]).await.ok();
    assert!(traced.starts_with("0 messages within 1."), "{traced}");
    node.run(&["kill", "monitor"]).await.ok();
    until("it to have begun anew", PATIENCE, async || {
        let again = self::detail(node, "monitor").await;
        let is_new = again.failures.len() == 1 && !again.knows.is_empty() && again.info.age_ms < stuck.info.age_ms;
        if is_new { Ok(()) } else { Err(format!("{again:?}")) }
    })
    .await;
}

async fn detail(node: &Node, name: &str) -> ActorDetail {
    match node.ask(&Request::Actor { name: name.to_owned(), briefly: false }).await.unwrap() {
        Response::Actor(detail) => *detail,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_actor_still_answers_and_is_fast_again_in_the_end() {
    let mesh = Mesh::found(Plan::pair()).await;
    let node = &mesh.nodes[0];
    node.run(&["chaos", "actor", "pathfinder", "--how", "slow", "--each", "300ms", "--for", "4s"]).await.ok();
    let asked = tokio::time::Instant::now();
    let answer = node.ask(&Request::Paths { destination: "n1".to_owned(), why: false }).await;
    assert!(asked.elapsed() >= Duration::from_millis(300), "{answer:?} after {:?}", asked.elapsed());
    until("it is fast again", PATIENCE, async || {
        let asked = tokio::time::Instant::now();
        node.paths("n1").await?;
        let took = asked.elapsed();
        if took < Duration::from_millis(150) && in_force(node).await.is_empty() {
            Ok(())
        } else {
            Err(format!("{took:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_a_slow_disk_and_busy_processors_cost_no_traffic() {
    let mesh = Mesh::found(Plan::pair()).await;
    let node = &mesh.nodes[0];
    let echo = carry(&mesh).await;
    node.run(&["chaos", "clock", "--offset", "120", "--for", "2s"]).await.ok();
    node.run(&["chaos", "disk", "--slow", "50ms", "--for", "2s"]).await.ok();
    node.run(&["chaos", "cpu-hog", "--threads", "2", "--for", "1s"]).await.ok();
    assert_eq!(in_force(node).await.len(), 3);
    node.run(&["shared", "set", "color", "red"]).await.ok();
    echo.goes_on().await;
    node.run(&["chaos", "clear"]).await.ok();
    assert_eq!(in_force(node).await, []);
    echo.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_renewed_when_it_is_made_due() {
    let mesh = Mesh::found(Plan::pair()).await;
    // The one that cannot issue certificates has to ask.
    let node = &mesh.nodes[1];
    let before = node.status().await.unwrap().certificate_expires_unix;
    until("a certificate that expires later", PATIENCE, async || {
        node.run(&["chaos", "certificate"]).await.ok();
        let now = node.status().await?.certificate_expires_unix;
        if now > before { Ok(()) } else { Err(format!("{now}")) }
    })
    .await;
    mesh.whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_fails_the_one_writer_and_what_was_written_before_is_there_afterwards() {
    let mut mesh = Mesh::found(Plan::pair()).await;
    let node = &mesh.nodes[0];
    node.run(&["shared", "set", "color", "red"]).await.ok();
    node.all_kept().await;
    node.run(&["chaos", "disk", "--full", "--for", "1h"]).await.ok();
    // The node writes by itself as well, and may have given up by now.
    let _ = node.run(&["shared", "set", "shape", "round"]).await;
    until("the writer failed, or the node gave up", PATIENCE, async || {
        let Ok(knowledge) = node.actor("knowledge").await else { return Ok(()) };
        let failure = knowledge.last_failure.unwrap_or_default();
        if failure.contains("on purpose") { Ok(()) } else { Err(format!("{failure:?}")) }
    })
    .await;
    mesh.nodes[0].kill();
    mesh.nodes[0].start().await;
    mesh.whole().await;
    assert_eq!(mesh.nodes[0].run(&["shared", "get", "color"]).await.ok(), "red\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_full_disk_does_not_take_is_told_to_be_in_memory_only_and_kept_later() {
    let mut mesh = Mesh::found(Plan::pair()).await;
    let node = &mesh.nodes[0];
    let echo = carry(&mesh).await;
    node.all_kept().await;
    let (pid, restarts) = (node.pid(), node.actor("gossip").await.unwrap().restarts);
    node.run(&["chaos", "disk", "--full", "--for", "60s"]).await.ok();
    let told = ["in memory only", "on purpose", "once the store can be written again"];
    node.run(&["shared", "set", "shape", "round"]).await.fails(1, &told);
    node.run(&["chaos", "clear"]).await.ok();
    // What was not kept is kept as soon as there is room, in its order, and so is what comes next.
    node.run(&["shared", "set", "size", "large"]).await.ok();
    until("the incident over", PATIENCE, async || {
        let incidents = node.incidents().await?;
        let failing = incidents.iter().find(|incident| incident.kind == "store-failing");
        failing.filter(|incident| incident.lasted_ms.is_some()).map(drop).ok_or_else(|| format!("{incidents:?}"))
    })
    .await;
    assert_eq!(node.pid(), pid);
    assert_eq!(node.actor("gossip").await.unwrap().restarts, restarts, "nothing had to be restarted");
    echo.finish().await;
    mesh.nodes.iter_mut().for_each(Node::kill);
    let node = &mut mesh.nodes[0];
    node.start().await;
    assert_eq!(node.run(&["shared", "get", "shape"]).await.ok(), "round\n");
    assert_eq!(node.run(&["shared", "get", "size"]).await.ok(), "large\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_stopped_is_rebuilt_by_a_plan_and_forgets_nothing() {
    let mut mesh = Mesh::found(Plan::pair()).await;
    let node = &mesh.nodes[0];
    let echo = carry(&mesh).await;
    node.run(&["shared", "set", "color", "red"]).await.ok();
    node.expose("files", echo_server().await).await;
    node.all_kept().await;
    let (pid, restarts) = (node.pid(), node.actor("knowledge").await.unwrap().restarts);
    node.run(&["chaos", "disk", "--stopped", "--for", "1h"]).await.ok();
    let told = ["in memory only", "on purpose"];
    node.run(&["shared", "set", "shape", "round"]).await.fails(1, &told);
    let incident = until("the incident over", PATIENCE, async || {
        let incidents = node.incidents().await?;
        let failing = incidents.iter().find(|incident| incident.kind == "store-failing");
        failing.filter(|incident| incident.lasted_ms.is_some()).cloned().ok_or_else(|| format!("{incidents:?}"))
    })
    .await;
    let story = node.run(&["incident", &incident.id.to_string()]).await.ok();
    assert!(story.contains("wait: did not help") && story.contains("rebuild-store: helped"), "{story}");
    // The same process and the same writer go on, with the new store.
    node.run(&["shared", "set", "size", "large"]).await.ok();
    assert_eq!((node.pid(), node.actor("knowledge").await.unwrap().restarts), (pid, restarts));
    assert!(node.dir.join("store.damaged-1").is_dir());
    echo.finish().await;
    mesh.nodes.iter_mut().for_each(Node::kill);
    let node = &mut mesh.nodes[0];
    node.start().await;
    for (key, value) in [("color", "red\n"), ("shape", "round\n"), ("size", "large\n")] {
        assert_eq!(node.run(&["shared", "get", key]).await.ok(), value);
    }
    let Ok(Response::Services { services, .. }) =
        node.ask(&Request::Services { after: None, after_provider: None }).await
    else {
        panic!("no answer")
    };
    assert!(services.iter().any(|service| service.name == "files"), "{services:?}");
    assert!(node.incidents().await.unwrap().iter().any(|told| told.kind == "store-failing"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_survives_a_killed_writer_and_a_killed_node() {
    let mut mesh = Mesh::found(Plan::alone()).await;
    let node = &mut mesh.nodes[0];
    let mut acknowledged = Vec::new();
    for number in 0..12 {
        if number % 3 == 1 {
            node.run(&["kill", "knowledge"]).await;
        }
        let (name, target) = (format!("service-{number}"), "tcp://127.0.0.1:9".to_owned());
        // With the writer everything above it begins again, and nobody listens for a moment.
        let expose = Request::Expose { name: name.clone(), target };
        let answer = until("somebody who listens", PATIENCE, async || match node.ask(&expose).await {
            Err(error) if error.kind() == ErrorKind::NotRunning => Err(error.to_string()),
            answer => Ok(answer),
        });
        if answer.await == Ok(Response::Done) {
            acknowledged.push(name);
        }
    }
    node.kill();
    assert!(acknowledged.len() >= 4, "{acknowledged:?}");
    node.start().await;
    let Ok(Response::Services { services, .. }) =
        node.ask(&Request::Services { after: None, after_provider: None }).await
    else {
        panic!("no answer")
    };
    for name in acknowledged {
        assert!(services.iter().any(|service| service.name == name), "{name} is gone: {services:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_soak_loses_no_request_and_leaks_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("soak.json");
    // Little load: the other tests run beside it, without optimizations.
    let soak = ["chaos", "soak", "--seconds", "6", "--nodes", "4", "--bulk-mbit", "2", "--seed", "5", "--json"];
    let soak = [&soak[..], &[file.to_str().unwrap()]].concat();
    let told = super::process::run_for(dir.path(), &soak, Duration::from_secs(180)).await;
    let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(json["soak"]["lost"], 0, "{told:?}");
    assert_eq!(json["soak"]["leaks"], serde_json::json!([]), "{told:?}");
    assert!(json["requests"]["answered"].as_u64().unwrap() > 500, "{told:?}");
    let killed: u64 = json["soak"]["actors_killed"].as_object().unwrap().values().filter_map(|n| n.as_u64()).sum();
    assert!(killed >= 3, "{told:?}");
    assert!(!json["faults"].as_array().unwrap().is_empty());
    assert_eq!(json["soak"]["after"].as_array().unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_lab_says_so_with_its_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let told = super::process::run_and_interrupt(dir.path(), &["lab"], true).await;
    assert_eq!(told.code, 130, "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_soak_ends_with_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let soak = ["chaos", "soak", "--minutes", "10", "--nodes", "4"];
    let told = super::process::run_and_interrupt(dir.path(), &soak, true).await;
    assert_eq!(told.code, 130, "{told:?}");
}

/// An echo from node 0 to node 1.
async fn carry(mesh: &Mesh) -> Echo {
    mesh.nodes[1].expose("echo", echo_server().await).await;
    Echo::start(mesh.nodes[0].forward("echo").await).await
}

async fn in_force(node: &Node) -> Vec<InForce> {
    match node.ask(&Request::Chaos(Order::Status)).await {
        Ok(Response::Faults { faults }) => faults,
        other => panic!("{other:?}"),
    }
}
