//! What is exported of each neighbor's link.

use prunella_core::PeerId;
use prunella_core::peer::{LinkReport, LinkState};

use super::sheet::Sheet;
use crate::actors::shell::Shell;
use crate::datapath::LinkStats;

/// What PeerActors say, and what the datapath counts.
pub(super) fn write(shell: &Shell, reports: &[LinkReport], sheet: &mut Sheet) {
    said(reports, |peer| shell.known.name(peer), sheet);
    for link in shell.port.link_stats() {
        let short = link.peer.short();
        counted(&link, &short, sheet);
        let peaks = shell.tallies.link_peaks.of(&link.peer, shell.clock.now()).unwrap_or_default();
        for (direction, peak) in ["sent", "received"].iter().zip(peaks) {
            let labels = [("peer", short.as_str()), ("direction", *direction)];
            sheet.show("prunella_link_peak_bytes_per_second", &labels, peak as f64);
        }
    }
    observed(shell, sheet);
}

/// What the kernel has seen, where it observes links.
fn observed(shell: &Shell, sheet: &mut Sheet) {
    let all = shell.port.observed();
    for (peer, address) in shell.links().addresses() {
        let Some(seen) = all.iter().find(|seen| seen.neighbor == address) else { continue };
        let short = peer.short();
        if seen.echoes > 0 {
            sheet.show("prunella_link_kernel_round_trip_seconds", &[("peer", &short)], seen.rtt.as_secs_f64());
        }
        for (direction, dropped) in [("sent", seen.dropped_out), ("received", seen.dropped_in)] {
            sheet.count("prunella_link_host_dropped_total", &[("peer", &short), ("direction", direction)], dropped);
        }
    }
}

fn said(reports: &[LinkReport], name: impl Fn(&PeerId) -> String, sheet: &mut Sheet) {
    for state in STATES {
        let count = reports.iter().filter(|report| report.state == state).count();
        sheet.show_count("prunella_links", &[("state", state.name())], count);
    }
    for report in reports {
        let short = report.peer.short();
        let peer = [("peer", short.as_str())];
        sheet.show_count("prunella_link_info", &[("peer", &short), ("name", &name(&report.peer))], 1);
        for state in STATES {
            let labels = [("peer", short.as_str()), ("state", state.name())];
            sheet.show_whether("prunella_link_state", &labels, report.state == state);
        }
        sheet.show("prunella_link_round_trip_seconds", &peer, report.rtt.as_secs_f64());
        sheet.show("prunella_link_loss_ratio", &peer, f64::from(report.loss_permille) / 1000.0);
        sheet.show_whether("prunella_link_failing", &peer, report.failing);
        sheet.count("prunella_link_established_total", &peer, report.established);
        sheet.show("prunella_link_probe_interval_seconds", &peer, report.probed_every.as_secs_f64());
    }
}

fn counted(link: &LinkStats, short: &str, sheet: &mut Sheet) {
    let peer = [("peer", short)];
    sheet.show_whether("prunella_link_usable", &peer, link.usable);
    for (direction, bytes, frames) in
        [("sent", link.bytes_sent, link.frames_sent), ("received", link.bytes_received, link.frames_received)]
    {
        let labels = [("peer", short), ("direction", direction)];
        sheet.count("prunella_link_bytes_total", &labels, bytes);
        sheet.count("prunella_link_frames_total", &labels, frames);
    }
    sheet.count("prunella_link_forwarded_frames_total", &peer, link.forwarded);
    sheet.count("prunella_link_rejected_frames_total", &peer, link.rejected.iter().sum());
}

const STATES: [LinkState; 4] = [LinkState::Dialing, LinkState::Down, LinkState::Late, LinkState::Up];
