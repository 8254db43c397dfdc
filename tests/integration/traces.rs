//! Distributed traces of real nodes, as a collector that speaks OTLP hears them.

use prunella::api::chaos::Order;
use prunella::api::vocabulary::VitalsInfo;
use prunella::api::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use toml::{Table, Value};

use super::collector::{Collector, Heard, Manner};
use super::echo::{Echo, echo_server};
use super::mesh::{Mesh, Node, PATIENCE, Plan, until};

#[tokio::test]
async fn an_incident_is_a_trace_with_its_phases_whatever_the_share() {
    let collector = Collector::start(Manner::Takes).await;
    let mesh = Mesh::found(traced(Plan::pair(), &collector.endpoint(), 0.0)).await;
    mesh.nodes[0].done(&Request::Chaos(Order::cut(mesh.nodes[1].peer.clone(), true, true))).await;
    until("the cut told", PATIENCE, async || match mesh.nodes[0].incidents().await? {
        incidents if incidents.iter().any(|incident| incident.kind == "link-down") => Ok(()),
        incidents => Err(format!("{incidents:?}")),
    })
    .await;
    mesh.nodes[0].done(&Request::Chaos(Order::Clear)).await;
    mesh.whole().await;
    let told = |heard: &[Heard]| -> Option<Vec<Heard>> {
        let root = heard.iter().find(|heard| heard.span.name == "incident link-down")?;
        let within = |one: &&Heard| one.span.parent_span_id == root.span.span_id;
        let phases: Vec<Heard> = heard.iter().filter(within).cloned().collect();
        (!phases.is_empty()).then(|| [vec![root.clone()], phases].concat())
    };
    let trace = until("an incident told", PATIENCE, async || {
        let heard = collector.heard();
        told(&heard).ok_or_else(|| format!("{:?}", names(&heard)))
    })
    .await;
    let (root, phases) = trace.split_first().unwrap();
    assert_eq!(root.service, "prunella");
    assert!(mesh.nodes.iter().any(|node| node.peer == root.node), "{}", root.node);
    assert_eq!(root.attribute("prunella.incident.condition").as_deref(), Some("link-down"));
    assert!(
        root.attribute("prunella.incident.about").is_some() && root.attribute("prunella.incident.result").is_some()
    );
    let phase = |name: &str| phases.iter().find(|phase| phase.span.name == name);
    let detect = phase("detect").unwrap_or_else(|| panic!("{:?}", names(phases)));
    assert!(detect.lasted() > std::time::Duration::from_millis(1), "{detect:?}");
    assert!(phase("plan").is_some(), "{:?}", names(phases));
    for phase in phases {
        assert_eq!((&phase.node, &phase.span.trace_id), (&root.node, &root.span.trace_id));
        assert!(phase.span.start_time_unix_nano >= root.span.start_time_unix_nano, "{phase:?} {root:?}");
    }
    let heard = collector.heard();
    let others: Vec<&Heard> = heard.iter().filter(|heard| heard.span.parent_span_id.is_empty()).collect();
    assert!(others.iter().all(|heard| heard.span.name.starts_with("incident ")), "{:?}", names(&heard));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_over_three_hops_is_one_trace_of_four_nodes() {
    let collector = Collector::start(Manner::Takes).await;
    let mesh = Mesh::found(traced(Plan::chain(), &collector.endpoint(), 1.0)).await;
    mesh.nodes[3].expose("echo", echo_server().await).await;
    let listen = mesh.nodes[0].forward("echo").await;
    Echo::start(listen).await.finish().await;
    let trace = until("one trace of four nodes", PATIENCE, async || {
        let heard = collector.heard();
        let root =
            heard.iter().find(|heard| heard.span.name == "forward").ok_or_else(|| format!("{:?}", names(&heard)))?;
        let trace: Vec<Heard> = heard.iter().filter(|one| one.span.trace_id == root.span.trace_id).cloned().collect();
        if trace.len() >= 5 { Ok(trace) } else { Err(format!("{:?}", names(&trace))) }
    })
    .await;
    let peer = |number: usize| mesh.nodes[number].peer.as_str();
    let of = |name: &str, node: usize| -> &Heard {
        let mut found = trace.iter().filter(|one| one.span.name == name && one.node == peer(node));
        let one = found.next().unwrap_or_else(|| panic!("no {name} of n{node} in {:?}", names(&trace)));
        assert!(found.next().is_none(), "{name} of n{node} twice");
        one
    };
    let (root, open) = (of("forward", 0), of("open", 0));
    assert!(root.span.parent_span_id.is_empty(), "{root:?}");
    assert_eq!(open.span.parent_span_id, root.span.span_id);
    for (name, node) in [("relay", 1), ("relay", 2), ("serve", 3)] {
        assert_eq!(of(name, node).span.parent_span_id, open.span.span_id, "{name} of n{node}");
    }
    assert_eq!(trace.len(), 5, "{:?}", names(&trace));
    for relay in [1, 2] {
        let span = of("relay", relay);
        assert_eq!(span.attribute("prunella.relay.from").as_deref(), Some(peer(relay - 1)));
        assert_eq!(span.attribute("prunella.relay.to").as_deref(), Some(peer(relay + 1)));
    }
    assert_eq!(of("serve", 3).attribute("network.peer.address").as_deref(), Some(peer(0)));
    assert_eq!(of("serve", 3).attribute("prunella.service").as_deref(), Some("echo"));
    let vitals = mesh.nodes[0].run(&["vitals"]).await.ok();
    assert!(vitals.contains("spans exported"), "{vitals}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_over_http_gets_one_trace_with_the_other_node_if_it_says_so() {
    let collector = Collector::start(Manner::Takes).await;
    let mesh = Mesh::found(traced(Plan::pair(), &collector.endpoint(), 0.0)).await;
    let far = &mesh.nodes[1].peer;
    let asked = |flags: &str, trace: char| {
        let trace = trace.to_string().repeat(32);
        format!("00-{trace}-00f067aa0ba902b7-{flags}")
    };
    for (flags, trace) in [("00", 'a'), ("01", 'b'), ("zz", 'c')] {
        ping_over_http(&mesh.nodes[0], far, &asked(flags, trace)).await;
    }
    let trace = until("the trace of the caller", PATIENCE, async || {
        let heard = collector.heard();
        let ours: Vec<Heard> = heard.iter().filter(|one| one.span.trace_id == [0xbb; 16]).cloned().collect();
        if ours.len() >= 4 { Ok(ours) } else { Err(format!("{:?}", names(&ours))) }
    })
    .await;
    let one =
        |name: &str| trace.iter().find(|one| one.span.name == name).unwrap_or_else(|| panic!("{:?}", names(&trace)));
    assert_eq!(one("http").span.parent_span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
    assert_eq!(one("http").attribute("http.request.method").as_deref(), Some("POST"));
    assert_eq!(one("request").span.parent_span_id, one("http").span.span_id);
    assert_eq!(one("open").span.parent_span_id, one("request").span.span_id);
    assert_eq!(one("serve").span.parent_span_id, one("open").span.span_id);
    assert_eq!((&one("serve").node, &one("open").node), (far, &mesh.nodes[0].peer));
    let others = collector.heard().into_iter().filter(|one| one.span.trace_id != [0xbb; 16]);
    let told: Vec<Heard> = others.filter(|one| !one.span.name.starts_with("incident ")).collect();
    assert!(told.is_empty(), "what its caller does not have told is told by nobody: {:?}", names(&told));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_of_gossip_is_told() {
    let collector = Collector::start(Manner::Takes).await;
    let mesh = Mesh::found(traced(Plan::pair(), &collector.endpoint(), 1.0)).await;
    let round = until("a round of gossip", PATIENCE, async || {
        let heard = collector.heard();
        heard.iter().find(|one| one.span.name == "gossip round").cloned().ok_or_else(|| format!("{:?}", names(&heard)))
    })
    .await;
    assert!(mesh.nodes.iter().any(|node| Some(&node.peer) == round.attribute("network.peer.address").as_ref()));
    let number = |key: &str| round.attribute(key).and_then(|text| text.parse::<u64>().ok()).unwrap();
    assert!(number("prunella.gossip.messages") > 0 && number("prunella.gossip.sent_bytes") > 0, "{round:?}");
    let _ = number("prunella.gossip.records_sent") + number("prunella.gossip.records_heard");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_dead_or_hangs_costs_no_request() {
    let hanging = Collector::start(Manner::Hangs).await;
    for endpoint in [hanging.endpoint(), "http://127.0.0.1:1".to_owned()] {
        let mesh = Mesh::found(traced(Plan::pair(), &endpoint, 1.0)).await;
        let began = std::time::Instant::now();
        for _ in 0..200 {
            mesh.nodes[0].ping(&mesh.nodes[1].peer).await.unwrap();
        }
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
        until("the loss told", PATIENCE, async || match mesh.nodes[0].ask(&Request::Vitals).await {
            Ok(Response::Vitals(VitalsInfo { traces: Some(traces), .. })) if traces.failing && traces.failed > 0 => {
                assert_eq!(traces.exported, 0);
                Ok(())
            }
            other => Err(format!("{other:?}")),
        })
        .await;
        let log = mesh.nodes[0].log();
        assert_eq!(log.matches("traces cannot be exported").count(), 1, "{log}");
        let vitals = mesh.nodes[0].run(&["vitals"]).await.ok();
        assert!(vitals.contains("THE COLLECTOR TAKES NONE"), "{vitals}");
        let mut mesh = mesh;
        let stopping = std::time::Instant::now();
        mesh.nodes[0].stop().await;
        assert!(stopping.elapsed() < PATIENCE / 2, "{:?}", stopping.elapsed());
    }
}

/// Asks a node to ping another one, as whoever is within this trace.
async fn ping_over_http(node: &Node, far: &str, traceparent: &str) {
    let mut stream = UnixStream::connect(node.dir.join("http.sock")).await.unwrap();
    let body = format!("{{\"destination\":\"{far}\",\"timeout_ms\":5000}}");
    let head =
        format!("Content-Type: application/json\r\nContent-Length: {}\r\ntraceparent: {traceparent}", body.len());
    let request = format!("POST /v1/ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// The plan, with traces to there.
fn traced(mut plan: Plan, endpoint: &str, sample: f64) -> Plan {
    let traces = [("endpoint".to_owned(), Value::from(endpoint)), ("sample".to_owned(), Value::from(sample))];
    plan.config.insert("traces".to_owned(), Table::from_iter(traces).into());
    plan
}

fn names(heard: &[Heard]) -> Vec<&str> {
    heard.iter().map(|heard| &*heard.span.name).collect()
}
