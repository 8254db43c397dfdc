//! Distributed traces of real nodes, as a collector that speaks OTLP hears them.

use prunella::api::Request;
use prunella::api::chaos::Order;
use toml::{Table, Value};

use super::collector::{Collector, Heard, Manner};
use super::mesh::{Mesh, PATIENCE, Plan, until};

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

/// The plan, with traces to there.
fn traced(mut plan: Plan, endpoint: &str, sample: f64) -> Plan {
    let traces = [("endpoint".to_owned(), Value::from(endpoint)), ("sample".to_owned(), Value::from(sample))];
    plan.config.insert("traces".to_owned(), Table::from_iter(traces).into());
    plan
}

fn names(heard: &[Heard]) -> Vec<&str> {
    heard.iter().map(|heard| &*heard.span.name).collect()
}
