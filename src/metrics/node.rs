//! What a node exports: which numbers of its parts stand under which names.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prunella_core::gossip;
use prunella_core::membership::roster::Counts;

use super::asked::Told;
use super::links;
use super::sheet::Sheet;
use super::tun;
use crate::actors::shell::{PHASES, Shell};
use crate::actors::stats::Totals;
use crate::messages::LedgerState;
use crate::transport::CONTROL_KINDS;

/// Everything that the shell and those actors that have answered know of the node.
pub fn write(shell: &Shell, told: &Told, sheet: &mut Sheet) {
    node(shell, told, sheet);
    links::write(shell, &told.links, sheet);
    traffic(shell, sheet);
    if let Some(standing) = &told.standing {
        mesh(standing, sheet);
    }
    incidents(shell, sheet);
    actors(shell, sheet);
    datapath(shell, sheet);
    tun::write(shell, sheet);
    certificate(shell, sheet);
    policy(shell, sheet);
    ledger(shell, told.ledger.as_ref(), sheet);
    store(shell, sheet);
    traces(shell, sheet);
    process(shell, sheet);
    runtime(shell, sheet);
    let unanswered = [
        ("gossip", usize::from(told.standing.is_none())),
        ("pathfinder", usize::from(told.reachable.is_none())),
        ("ledger", usize::from(told.ledger.is_none())),
        ("peer", told.silent_peers),
    ];
    unanswered
        .iter()
        .for_each(|(actor, count)| sheet.show_count("prunella_scrape_unanswered", &[("actor", actor)], *count));
}

fn node(shell: &Shell, told: &Told, sheet: &mut Sheet) {
    let (peer, trust_domain) = (shell.credentials.peer().short(), shell.credentials.trust_domain());
    let who = [
        ("peer", peer.as_str()),
        ("name", shell.config.name.as_str()),
        ("trust_domain", trust_domain.as_ref()),
        ("version", env!("CARGO_PKG_VERSION")),
    ];
    sheet.show_count("prunella_node_info", &who, 1);
    sheet.show("prunella_node_uptime_seconds", &[], shell.clock.uptime().as_secs_f64());
    sheet.show_count("prunella_peers_known", &[], shell.known.count());
    if let Some(reachable) = told.reachable {
        sheet.show_count("prunella_peers_reachable", &[], reachable);
    }
}

fn traffic(shell: &Shell, sheet: &mut Sheet) {
    sheet.show_count("prunella_routes", &[], shell.routes.count());
    sheet.count("prunella_path_switches_total", &[], shell.routes.switches());
    let sessions = shell.sessions.get().map_or(0, |sessions| sessions.sent().len());
    sheet.show_count("prunella_sessions", &[], sessions);
    sheet.show_count("prunella_streams", &[], shell.policing.open_streams());
    sheet.show_count("prunella_services_exposed", &[], shell.services().exposed().len());
    sheet.show_count("prunella_forwards", &[], shell.services().forwards().len());
    for (direction, traffic) in ["sent", "received"].iter().zip(shell.links().control_traffic()) {
        for (kind, count) in CONTROL_KINDS.iter().zip(traffic.messages) {
            sheet.count("prunella_control_messages_total", &[("direction", direction), ("kind", kind)], count);
        }
        sheet.count("prunella_control_bytes_total", &[("direction", direction)], traffic.bytes);
    }
    sheet.count("prunella_control_messages_dropped_total", &[], shell.links().dropped());
}

fn mesh(standing: &gossip::Standing, sheet: &mut Sheet) {
    sheet.show_count("prunella_gossip_records", &[], standing.records);
    let in_sync = standing.neighbors.iter().filter(|(_, in_sync)| *in_sync).count();
    for (value, count) in [("true", in_sync), ("false", standing.neighbors.len() - in_sync)] {
        sheet.show_count("prunella_gossip_neighbors", &[("in_sync", value)], count);
    }
    sheet.show_whether("prunella_converged", &[], standing.is_converged());
    let Counts { alive, suspect, down } = standing.counts;
    for (status, count) in [("alive", alive), ("suspect", suspect), ("down", down)] {
        sheet.show_count("prunella_members", &[("status", status)], count);
    }
    sheet.show_whether("prunella_quorum", &[], standing.quorum.has_quorum);
    for (which, count) in [("known", standing.quorum.known), ("reachable", standing.quorum.reachable)] {
        sheet.show_count("prunella_quorum_members", &[("which", which)], count);
    }
    sheet.show_count("prunella_ill_health", &[], standing.ill_health.into());
}

fn incidents(shell: &Shell, sheet: &mut Sheet) {
    let tally = &shell.journal.tally;
    let (open, now) = (shell.journal.open_incidents(), shell.clock.now());
    for (kind, count) in tally.opened() {
        let open = open.iter().filter(|incident| incident.kind.name() == kind).count();
        sheet.show_count("prunella_incidents_open", &[("kind", kind)], open);
        sheet.count("prunella_incidents_total", &[("kind", kind)], count);
    }
    let oldest = open.iter().map(|incident| now.since(incident.opened)).max().unwrap_or_default();
    sheet.show("prunella_incident_oldest_open_seconds", &[], oldest.as_secs_f64());
    sheet.count("prunella_incidents_escalated_total", &[], tally.escalated());
    sheet.spread("prunella_incident_duration_seconds", None, &tally.lasted(), &SLOW);
    for (phase, spread) in PHASES.iter().zip(tally.phases()) {
        sheet.spread("prunella_incident_phase_seconds", Some(("phase", phase)), &spread, &SLOW);
    }
}

fn actors(shell: &Shell, sheet: &mut Sheet) {
    let register = &shell.directory.register;
    let mut named: BTreeMap<&'static str, Named> = BTreeMap::new();
    for (place, stats) in register.all() {
        let of = ACTORS.iter().find(|name| **name == place.name).copied().unwrap_or(PEER);
        let named = named.entry(of).or_default();
        named.totals.add(&stats.totals());
        named.waiting = named.waiting.max(stats.waiting());
        named.states[usize::from(!stats.running.load(Ordering::Relaxed))] += 1;
    }
    named.entry(PEER).or_default().totals.add(&register.gone());
    for (actor, Named { totals, waiting, states }) in named {
        let labels = [("actor", actor)];
        for (state, count) in ["running", "restarting"].iter().zip(states) {
            sheet.show_count("prunella_actors", &[("actor", actor), ("state", state)], count);
        }
        sheet.count("prunella_actor_restarts_total", &labels, totals.restarts);
        sheet.show("prunella_actor_mailbox_messages", &labels, waiting as f64);
        sheet.count("prunella_actor_messages_total", &labels, totals.handled);
        sheet.count("prunella_actor_messages_dropped_total", &labels, totals.dropped);
        sheet.spread("prunella_actor_handling_seconds", Some(("actor", actor)), &totals.handling, &QUICK);
    }
}

/// The actors of one name.
#[derive(Default)]
struct Named {
    totals: Totals,
    waiting: u64,
    /// Those that run, and those that do not.
    states: [usize; 2],
}

fn datapath(shell: &Shell, sheet: &mut Sheet) {
    let c = shell.port.counters();
    let dropped = [
        ("quic_queue_full", c.quic_dropped),
        ("session_queue_full", c.aside_full),
        ("stranger", c.unknown_source),
        ("shut_out", c.shut_out),
        ("over_rate", c.over_rate),
        ("no_link", c.no_link),
        ("no_route", c.no_route),
        ("send_full", c.send_full),
        ("send_failed", c.send_failed),
        ("events_full", c.events_dropped),
    ];
    sheet.counts("prunella_datapath_dropped_total", "reason", &dropped);
    let frames = [
        ("forwarded", c.forwarded),
        ("forwarded_in_kernel", c.forwarded_in_kernel),
        ("probe_answered", c.probes_answered),
        ("path_error_sent", c.path_errors_sent),
        ("spread", c.spread),
        ("copy_sent", c.copies_sent),
        ("copy_over_budget", c.copies_over_budget),
        ("copy_received", c.copies_received),
        ("spilled", c.spilled),
    ];
    sheet.counts("prunella_datapath_frames_total", "what", &frames);
    sheet.count("prunella_datapath_quic_packets_total", &[], c.quic_received);
    sheet.count("prunella_datapath_read_aside_total", &[], c.read_aside);
    let impaired = [("lost", c.faulted), ("held", c.held), ("doubled", c.doubled)];
    sheet.counts("prunella_datapath_impaired_total", "how", &impaired);
    for (name, count) in shell.rejections() {
        let reason = name.strip_prefix("rejected_").unwrap_or(&name);
        sheet.count("prunella_rejected_total", &[("reason", reason)], count);
    }
}

fn certificate(shell: &Shell, sheet: &mut Sheet) {
    let expiry_unix = shell.credentials.certificate_expiry_unix();
    sheet.show("prunella_certificate_expiry_timestamp_seconds", &[], expiry_unix as f64);
    let (succeeded, failed, last_unix) = shell.tallies.renewals.read();
    for (outcome, count) in [("succeeded", succeeded), ("failed", failed)] {
        sheet.count("prunella_certificate_rotations_total", &[("outcome", outcome)], count);
    }
    if let Some(last_unix) = last_unix {
        sheet.show("prunella_certificate_last_rotation_timestamp_seconds", &[], last_unix as f64);
    }
}

fn policy(shell: &Shell, sheet: &mut Sheet) {
    let counters = shell.policing.counters();
    let counted = |name: &str| counters.get(name).copied().unwrap_or_default();
    let decided = [
        ("allowed", counted("policy_allowed")),
        ("denied", counted("policy_denied")),
        ("quarantined", counted("policy_denied_quarantined")),
    ];
    sheet.counts("prunella_policy_decisions_total", "decision", &decided);
    for limit in ["peers", "connections", "rate", "quota", "tables"] {
        let count = counted(&format!("policy_limit_{limit}"));
        sheet.count("prunella_policy_limited_total", &[("limit", limit)], count);
    }
    sheet.count("prunella_policy_streams_ended_total", &[], counted("policy_streams_ended"));
    sheet.count("prunella_policy_documents_refused_total", &[], counted("policy_documents_refused"));
    for (name, count) in &counters {
        if let Some(reason) = name.strip_prefix("admission_refused_") {
            sheet.count("prunella_admissions_refused_total", &[("reason", reason)], *count);
        }
    }
    let in_force = shell.policing.in_force();
    sheet.show_whether("prunella_policy_refused", &[], shell.policing.refused().is_some());
    sheet.show("prunella_policy_version", &[], in_force.document.version as f64);
    sheet.show_count("prunella_policy_rules", &[], in_force.engine.rules().len());
    for (cache, count) in ["hit", "miss"].iter().zip(in_force.engine.recalled()) {
        sheet.count("prunella_policy_verdicts_total", &[("cache", cache)], count);
    }
    sheet.show_count("prunella_quarantined_peers", &[], shell.roster.quarantine.all().len());
}

fn ledger(shell: &Shell, state: Option<&LedgerState>, sheet: &mut Sheet) {
    let health = shell.ledger.health();
    sheet.show_whether("prunella_ledger_trouble", &[], health.trouble.is_some());
    sheet.count("prunella_ledger_refused_total", &[], health.refused);
    let [_, ledger_bytes] = shell.tallies.sizes();
    sheet.show("prunella_ledger_size_bytes", &[], ledger_bytes as f64);
    let repaired = shell.ledger.counters().into_iter().find(|(name, _)| *name == "ledger_entries_repaired");
    sheet.count("prunella_ledger_repaired_total", &[], repaired.map_or(0, |(_, count)| count));
    let Some(state) = state else { return };
    sheet.show("prunella_ledger_entries", &[], state.head.size as f64);
    sheet.show_count("prunella_ledger_waiting", &[], state.waiting);
    sheet.show_whether("prunella_ledger_ready", &[], state.is_ready);
    sheet.show_whether("prunella_ledger_set_back", &[], state.is_rolled_back);
    sheet.show_count("prunella_ledger_damaged_entries", &[], state.damaged.len());
    sheet.show_count("prunella_ledger_findings", &[], state.found.len());
    sheet.show_count("prunella_ledger_watched", &[], state.watched.len());
    sheet.show_count("prunella_ledger_witnesses", &[], state.witnesses);
}

fn store(shell: &Shell, sheet: &mut Sheet) {
    let [store_bytes, _] = shell.tallies.sizes();
    sheet.show("prunella_store_size_bytes", &[], store_bytes as f64);
    sheet.spread("prunella_store_write_seconds", None, &shell.tallies.store_writes.spread(), &QUICK);
    sheet.count("prunella_store_failures_total", &[], shell.tallies.store_failures.load(Ordering::Relaxed));
    sheet.show_count("prunella_store_backlog", &[], shell.directory.backlog.len());
}

fn traces(shell: &Shell, sheet: &mut Sheet) {
    let counts = shell.tracer.counts().unwrap_or_default();
    sheet.show_whether("prunella_trace_exported", &[], shell.tracer.endpoint().is_some());
    sheet.show("prunella_trace_spans_queued", &[], counts.queued as f64);
    for (fate, count) in [("exported", counts.exported), ("dropped", counts.dropped), ("failed", counts.failed)] {
        sheet.count("prunella_trace_spans_total", &[("fate", fate)], count);
    }
    sheet.count("prunella_trace_not_joined_total", &[], counts.not_joined);
}

fn process(shell: &Shell, sheet: &mut Sheet) {
    let Some(process) = shell.host.process() else { return };
    sheet.count_seconds("process_cpu_seconds_total", &[], process.processor.as_secs_f64());
    sheet.show("process_resident_memory_bytes", &[], process.resident as f64);
    sheet.show("process_virtual_memory_bytes", &[], process.virtual_memory as f64);
    sheet.show("process_open_fds", &[], process.descriptors as f64);
    if let Some(most) = process.descriptors_max {
        sheet.show("process_max_fds", &[], most as f64);
    }
    sheet.show("process_threads", &[], process.threads as f64);
    sheet.show("process_start_time_seconds", &[], process.started.as_secs_f64());
}

fn runtime(shell: &Shell, sheet: &mut Sheet) {
    let runtime = tokio::runtime::Handle::current().metrics();
    sheet.show_count("prunella_runtime_tasks", &[], runtime.num_alive_tasks());
    sheet.show_count("prunella_runtime_workers", &[], runtime.num_workers());
    sheet.show_count("prunella_runtime_queue_depth", &[], runtime.global_queue_depth());
    let [last, longest]: [Duration; 2] = shell.tallies.lateness.read(shell.clock.now());
    sheet.show("prunella_runtime_late_seconds", &[], last.as_secs_f64());
    sheet.show("prunella_runtime_late_max_seconds", &[], longest.as_secs_f64());
}

/// The actors that have a name of their own; all others are PeerActors.
const ACTORS: [&str; 13] = [
    "root",
    "knowledge",
    "policy",
    "gossip",
    "peers",
    "healing",
    "monitor",
    "pathfinder",
    "planner",
    "executor",
    "rebalancer",
    "surfaces",
    "ledger",
];
/// All PeerActors.
const PEER: &str = "peer";
/// Bounds for what takes microseconds to seconds, as powers of two of a nanosecond: 1 µs, 8 µs, 66 µs, 0.5 ms, 4 ms, 34 ms,
/// 0.27 s, 2.1 s.
const QUICK: [usize; 8] = [10, 13, 16, 19, 22, 25, 28, 31];
/// Bounds for what takes milliseconds to minutes: 1 ms, 8 ms, 67 ms, 0.27 s, 1.1 s, 4.3 s, 17 s, 69 s, 275 s, 18 min.
const SLOW: [usize; 10] = [20, 23, 26, 28, 30, 32, 34, 36, 38, 40];
