//! What the node answers about its process. No actor is asked: it is answered while all of them are stuck.

use super::answers::Answers;
use super::vocabulary::{ProcessInfo, TracesInfo, VitalsInfo};
use crate::host::Process;
use crate::spans::SpanCounts;

impl Answers {
    pub(super) fn vitals(&self) -> VitalsInfo {
        let shell = self.shell();
        let runtime = tokio::runtime::Handle::current().metrics();
        let [late, late_max] = shell.tallies.lateness.read(shell.clock.now());
        let waiting: Vec<u64> = shell.directory.register.all().into_iter().map(|(_, stats)| stats.waiting()).collect();
        VitalsInfo {
            pid: std::process::id(),
            tasks: runtime.num_alive_tasks(),
            workers: runtime.num_workers(),
            queued: runtime.global_queue_depth(),
            late_us: late.as_micros() as u64,
            late_max_us: late_max.as_micros() as u64,
            mailbox: waiting.iter().sum(),
            mailbox_max: waiting.into_iter().max().unwrap_or_default(),
            store_backlog: shell.directory.backlog.len(),
            traces: shell.tracer.counts().map(traces),
            process: shell.host.process().map(told),
        }
    }
}

fn traces(counts: SpanCounts) -> TracesInfo {
    let SpanCounts { exported, dropped, failed, queued, not_joined, failure } = counts;
    TracesInfo { exported, queued, dropped, failed, not_joined, failing: failure.is_some() }
}

fn told(process: Process) -> ProcessInfo {
    ProcessInfo {
        processor_ms: process.processor.as_millis() as u64,
        resident_bytes: process.resident,
        descriptors: process.descriptors,
        descriptors_max: process.descriptors_max,
        threads: process.threads,
        started_unix: process.started.as_secs(),
    }
}
