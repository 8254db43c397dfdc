//! What the node exports about itself.

use std::time::Instant;

use super::answers::Answers;
use crate::metrics::sheet::Sheet;
use crate::metrics::{asked, node};

impl Answers {
    /// Every metric of the node, in the text format of Prometheus, version 0.0.4. It takes as long as the slowest of a few
    /// actors that are asked, and no longer than 100 ms for them.
    pub(super) async fn metrics(&self) -> String {
        let began = Instant::now();
        let told = asked::ask(self.shell()).await;
        let mut sheet = Sheet::default();
        node::write(self.shell(), &told, &mut sheet);
        let counters = self.remote.counters();
        let counted = |name: &str| counters.get(name).copied().unwrap_or_default();
        for (what, count) in [("performed", counted("remote_performed")), ("asked", counted("remote_asked"))] {
            sheet.count("prunella_remote_commands_total", &[("what", what)], count);
        }
        sheet.show("prunella_remote_commands_open", &[], counted("remote_open") as f64);
        sheet.show("prunella_scrape_seconds", &[], began.elapsed().as_secs_f64());
        sheet.into_text()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use prunella_core::frame::FrameKey;
    use prunella_core::limits::NEIGHBORS_MAX;
    use prunella_core::peer::{LinkReport, LinkState};
    use prunella_core::record::NodeBody;
    use prunella_core::wiring::Command;
    use prunella_core::{Label, LinkId, PeerId};

    use super::*;
    use crate::actors::driver::Perform;
    use crate::actors::shell::Shell;
    use crate::actors::stats::Place;
    use crate::api::configuration::load;
    use crate::api::node::{Running, start};
    use crate::api::setup::{Algorithm, InitOptions, init};
    use crate::datapath::LinkInstall;

    async fn node(home: &std::path::Path) -> Running {
        let (trust_domain, certificates) = ("mesh.test".to_owned(), Algorithm::default());
        init(home, InitOptions { name: None, trust_domain, certificates, listen: None, advertise: Vec::new() })
            .unwrap();
        let mut config = load(home, None).unwrap();
        config.listen = ([127, 0, 0, 1], 0).into();
        start(home, config, false).await.unwrap()
    }

    fn neighbor(shell: &Shell, number: u16, peer: PeerId) -> LinkReport {
        let (id, label) = (LinkId(1000 + u64::from(number)), Label(number + 1));
        let [send_key, receive_key] = [1, 2].map(|byte| FrameKey::from_bytes([byte; 16]));
        let remote = ([127, 0, 0, 1], 50_000 + number).into();
        shell.port.install_link(LinkInstall { id, peer, remote, label, send_key, receive_key, may_relay: true });
        let name = crate::actors::directory::peer_name(&peer);
        shell.directory.register.at(&Place { name, parent: Some("peers".to_owned()) });
        LinkReport {
            peer,
            link: Some((id, label)),
            state: LinkState::Up,
            rtt: Duration::from_micros(1234),
            loss_permille: 3,
            probes_returned: 1_000_000,
            probes_lost: 100,
            heard: None,
            established: 3,
            probed_every: Duration::from_millis(200),
            carries_until: prunella_core::Instant::BOOT,
            failing: false,
            latency: Default::default(),
        }
    }

    /// What one scrape costs beyond the answers of actors, and how long its text is.
    #[tokio::test]
    async fn a_scrape_is_short_and_quick_whatever_is_known() {
        let home = tempfile::tempdir().unwrap();
        let running = node(home.path()).await;
        let shell = Arc::clone(running.answers.shell());
        let key = |i: u16| [i as u8, (i >> 8) as u8].repeat(16).try_into().unwrap();
        let peers: Vec<PeerId> = (0..1000).map(|i| PeerId::from_public_key(key(i))).collect();
        let alone = running.answers.metrics().await.len();
        for peer in &peers {
            let body = NodeBody { name: "n".repeat(63), region: "somewhere".to_owned(), ..NodeBody::default() };
            shell.perform(Command::NodeChanged { peer: *peer, body: Some(body) });
        }
        assert_eq!(shell.known.count(), 1001);
        let known = running.answers.metrics().await.len();
        assert!(known < alone + 200, "{known} bytes, {alone} before anybody was known");

        let mut told = asked::ask(&shell).await;
        told.links = peers.iter().take(NEIGHBORS_MAX).zip(0..).map(|(peer, i)| neighbor(&shell, i, *peer)).collect();
        let scrape = || {
            let began = Instant::now();
            let mut sheet = Sheet::default();
            node::write(&shell, &told, &mut sheet);
            let text = sheet.into_text();
            (began.elapsed(), text)
        };
        let (took, text) = (0..10).map(|_| scrape()).min_by_key(|(took, _)| *took).unwrap();
        assert_eq!(text.matches("\nprunella_link_round_trip_seconds{").count(), NEIGHBORS_MAX);
        assert!(text.len() < 500_000, "{} bytes", text.len());
        assert!(took < SCRAPE_MAX, "{} bytes in {took:?}", text.len());
        running.stop().await;
    }

    /// Without optimization it is slow.
    const SCRAPE_MAX: Duration = Duration::from_millis(if cfg!(debug_assertions) { 200 } else { 20 });
}
