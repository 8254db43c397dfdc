//! What a node exports of its overlay interface; zero where it has none.

use super::sheet::Sheet;
use crate::actors::shell::Shell;

/// Everything that the interface has counted.
pub(super) fn write(shell: &Shell, sheet: &mut Sheet) {
    let overlay = shell.port.overlay();
    let c = overlay.map(|overlay| overlay.counters()).unwrap_or_default();
    sheet.counts("prunella_tun_packets_total", "direction", &[("sent", c.sent), ("received", c.received)]);
    sheet.counts("prunella_tun_bytes_total", "direction", &[("sent", c.sent_bytes), ("received", c.received_bytes)]);
    sheet.count("prunella_tun_delivered_total", &[], c.delivered);
    let dropped = [
        ("stray", c.strays),
        ("too_big", c.too_big),
        ("waiting_full", c.waiting_full),
        ("no_route", c.no_route),
        ("duplicate", c.duplicates),
        ("foreign", c.foreign),
        ("denied", c.denied_packets),
        ("unjudged_full", c.unjudged_full),
        ("interface_full", c.interface_full),
        ("marked", c.marked),
        ("queue", c.dropped_waiting),
    ];
    sheet.counts("prunella_tun_dropped_total", "reason", &dropped);
    sheet.count("prunella_tun_flows_denied_total", &[], c.denied);
    sheet.count("prunella_tun_cut_total", &[], c.cut);
    sheet.count("prunella_tun_waited_total", &[], c.waited);
    sheet.show_count("prunella_tun_tunnels", &[], overlay.map_or(0, |overlay| overlay.tunnels().len()));
}
