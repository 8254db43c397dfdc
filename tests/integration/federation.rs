//! Joining as a workload, over a real Workload API: who is let in, who is not, and what a federated node may do afterwards.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use prunella::security::{
    self, Algorithm, CERTIFICATE_LIFE, Credentials, IssuingKey, Svid, join_client, join_exporter, prove, quinn_client,
    server_name, workload_of,
};
use prunella::{ErrorKind, Request};
use prunella_core::identity::Identity;
use prunella_core::wire::admission::Refusal;
use prunella_core::wire::{Admission, AdmissionReply, codec};
use quinn::Endpoint;
use rustls::time_provider::DefaultTimeProvider;
use tokio::time::timeout;
use toml::Table;

use super::echo::echo_server;
use super::mesh::{Mesh, Node, OPEN_POLICY, PATIENCE, Plan, until};
use super::policing::Client;
use super::process::{Told, run};
use super::workload_api::{Agent, Domain, Given, Issued};

/// Workloads of the mesh's own people at any path, and one of the partner's, may join.
const ADMITS: &str = r#"
[[rule]]
name = "our workloads"
effect = "allow"
from = ["*"]
action = "admit"
trust_domain = ["corp.example"]

[[rule]]
name = "the partner's client"
effect = "allow"
from = ["*"]
action = "admit"
spiffe_id = ["spiffe://partner.example/client"]
"#;

/// A mesh of one issuer that learns the bundles of its own SPIFFE trust domain and of the partner's from its agent.
struct Setting {
    mesh: Mesh,
    agent: Agent,
    ours: Domain,
    partner: Domain,
    home: tempfile::TempDir,
}

impl Setting {
    async fn new(policy: &str) -> Self {
        Self::certifying("ed25519", policy).await
    }

    async fn certifying(certificates: &'static str, policy: &str) -> Self {
        let (ours, partner) = (Domain::new("corp.example"), Domain::new("partner.example"));
        let agent = Agent::start(Given::bundles(&[&ours, &partner]));
        let config: Table = format!("[federation]\nworkload_api = \"{}\"\n", agent.endpoint()).parse().unwrap();
        let policy = format!("{OPEN_POLICY}\n{policy}");
        let mesh = Mesh::found(Plan { config, policy, certificates, ..Plan::alone() }).await;
        let setting = Self { mesh, agent, ours, partner, home: tempfile::tempdir().unwrap() };
        setting.heard(1).await;
        setting
    }

    fn issuer(&self) -> &Node {
        &self.mesh.nodes[0]
    }

    /// Waits until the issuer has heard of bundles so often.
    async fn heard(&self, times: usize) {
        until("the bundles heard", PATIENCE, async || {
            match self.issuer().log().matches("the Workload API gave bundles").count() {
                count if count >= times => Ok(()),
                _ => Err(self.issuer().log()),
            }
        })
        .await;
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Has a host join on which an agent gives this SVID.
    async fn join(&self, name: &str, svid: Issued) -> Told {
        let agent = Agent::start(Given::bundles(&[&self.ours, &self.partner]).with_svid(svid));
        self.join_by(&agent, name).await
    }

    async fn join_by(&self, agent: &Agent, name: &str) -> Told {
        let authority = self.issuer().dir.join("authority.pem");
        join(&self.dir(name), &self.issuer().bootstrap(), authority.to_str().unwrap(), agent).await
    }

    async fn counted(&self, name: &str) -> u64 {
        self.issuer().status().await.unwrap().counters[&format!("admission_refused_{name}")]
    }
}

async fn join(dir: &Path, inviter: &str, authority: &str, agent: &Agent) -> Told {
    run(dir, &["join", inviter, "--authority", authority, "--workload-api", &agent.endpoint()]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workload_joins_on_its_svid_when_a_rule_lets_it_and_its_node_says_as_what_it_came() {
    let setting = Setting::new(ADMITS).await;
    let issuer = setting.issuer();
    setting.join("ours", setting.ours.issue("ns/web")).await.ok();
    let credentials = Credentials::load(&setting.dir("ours")).unwrap();
    let chain = credentials.chain_ders();
    let workload = workload_of(&chain).unwrap();
    assert_eq!(workload.to_string(), "spiffe://corp.example/ns/web");

    // The ledger says on whose word.
    until("the admission written down", PATIENCE, async || {
        let told = issuer.run(&["ledger", "show", "--kind", "admitted"]).await.ok();
        if told.contains("spiffe://corp.example/ns/web") { Ok(()) } else { Err(told) }
    })
    .await;
    // Again, from the same place: the node keeps its key.
    let again = setting.join("ours", setting.ours.issue("ns/web")).await.ok();
    assert!(again.contains(&credentials.peer().to_string()), "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_let_in_is_told_why_by_name_and_counted() {
    let setting = Setting::new(ADMITS).await;
    let (ours, partner, stranger) = (&setting.ours, &setting.partner, Domain::new("stranger.example"));
    let impostor = Domain::new("partner.example");
    let stolen = Issued { key: ours.issue("x").key, ..ours.issue("ns/web") };
    for (name, svid, code, why) in [
        ("not_allowed", partner.issue("another"), 3, "policy does not let this workload join"),
        ("unknown_trust_domain", stranger.issue("client"), 1, "no bundle of the SVID's trust domain"),
        ("svid_forged", impostor.issue("client"), 1, "was not issued by its trust domain's authorities"),
        ("svid_expired", partner.issue_until("client", -5), 1, "the SVID has expired"),
        ("svid_not_proven", stolen, 1, "did not prove that it holds the SVID's key"),
    ] {
        setting.join(name, svid).await.fails(code, &[why]);
        assert_eq!(setting.counted(name).await, 1, "{name}");
        assert!(!setting.dir(name).join("certificate.pem").exists());
    }
    let log = setting.issuer().log();
    assert!(log.contains("spiffe://partner.example/another") && log.contains("default: no rule allows it"), "{log}");

    // Nor is anything shown to whoever is not who was named.
    let agent = Agent::start(Given::default().with_svid(ours.issue("ns/web")));
    let (wrong, right) = ("00".repeat(32), fingerprint_of(setting.issuer()));
    let astray = setting.issuer().bootstrap();
    join(&setting.dir("astray"), &astray, &wrong, &agent).await.fails(1, &["not the one that was named"]);
    let other = format!("{}@{}", Identity::from_secret(&[7; 32]).peer(), setting.issuer().listen);
    join(&setting.dir("other"), &other, &right, &agent).await.fails(1, &["not the one that was named"]);
    join(&setting.dir("bad"), &astray, "no-such-file", &agent).await.fails(2, &["neither a fingerprint"]);
    let unregistered = Agent::start(Given::default());
    setting.join_by(&unregistered, "nobody").await.fails(1, &["gives nothing", "no identity"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_rule_nobody_joins_as_a_workload() {
    let anybody = "[[rule]]\neffect = \"allow\"\nfrom = [\"*\"]\naction = \"admit\"\n";
    for policy in ["", anybody] {
        let setting = Setting::new(policy).await;
        setting.join("ours", setting.ours.issue("ns/web")).await.fails(3, &["policy does not let this workload join"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workload_joins_a_mesh_of_ml_dsa_certificates_with_both_of_its_keys() {
    let setting = Setting::certifying("ml-dsa-65", ADMITS).await;
    let svid = setting.ours.issue("ns/web");
    let agent = Agent::start(Given::bundles(&[&setting.ours, &setting.partner]).with_svid(svid.clone()));
    setting.join_by(&agent, "ours").await.fails(1, &["of another algorithm"]);
    let authority = setting.issuer().dir.join("authority.pem").display().to_string();
    let (inviter, api, dir) = (setting.issuer().bootstrap(), agent.endpoint(), setting.dir("ours"));
    let join = ["join", &inviter, "--authority", &authority, "--workload-api", &api, "--certificates", "ml-dsa-65"];
    run(&dir, &join).await.ok();
    let chain = Credentials::load(&dir).unwrap().chain_ders();
    assert!(chain.iter().all(|der| Algorithm::of(der) == Ok(Algorithm::MlDsa65)));
    assert_eq!(workload_of(&chain).map(|workload| workload.to_string()), Some(svid.id));
}

/// A request that was made on one connection is sent again on another, by somebody who saw it and holds its own node key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_was_overheard_is_worth_nothing_on_another_connection() {
    let setting = Setting::new(ADMITS).await;
    let issued = setting.ours.issue("ns/web");
    let svid = Svid::new(vec![issued.svid.clone()], &issued.key).unwrap();
    let issuer = Credentials::load(&setting.issuer().dir).unwrap();
    let (victim, thief) = (Identity::from_secret(&[7; 32]), Identity::from_secret(&[8; 32]));
    let request = |exporter: &[u8], by: &Identity| Admission::Vouched {
        svid: svid.chain().to_vec(),
        svid_proof: svid.vouch(exporter, &issuer.peer(), &by.peer()).unwrap(),
        public_key: by.peer().to_bytes(),
        mldsa_key: vec![],
        proof: prove(by, exporter),
    };
    let mut overheard: Option<Admission> = None;
    // As it should be; with the thief's own node; word for word.
    for (round, expected) in [None, Some(Refusal::SvidNotProven), Some(Refusal::SvidNotProven)].into_iter().enumerate()
    {
        let endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let config = join_client(
            (issuer.authority_fingerprint(), issuer.algorithm()),
            None,
            issuer.peer(),
            Arc::new(DefaultTimeProvider),
        );
        let name = server_name(&issuer.peer());
        let connecting = endpoint.connect_with(quinn_client(config), setting.issuer().listen, &name).unwrap();
        let connection = timeout(PATIENCE, connecting).await.unwrap().unwrap();
        let exporter = join_exporter(&connection).unwrap();
        let admission = match (round, overheard.clone()) {
            (1, Some(Admission::Vouched { svid, svid_proof, .. })) => {
                let (public_key, proof) = (thief.peer().to_bytes(), prove(&thief, &exporter));
                Admission::Vouched { svid, svid_proof, public_key, mldsa_key: vec![], proof }
            }
            (_, Some(again)) => again,
            (_, None) => request(&exporter, &victim),
        };
        match (exchange(&connection, &admission).await, expected) {
            (AdmissionReply::Admitted { .. }, None) => {}
            (AdmissionReply::Refused(refusal), Some(expected)) => assert_eq!(refusal, expected, "{round}"),
            (reply, _) => panic!("{round}: {reply:?}"),
        }
        overheard.get_or_insert(admission);
    }
    assert_eq!(setting.counted("svid_not_proven").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_that_rotates_is_followed_and_while_the_agent_is_away_the_last_one_counts() {
    let mut setting = Setting::new(ADMITS).await;
    let next = Domain::new("corp.example");
    setting.join("early", next.issue("ns/web")).await.fails(1, &["was not issued by"]);
    // Both for a while, then the new one alone.
    let both = [setting.ours.authority.clone(), next.authority.clone()].concat();
    let mut given = Given::bundles(&[&setting.partner]);
    given.bundles.insert("spiffe://corp.example".to_owned(), both);
    setting.agent.give(given);
    setting.heard(2).await;
    setting.join("new", next.issue("ns/web")).await.ok();
    setting.join("old", setting.ours.issue("ns/web")).await.ok();
    setting.agent.give(Given::bundles(&[&next]));
    setting.heard(3).await;
    setting.join("late", setting.ours.issue("ns/web")).await.fails(1, &["was not issued by"]);
    setting.join("gone", setting.partner.issue("client")).await.fails(1, &["no bundle of"]);

    setting.agent.go_away();
    until("the agent missed", PATIENCE, async || {
        let log = setting.issuer().log();
        if log.contains("the Workload API is away") { Ok(()) } else { Err(log) }
    })
    .await;
    setting.join("meanwhile", next.issue("ns/web")).await.ok();
    setting.agent.give(Given::bundles(&[&setting.ours]));
    setting.agent.come_back();
    setting.heard(4).await;
    setting.join("back", setting.ours.issue("ns/web")).await.ok();
    setting.join("over", next.issue("ns/web")).await.fails(1, &["was not issued by"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_federated_node_may_do_what_a_rule_names_it_for_and_nothing_else() {
    let crosses = r#"
[[rule]]
name = "partner to web"
effect = "allow"
from = ["*"]
action = "connect"
service = ["web"]
trust_domain = ["partner.example"]
"#;
    let mut setting = Setting::new(&format!("{ADMITS}\n{crosses}")).await;
    setting.join("partner", setting.partner.issue("client")).await.ok();
    let mut partner = joined(&setting, "partner", 7);
    partner.start().await;
    let issuer = setting.issuer();
    for service in ["web", "db"] {
        issuer.expose(service, echo_server().await).await;
    }
    let (web, db) = (partner.forward("web").await, partner.forward("db").await);
    let mut client = Client::to(web).await;
    assert!(Client::try_to(db).await.is_none(), "no rule names it for this one");
    // Members in general may ping, and connect to anything: that means the mesh's own.
    let denied = partner.ping(&issuer.peer).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Denied, "{denied}");
    partner.run(&["ping", &issuer.peer, "--count", "1"]).await.fails(3, &["default: no rule allows it"]);
    let explained = ["policy", "explain", "--from", &partner.peer, "--action", "connect", "--service", "web"];
    let told = issuer.run(&explained).await.ok();
    assert!(told.starts_with("allowed by partner to web"), "{told}");
    assert!(told.contains("trust_domain=\"partner.example\" spiffe_id=\"spiffe://partner.example/client\""), "{told}");

    // Renewed, it is still the partner's.
    partner.run(&["cert", "rotate"]).await.ok();
    let shown = partner.run(&["cert", "show"]).await.ok();
    assert!(shown.contains("/for/partner.example/client"), "{shown}");
    client.talks().await;

    // The rules go: what is open ends, and nothing is renewed any more.
    fs::write(issuer.dir.join("policy.toml"), OPEN_POLICY).unwrap();
    issuer.done(&Request::PolicyReload).await;
    client.ended().await;
    partner.run(&["cert", "rotate"]).await.fails(1, &["policy does not let this workload join"]);
    setting.mesh.nodes[0].stop().await;
}

/// Whose certificate ended while it was away shows an older one, which must not make it one of the mesh's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_federated_node_that_comes_back_late_is_still_federated() {
    let setting = Setting::new(ADMITS).await;
    setting.join("partner", setting.partner.issue("client")).await.ok();
    let credentials = Credentials::load(&setting.dir("partner")).unwrap();
    let workload = workload_of(&credentials.chain_ders());
    let authority = security::load_authority(&setting.issuer().dir, None).unwrap();
    let issued = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() - 2 * 24 * 3600;
    let then = IssuingKey::appointed_by(&authority, issued).unwrap();
    let expired = then.issue(credentials.member(), issued, CERTIFICATE_LIFE).unwrap();
    credentials.replace_certificate(expired.clone()).unwrap();
    security::store(&setting.dir("partner"), &credentials).unwrap();
    let mut partner = joined(&setting, "partner", 7);
    partner.start().await;
    until("the certificate renewed", PATIENCE, async || {
        let chain = Credentials::load(&partner.dir).unwrap().chain_ders();
        if chain == expired { Err(partner.log()) } else { Ok(()) }
    })
    .await;
    assert_eq!(workload_of(&Credentials::load(&partner.dir).unwrap().chain_ders()), workload);
    partner.run(&["ping", &setting.issuer().peer, "--count", "1"]).await.fails(3, &["default: no rule allows it"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_in_a_file_counts_and_is_read_again_when_it_changes() {
    let partner = Domain::new("partner.example");
    let config: Table = "[federation]\nbundles = [\"partner.example=partner.pem\"]\n".parse().unwrap();
    let policy = format!("{OPEN_POLICY}\n{ADMITS}");
    let mesh = Mesh::found(Plan { config, policy, ..Plan::alone() }).await;
    let (issuer, home) = (&mesh.nodes[0], tempfile::tempdir().unwrap());
    assert!(issuer.log().contains("nobody can join on this trust domain's word yet"), "{}", issuer.log());
    let agent = Agent::start(Given::bundles(&[&partner]).with_svid(partner.issue("client")));
    let authority = fingerprint_of(issuer);
    let join = |name: &str| {
        let dir = home.path().join(name);
        let (agent, authority) = (&agent, &authority);
        async move { join(&dir, &issuer.bootstrap(), authority, agent).await }
    };
    join("early").await.fails(1, &["the inviting node failed"]);
    let certificate = |of: &Domain| {
        let body = data_encoding::BASE64.encode(&of.authority);
        format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
    };
    fs::write(issuer.dir.join("partner.pem"), certificate(&partner)).unwrap();
    join("good").await.ok();
    fs::write(issuer.dir.join("partner.pem"), certificate(&Domain::new("partner.example"))).unwrap();
    join("late").await.fails(1, &["was not issued by"]);
}

// --- What the tests share --------------------------------------------------------------------------------------------

/// A node that has joined in this directory.
fn joined(setting: &Setting, name: &str, number: usize) -> Node {
    let mut node = Node::new(setting.home.path(), number);
    fs::remove_dir_all(&node.dir).unwrap();
    fs::rename(setting.dir(name), &node.dir).unwrap();
    let config =
        format!("name = {name:?}\nlisten = \"{}\"\nbootstrap = [{:?}]\n", node.listen, setting.issuer().bootstrap());
    fs::write(node.dir.join("config.toml"), config).unwrap();
    fs::write(node.dir.join("policy.toml"), OPEN_POLICY).unwrap();
    node.peer = Credentials::load(&node.dir).unwrap().peer().to_string();
    node
}

fn fingerprint_of(node: &Node) -> String {
    data_encoding::HEXLOWER.encode(&Credentials::load(&node.dir).unwrap().authority_fingerprint())
}

async fn exchange(connection: &quinn::Connection, admission: &Admission) -> AdmissionReply {
    let exchange = async {
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        let bytes = codec::encode_message(admission);
        send.write_all(&[&(bytes.len() as u32).to_be_bytes()[..], &bytes].concat()).await.unwrap();
        let mut length = [0; 4];
        recv.read_exact(&mut length).await.unwrap();
        let mut reply = vec![0; u32::from_be_bytes(length) as usize];
        recv.read_exact(&mut reply).await.unwrap();
        codec::decode_message(&reply).unwrap()
    };
    timeout(PATIENCE, exchange).await.unwrap()
}
