//! What a node exports: all that is documented and nothing else, quickly, and also while actors are stuck.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use prunella::api::chaos::Order;
use prunella::api::vocabulary::VitalsInfo;
use prunella::metrics::schema::{Kind, Metric, Schema, Values};
use prunella::{MeshConfig, MeshNode, Request, Response};
use tempfile::TempDir;
use tokio::time::sleep;

use super::mesh::{Mesh, PATIENCE, Plan, until};

/// Two nodes with a link, and their directories.
async fn pair() -> ([MeshNode; 2], [TempDir; 2]) {
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut config = MeshConfig { listen: ([127, 0, 0, 1], 0).into(), ..MeshConfig::default() };
    config.chaos.allow = true;
    let ada = MeshNode::found(&homes[0], "mesh.test", config.clone()).await.unwrap();
    let invitation = ada.invite(PATIENCE).unwrap();
    let bob = MeshNode::join(&homes[1], &invitation, config).await.unwrap();
    ada.wait_for_peer(bob.peer_id(), PATIENCE).await.unwrap();
    ([ada, bob], homes)
}

/// One sample: its name, its labels, its value.
type Sample = (String, BTreeMap<String, String>, f64);

fn samples(text: &str) -> Vec<Sample> {
    text.lines().filter(|line| !line.starts_with('#')).map(sample).collect()
}

/// No label of these nodes holds a quote, a comma or a blank.
fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
    let Some((name, labels)) = series.split_once('{') else { return (series.to_owned(), BTreeMap::new(), value) };
    let label = |label: &str| {
        let (key, value) = label.split_once('=').unwrap();
        (key.to_owned(), value.trim_matches('"').to_owned())
    };
    (name.to_owned(), labels.trim_end_matches('}').split(',').map(label).collect(), value)
}

fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// The node's metrics, as soon as `wanted` says so.
async fn metrics_when(node: &MeshNode, what: &str, wanted: impl Fn(&str) -> bool) -> String {
    let began = Instant::now();
    loop {
        let text = node.metrics().await.unwrap();
        if wanted(&text) {
            return text;
        }
        assert!(began.elapsed() < PATIENCE, "{what}:\n{text}");
        sleep(Duration::from_millis(50)).await;
    }
}

fn check(metric: &Metric, labels: &BTreeMap<String, String>) {
    let mut keys: BTreeSet<&str> = metric.labels.keys().map(String::as_str).collect();
    let is_bucket = labels.contains_key("le");
    if is_bucket {
        keys.insert("le");
    }
    assert_eq!(labels.keys().map(String::as_str).collect::<BTreeSet<_>>(), keys, "{}", metric.name);
    for (key, value) in labels {
        if let Some(Values::Of(values)) = metric.labels.get(key) {
            assert!(values.contains(value), "{}: {key} is {value}", metric.name);
        }
    }
}

/// By Prometheus' own tool, where it is at hand: whether it can be read, and whether names follow the guide.
#[allow(clippy::print_stderr, reason = "a check that was skipped says so")]
fn lint(text: &str) {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut promtool) = command.spawn() else {
        eprintln!("skipped: promtool is not installed; Debian's package `prometheus` has it");
        return;
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let told = [said.stdout, said.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(said.status.success() && told.is_empty(), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_exports_what_is_documented_and_nothing_else() {
    let (nodes, _homes) = pair().await;
    nodes[0].request(Request::RotateCertificate).await.unwrap();
    let killed = Request::KillActor { actor: "planner".to_owned(), how: prunella::api::vocabulary::Failure::Kill };
    nodes[0].request(killed).await.unwrap();
    let series = "prunella_incidents_total{kind=\"actor-failed\"}";
    let text = metrics_when(&nodes[0], "an incident, and answers of everybody", |text| {
        let unanswered = |actor: &str| value(text, &format!("prunella_scrape_unanswered{{actor=\"{actor}\"}}"));
        let silent = ["gossip", "pathfinder", "ledger", "peer"].iter().any(|actor| unanswered(actor) != Some(0.0));
        value(text, series) == Some(1.0) && !silent
    })
    .await;
    let schema = Schema::shared();
    let (mut seen, mut series) = (BTreeSet::new(), BTreeSet::new());
    for (name, labels, value) in samples(&text) {
        let metric = schema.family(&name).unwrap_or_else(|| panic!("{name} is not in the schema"));
        assert!(metric.unit != "bool" || value == 0.0 || value == 1.0, "{name} is {value}");
        assert!(metric.kind != Kind::Counter || value >= 0.0, "{name} is {value}");
        check(metric, &labels);
        seen.insert(metric.name.as_str());
        assert!(series.insert((name.clone(), labels.clone())), "{name} twice with {labels:?}");
    }
    let missing: Vec<_> = schema.metrics().filter(|metric| !seen.contains(metric.name.as_str())).collect();
    // Where there is no proc(5) or no limit on descriptors, what comes from there is missing; and so is what takes a program
    // in the kernel: a node in a lab of namespaces exports it.
    let is_kernels = |metric: &Metric| metric.when.as_ref().is_some_and(|when| when.starts_with("the kernel observes"));
    let excused =
        |metric: &&&Metric| is_kernels(metric) || metric.name.starts_with("process_") && !cfg!(target_os = "linux");
    assert_eq!(missing.iter().filter(|metric| !excused(metric)).collect::<Vec<_>>(), [] as [&&Metric; 0]);
    for metric in schema.metrics().filter(|metric| !is_kernels(metric)) {
        assert!(text.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{}", metric.name);
    }
    lint(&text);
    assert_eq!(value(&text, "prunella_peers_known"), Some(2.0));
    assert_eq!(value(&text, "prunella_quorum"), Some(1.0));
    assert_eq!(value(&text, "prunella_certificate_rotations_total{outcome=\"succeeded\"}"), Some(1.0));
    assert!(value(&text, "prunella_actor_restarts_total{actor=\"planner\"}") >= Some(1.0));
    for node in nodes {
        node.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_goes_on_without_an_actor_that_is_stuck() {
    let (nodes, _homes) = pair().await;
    let node = &nodes[0];
    for actor in ["gossip", "ledger"] {
        let stall = Order::Actor { actor: actor.to_owned(), each_ms: None, for_ms: 60_000 };
        node.request(Request::Chaos(stall)).await.unwrap();
    }
    let unanswered = |text: &str, actor: &str| value(text, &format!("prunella_scrape_unanswered{{actor=\"{actor}\"}}"));
    metrics_when(node, "gossip does not answer", |text| unanswered(text, "gossip") == Some(1.0)).await;
    let began = Instant::now();
    let text = node.metrics().await.unwrap();
    // Asked one after another, with the patience of other requests, they would take seconds.
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(["gossip", "ledger", "peer"].map(|actor| unanswered(&text, actor)), [Some(1.0), Some(1.0), Some(0.0)]);
    for (name, is_there) in [("prunella_quorum", false), ("prunella_ledger_entries", false), ("prunella_routes", true)]
    {
        assert_eq!(value(&text, name).is_some(), is_there, "{name}:\n{text}");
    }
    assert!(text.contains("prunella_link_round_trip_seconds{"), "{text}");
    node.request(Request::Chaos(Order::Clear)).await.unwrap();
    metrics_when(node, "gossip answers again", |text| {
        unanswered(text, "gossip") == Some(0.0) && value(text, "prunella_quorum") == Some(1.0)
    })
    .await;
    for node in nodes {
        node.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_vitals_are_told_while_every_actor_is_stuck() {
    let mesh = Mesh::found(Plan::pair()).await;
    let node = &mesh.nodes[0];
    let stuck: Vec<String> = node.actors().await.unwrap().into_iter().map(|actor| actor.name).collect();
    let stuck = stuck.iter().filter(|name| !["root", "peers", "healing", "surfaces"].contains(&name.as_str()));
    // The monitor first: it would have the others restarted.
    let (first, rest): (Vec<&String>, Vec<&String>) = stuck.partition(|name| *name == "monitor");
    for actor in first.into_iter().chain(rest) {
        node.run(&["chaos", "actor", actor, "--how", "stall", "--for", "60s"]).await.ok();
    }
    let vitals = || async {
        match node.ask(&Request::Vitals).await.map_err(|error| error.to_string())? {
            Response::Vitals(vitals) => Ok::<VitalsInfo, String>(vitals),
            other => panic!("{other:?}"),
        }
    };
    let vitals = until("messages to wait", PATIENCE, async || {
        let vitals = vitals().await?;
        if vitals.mailbox_max > 2 { Ok(vitals) } else { Err(format!("{vitals:?}")) }
    })
    .await;
    assert!(vitals.tasks > 0 && vitals.workers > 0 && vitals.mailbox >= vitals.mailbox_max, "{vitals:?}");
    assert!(vitals.late_max_us >= vitals.late_us, "{vitals:?}");
    if cfg!(target_os = "linux") {
        let process = vitals.process.unwrap();
        assert!(process.resident_bytes > 1 << 20 && process.descriptors > 3 && process.threads > 1, "{process:?}");
    }
    let told = node.run(&["vitals"]).await.ok();
    for title in ["tasks  ", "late  ", "mailboxes  "] {
        assert!(told.contains(title), "{title}: {told}");
    }
}
