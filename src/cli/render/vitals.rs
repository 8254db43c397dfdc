//! How the node's process is.

use super::page::Page;
use super::quantity::{bytes, span};
use crate::api::vocabulary::{ProcessInfo, TracesInfo, VitalsInfo};

pub(super) fn vitals(info: &VitalsInfo, now_unix_ms: u64, page: &mut Page) {
    let fact = |page: &mut Page, title: &str, fact: String| page.line(&format!("{title:<12} {fact}"));
    if let Some(process) = &info.process {
        let ProcessInfo { processor_ms, resident_bytes, descriptors, descriptors_max, threads, started_unix } = process;
        let age = span(now_unix_ms.saturating_sub(started_unix * 1000));
        fact(page, "process", format!("{}, {age} old, {threads} threads", info.pid));
        fact(page, "processor", format!("{} in all", span(*processor_ms)));
        fact(page, "memory", bytes(*resident_bytes));
        let most = descriptors_max.map_or("no limit".to_owned(), |most| format!("{most} at most"));
        fact(page, "descriptors", format!("{descriptors}, {most}"));
    } else {
        fact(page, "process", info.pid.to_string());
    }
    let VitalsInfo { tasks, workers, queued, .. } = info;
    fact(page, "tasks", format!("{tasks} alive on {workers} threads, {queued} queued"));
    fact(page, "late", format!("{}, {} at most in a minute", late(info.late_us), late(info.late_max_us)));
    fact(page, "mailboxes", format!("{} waiting, {} in the longest", info.mailbox, info.mailbox_max));
    fact(page, "store", format!("{} changes waiting", info.store_backlog));
    fact(page, "traces", info.traces.map_or("not exported".to_owned(), traces));
}

fn traces(info: TracesInfo) -> String {
    let TracesInfo { exported, queued, dropped, failed, not_joined, failing } = info;
    let mut text = format!("{exported} spans exported, {queued} waiting, {} lost", dropped + failed);
    if not_joined > 0 {
        text += &format!(", {not_joined} not begun for others");
    }
    text + if failing { "; THE COLLECTOR TAKES NONE" } else { "" }
}

/// How late something was, in microseconds.
fn late(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_with_how_late_it_is() {
        let process = ProcessInfo {
            processor_ms: 4_200,
            resident_bytes: 27 << 20,
            descriptors: 31,
            descriptors_max: Some(1024),
            threads: 5,
            started_unix: 1_000,
        };
        let info = VitalsInfo {
            pid: 7,
            tasks: 40,
            workers: 2,
            queued: 1,
            late_us: 310,
            late_max_us: 12_340,
            mailbox: 9,
            mailbox_max: 8,
            store_backlog: 0,
            traces: None,
            process: Some(process),
        };
        let text = |info: &VitalsInfo| {
            let mut page = Page::default();
            vitals(info, 1_090_000, &mut page);
            page.into_text()
        };
        let expected = "\
process      7, 1 min 30 s old, 5 threads
processor    4.2 s in all
memory       27.0 MiB
descriptors  31, 1024 at most
tasks        40 alive on 2 threads, 1 queued
late         310 µs, 12.3 ms at most in a minute
mailboxes    9 waiting, 8 in the longest
store        0 changes waiting
traces       not exported
";
        assert_eq!(text(&info), expected);
        let traces = TracesInfo { exported: 70, queued: 2, dropped: 3, failed: 4, not_joined: 0, failing: true };
        let told = text(&VitalsInfo { traces: Some(traces), ..info });
        assert!(
            told.ends_with("traces       70 spans exported, 2 waiting, 7 lost; THE COLLECTOR TAKES NONE\n"),
            "{told}"
        );
        assert!(text(&VitalsInfo { process: None, ..info }).starts_with("process      7\ntasks        40 alive"));
    }
}
