//! Spans against a collector that speaks OTLP.

use std::sync::Arc;
use std::time::Duration;

use prunella_core::limits::{SPAN_ATTRIBUTES_MAX, SPAN_TEXT_BYTES_MAX, SPANS_QUEUED_MAX, TRACES_JOINED_PER_SECOND};
use tokio::time::{Instant, timeout};

use self::collector::{Collector, Manner};
use super::*;
use crate::host::Machine;

#[allow(dead_code)]
#[path = "../../tests/integration/collector.rs"]
mod collector;

fn tracer(endpoint: String, millionths: u32) -> (Tracer, Exporter) {
    let (peer, name) = ("me".to_owned(), "n0".to_owned());
    Tracer::start(TracerSetup { endpoint, millionths, peer, name, host: Machine::shared() }).unwrap()
}

fn nowhere() -> String {
    "http://127.0.0.1:1".to_owned()
}

fn theirs(sampled: bool) -> TraceContext {
    TraceContext { trace: [7; 16], span: [9; 8], sampled }
}

#[tokio::test]
async fn a_span_arrives_with_all_that_was_said_of_it_when_the_node_stops() {
    let collector = Collector::start(Manner::Takes).await;
    let (tracer, exporter) = tracer(collector.endpoint(), MILLION);
    let mut root = tracer.root("request", Kind::Server);
    root.text("rpc.method", || "ping");
    root.number("count", 3);
    let mut child = under(root.context(), async { tracer.child("open", Kind::Client) }).await;
    child.fail_as("refused", &"denied by nobody");
    for _ in 0..SPAN_ATTRIBUTES_MAX {
        child.text("more", || "ä".repeat(SPAN_TEXT_BYTES_MAX));
    }
    let context = root.context().unwrap();
    drop((child, root));
    exporter.finish().await;
    let heard = collector.heard();
    let [open, request] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!((&*request.service, &*request.node, &*request.span.name), ("prunella", "me", "request"));
    assert_eq!(request.span.trace_id, context.trace);
    assert!(request.span.parent_span_id.is_empty());
    assert_eq!(request.attribute("rpc.method").as_deref(), Some("ping"));
    assert_eq!(request.attribute("count").as_deref(), Some("3"));
    assert_eq!((&open.span.parent_span_id[..], &open.span.trace_id), (&context.span[..], &request.span.trace_id));
    assert_eq!(open.attribute("more").unwrap().len(), SPAN_TEXT_BYTES_MAX);
    assert_eq!((open.span.attributes.len(), open.span.dropped_attributes_count), (SPAN_ATTRIBUTES_MAX, 1));
    let status = open.span.status.clone().unwrap();
    assert_eq!((status.code, &*status.message), (2, "denied by nobody"));
    assert_eq!(tracer.counts().unwrap(), SpanCounts { exported: 2, ..SpanCounts::default() });
}

#[tokio::test]
async fn the_share_is_kept_and_whoever_says_so_is_told_of() {
    let (tracer, _exporter) = tracer(nowhere(), 100_000);
    let begun = (0..10_000).filter(|_| tracer.root("x", Kind::Internal).context().is_some()).count();
    assert!((800..1200).contains(&begun), "{begun} of 10000 at a tenth");
    assert!(tracer.join(Some(theirs(true)), "x", Kind::Server).context().is_some_and(|own| own.trace == [7; 16]));
    assert!(tracer.join(Some(theirs(false)), "x", Kind::Server).context().is_none());
    assert!(tracer.join(None, "x", Kind::Server).context().is_none(), "nobody begins a trace for others");
    assert!(tracer.child("x", Kind::Client).context().is_none());
    assert!(tracer.always().is_some());
    let off = Tracer::off();
    assert!(off.root("x", Kind::Internal).context().is_none() && off.always().is_none() && off.counts().is_none());
}

#[tokio::test]
async fn what_is_not_told_as_part_of_a_trace_begins_none() {
    let (tracer, _exporter) = tracer(nowhere(), MILLION);
    let (span, within) = tracer.enter(Some(theirs(false)), "http", Kind::Server);
    assert!(span.context().is_none());
    under(within, async {
        assert!(tracer.request("request", Kind::Server).context().is_none());
    })
    .await;
    assert!(tracer.request("request", Kind::Server).context().is_some());
}

#[tokio::test]
async fn strangers_make_a_node_tell_no_more_than_so_many_traces() {
    let (tracer, _exporter) = tracer(nowhere(), 0);
    let joined = (0..10 * TRACES_JOINED_PER_SECOND)
        .filter(|_| tracer.join(Some(theirs(true)), "x", Kind::Server).context().is_some())
        .count();
    let most = 2 * TRACES_JOINED_PER_SECOND as usize;
    assert!((TRACES_JOINED_PER_SECOND as usize..most).contains(&joined), "{joined}");
    assert_eq!(tracer.counts().unwrap().not_joined as usize, 10 * TRACES_JOINED_PER_SECOND as usize - joined);
}

#[tokio::test]
async fn a_collector_that_hangs_holds_nobody_up_and_drops_are_counted() {
    let collector = Collector::start(Manner::Hangs).await;
    let (tracer, exporter) = tracer(collector.endpoint(), MILLION);
    let began = Instant::now();
    for _ in 0..3 * SPANS_QUEUED_MAX {
        drop(tracer.root("x", Kind::Internal));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let counts = tracer.counts().unwrap();
    assert!(counts.dropped >= SPANS_QUEUED_MAX as u64, "{counts:?}");
    assert!(counts.queued <= SPANS_QUEUED_MAX as u64, "{counts:?}");
    timeout(Duration::from_secs(3), exporter.finish()).await.expect("the farewell is bounded");
    assert!(collector.heard().is_empty());
}

#[tokio::test]
async fn an_outage_is_told_as_long_as_it_lasts() {
    let gone = Collector::start(Manner::Takes).await;
    let (address, endpoint) = (gone.address, gone.endpoint());
    drop(gone);
    let (tracer, exporter) = tracer(endpoint, MILLION);
    let tried = async |tracer: &Tracer, done: fn(&SpanCounts) -> bool| {
        timeout(Duration::from_secs(30), async {
            while !done(&tracer.counts().unwrap()) {
                drop(tracer.root("x", Kind::Internal));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("{:?}", tracer.counts()));
    };
    tried(&tracer, |counts| counts.failure.is_some() && counts.failed > 0).await;
    let collector = Collector::start_at(address, Manner::Takes).await;
    tried(&tracer, |counts| counts.failure.is_none() && counts.exported > 0).await;
    exporter.finish().await;
    assert!(!collector.heard().is_empty());
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_is_refused_at_once() {
    let (peer, name, host) = ("me".to_owned(), String::new(), Machine::shared() as Arc<dyn Host>);
    let setup = TracerSetup { endpoint: "http://not a host".to_owned(), millionths: 1, peer, name, host };
    assert!(Tracer::start(setup).is_err());
}
