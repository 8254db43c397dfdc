//! The policy of running nodes: open streams end when it changes, its limits hold, and an issuer sets it for all nodes.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prunella::api::vocabulary::PolicyInfo;
use prunella::api::{ErrorKind, Request, Response};
use prunella::security::{Issuer, Statement};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::echo::echo_server;
use super::mesh::{Mesh, Node, OPEN_POLICY, PATIENCE, Plan, until};
use super::quarantine::Odd;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_denied_by_now_ends_and_the_others_go_on() {
    let mesh = Mesh::found(Plan::pair()).await;
    let (user, provider) = (&mesh.nodes[0], &mesh.nodes[1]);
    for name in ["one", "two"] {
        provider.expose(name, echo_server().await).await;
    }
    let (one, two) = (user.forward("one").await, user.forward("two").await);
    let (mut ends, mut stays) = (Client::to(one).await, Client::to(two).await);
    assert_eq!(show(provider).await.streams, 2);

    let denies = format!(
        "{OPEN_POLICY}\n[[rule]]\nname = 'not one'\neffect = 'deny'\nfrom = ['{}']\naction = 'connect'\nservice = ['one']\n",
        user.peer
    );
    fs::write(provider.dir.join("policy.toml"), denies).unwrap();
    let changed = Instant::now();
    provider.done(&Request::PolicyReload).await;
    ends.ended().await;
    println!("from the order to read the policy again until the user's connection was reset: {:?}", changed.elapsed());
    stays.talks().await;
    logs(provider, "streams were ended: denied by now").await;
    logs(provider, "denied by not one").await;
    logs(user, "the peer's policy does not allow it any more").await;

    assert!(Client::try_to(one).await.is_none(), "a new one is not let in");
    logs(user, "denied by not one at ").await;
    assert_eq!((counter(provider, "policy_streams_ended").await, counter(provider, "policy_denied").await), (1, 1));
    until("the stream forgotten", PATIENCE, async || match show(provider).await.streams {
        1 => Ok(()),
        streams => Err(format!("{streams} streams")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_when_its_peer_is_believed_less() {
    let believed =
        "[[rule]]\nname = 'forger'\neffect = 'deny'\nfrom = ['*']\naction = 'connect'\nreputation_below = 0.95\n";
    let mut mesh = Mesh::found(Plan { policy: format!("{OPEN_POLICY}\n{believed}"), ..Plan::pair() }).await;
    mesh.nodes[0].expose("echo", echo_server().await).await;
    mesh.nodes[1].kill();
    let odd = Odd::in_the_place_of(&mesh, 1);
    let node = &mesh.nodes[0];
    let peer = node.peer.parse().unwrap();
    let (mut send, mut recv) = timeout(PATIENCE, odd.stream(peer, node.listen, "echo")).await.unwrap();
    send.write_all(b"hello").await.unwrap();
    let mut back = [0; 5];
    timeout(PATIENCE, recv.read_exact(&mut back)).await.unwrap().unwrap();

    let changed = Instant::now();
    odd.forge(peer);
    let ended = timeout(PATIENCE, recv.read_exact(&mut back)).await.expect("the stream ends");
    println!("from the forgery until the forger's stream was reset: {:?}", changed.elapsed());
    let reset = |error: &quinn::ReadExactError| matches!(error, quinn::ReadExactError::ReadError(quinn::ReadError::Reset(code)) if code.into_inner() == 2);
    assert!(ended.as_ref().is_err_and(reset), "{ended:?}");
    logs(node, "denied by forger").await;
    let told = node.run(&["policy", "explain", "--from", "n1", "--action", "connect", "--service", "echo"]).await.ok();
    assert!(told.starts_with("denied by forger ("), "{told}");
    let supposed = ["--fact", "reputation=1"];
    let asked =
        [["policy", "explain", "--from", "n1", "--action", "connect", "--service", "echo"].as_slice(), &supposed];
    assert!(node.run(&asked.concat()).await.ok().starts_with("allowed by rule 1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_when_a_certificate_is_too_old() {
    let mesh = Mesh::found(Plan::pair()).await;
    let (user, provider) = (&mesh.nodes[0], &mesh.nodes[1]);
    provider.expose("echo", echo_server().await).await;
    let mut client = Client::to(user.forward("echo").await).await;
    let explain = ["policy", "explain", "--from", "n0", "--action", "ping", "--json"];
    let told: serde_json::Value = serde_json::from_str(&provider.run(&explain).await.ok()).unwrap();
    let age = told["facts"]["certificate_age_s"].as_u64().unwrap();
    let stale = format!(
        "{OPEN_POLICY}\n[[rule]]\nname = 'stale'\neffect = 'deny'\nfrom = ['*']\naction = 'connect'\ncertificate_older_than_s = {}\n",
        age + 5
    );
    fs::write(provider.dir.join("policy.toml"), stale).unwrap();
    provider.done(&Request::PolicyReload).await;
    client.talks().await;
    client.ended().await;
    logs(provider, "denied by stale").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_carries_nothing_for_whom_it_denies_that_by_now() {
    let mesh = Mesh::found(Plan::star(3)).await;
    let (relay, user, provider) = (&mesh.nodes[0], &mesh.nodes[1], &mesh.nodes[2]);
    user.ping(&provider.peer).await.unwrap();
    let policies = [OPEN_POLICY.replace("action = \"relay\"", "action = \"message\""), OPEN_POLICY.to_owned()];
    for (policy, reaches) in policies.into_iter().zip([false, true]) {
        fs::write(relay.dir.join("policy.toml"), policy).unwrap();
        relay.done(&Request::PolicyReload).await;
        until(&format!("{reaches}: n1 reaches n2"), 2 * PATIENCE, async || {
            let told = user.ping(&provider.peer).await;
            if told.is_ok() == reaches { Ok(()) } else { Err(format!("{told:?}")) }
        })
        .await;
        relay.ping(&provider.peer).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limits_of_a_policy_hold_at_the_gate_and_are_told_by_name() {
    let mesh = Mesh::found(Plan::pair()).await;
    let (user, provider) = (&mesh.nodes[0], &mesh.nodes[1]);
    for name in ["one", "two"] {
        provider.expose(name, echo_server().await).await;
    }
    let (one, two) = (user.forward("one").await, user.forward("two").await);
    let limit = async |limits: &str| {
        let before = show(provider).await.digest;
        fs::write(provider.dir.join("policy.toml"), format!("{OPEN_POLICY}\n{limits}")).unwrap();
        provider.done(&Request::PolicyReload).await;
        until("the limits in force", PATIENCE, async || match show(provider).await {
            info if info.digest != before => Ok(()),
            info => Err(format!("{info:?}")),
        })
        .await;
    };
    // Of each peer: whatever the service.
    for (limits, told, other) in [
        ("[limits.peer]\nconnections = 1", "1 connections are open, which is the limit", two),
        ("[limits.service]\nconnections = 1", "service one: 1 connections are open, which is the limit", one),
        ("[limits]\nconnections = 1", "this node: 1 connections are open, which is the limit", two),
    ] {
        limit(limits).await;
        let before = counter(provider, "policy_limit_connections").await;
        let first = Client::to(one).await;
        assert!(Client::try_to(other).await.is_none(), "{limits}");
        logs(user, told).await;
        assert_eq!(counter(provider, "policy_limit_connections").await, before + 1, "{limits}");
        if other == one {
            Client::to(two).await.close(provider).await;
        }
        first.close(provider).await;
        Client::to(other).await.close(provider).await;
    }

    limit("[limits.peer]\nconnections_per_second = 1").await;
    let let_in = [Client::try_to(one).await.is_some(), Client::try_to(one).await.is_some()];
    assert_eq!(let_in, [true, false], "the second within a second");
    logs(user, "more than 1 connections per second").await;
    assert_eq!(counter(provider, "policy_limit_rate").await, 1);

    limit("[limits.peer]\nbytes = 100000\nperiod_s = 3600").await;
    let mut client = Client::to(one).await;
    let passed = client.floods().await;
    assert!(passed < 100_000, "{passed} bytes came back, and as many had gone there");
    logs(user, "the peer's quota for this node is used up").await;
    logs(provider, "the quota of 100000 bytes in 3600 s is used up").await;
    assert!(counter(provider, "policy_limit_quota").await > 0);

    limit(&format!("[limits]\npeers = ['{}']", provider.peer)).await;
    assert!(Client::try_to(two).await.is_none());
    logs(user, "is not among the peers that this node's limits let connect").await;
    assert_eq!(counter(provider, "policy_limit_peers").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_sets_the_policy_of_the_whole_mesh() {
    let mut mesh = Mesh::found(Plan::star(3)).await;
    let file = |name: &str, text: &str| {
        let path = mesh.nodes[0].dir.with_file_name(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let no_ping = OPEN_POLICY.replace("action = \"ping\"", "action = \"message\"");
    let (first, second) = (file("first.toml", &no_ping), file("second.toml", OPEN_POLICY));
    let bad = file("bad.toml", "[[rule]]\neffect = 'allow'\nfrom = ['bob']\naction = 'ping'\n");
    let long = file("long.toml", &"#".repeat(6200));
    let issuer = &mesh.nodes[0];

    mesh.nodes[1].run(&["policy", "set", &first]).await.fails(1, &["no issuing key"]);
    issuer.run(&["policy", "set", &bad]).await.fails(1, &["bad.toml:3:1: `from` is wrong"]);
    issuer.run(&["policy", "set", &long]).await.fails(1, &["6144"]);
    assert!(mesh.nodes.iter().all(|node| !node.log().contains("a policy was set")), "nothing was spread");

    issuer.run(&["policy", "set", &first]).await.ok();
    let took = all_have(&mesh, 1, "first.toml").await;
    println!("from the answer of the issuer until the policy is in force at all three: {took:?}");
    let denied = mesh.nodes[1].ping(&mesh.nodes[2].peer).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Denied, "{denied}");
    // What a node's own file says does not count then.
    mesh.nodes[1].run(&["policy", "--reload"]).await.fails(1, &["version 1 of the policy is set for the whole mesh"]);

    issuer.run(&["policy", "set", &second, "--version", "5"]).await.ok();
    all_have(&mesh, 5, "second.toml").await;
    assert!(mesh.nodes[1].ping(&mesh.nodes[2].peer).await.is_ok());
    issuer.run(&["policy", "set", &first, "--version", "4"]).await.fails(2, &["version 4 is not newer than version 5"]);
    let refused = tell(&mesh.nodes[2], said(issuer, 4, &no_ping)).await.unwrap_err();
    assert!(refused.to_string().contains("version 4 of the policy is older than version 5"), "{refused}");

    mesh.nodes[2].stop().await;
    mesh.nodes[2].start().await;
    all_have(&mesh, 5, "second.toml").await;

    // A document that an issuer of another version of the program thought good: refused whole by everybody.
    tell(&mesh.nodes[0], said(&mesh.nodes[0], 6, "[[rule]]\neffect = 'allow'\nfrom = ['*']\naction = 'fly'\n"))
        .await
        .unwrap();
    for again in [false, true] {
        if again {
            mesh.nodes[2].stop().await;
            mesh.nodes[2].start().await;
        }
        for node in &mesh.nodes {
            let info = until(&format!("{} refuses version 6", node.name), PATIENCE, async || {
                let info = show(node).await;
                if info.refused.is_some() && info.version == 5 { Ok(info) } else { Err(format!("{info:?}")) }
            })
            .await;
            let refused = info.refused.unwrap();
            assert!(refused.contains("version 6") && refused.contains("p.toml:4:"), "{refused}");
            assert_eq!((info.source.as_str(), info.is_of_mesh), ("second.toml", true));
            assert_eq!(node.status().await.unwrap().policy_refused, Some(refused));
        }
    }
    assert!(mesh.nodes[1].run(&["policy", "show"]).await.ok().contains("REFUSED as a whole: version 6"));

    mesh.nodes[0].run(&["policy", "unset"]).await.ok();
    for node in &mesh.nodes {
        until("its own file back in force", PATIENCE, async || match show(node).await {
            info if info.version == 7 && !info.is_of_mesh && info.refused.is_none() => Ok(()),
            info => Err(format!("{info:?}")),
        })
        .await;
        node.run(&["policy", "--reload"]).await.ok();
    }
}

/// A connection to an echo server over the mesh.
pub(crate) struct Client {
    tcp: TcpStream,
}

impl Client {
    pub(crate) async fn to(listen: SocketAddr) -> Self {
        Self::try_to(listen).await.expect("the connection is let in")
    }

    /// `None` if the connection was not let in.
    pub(crate) async fn try_to(listen: SocketAddr) -> Option<Self> {
        // Who is refused at once may hear of it before he knows that he is connected.
        let mut client = Self { tcp: TcpStream::connect(listen).await.ok()? };
        timeout(PATIENCE, client.echo()).await.unwrap().ok().map(|()| client)
    }

    async fn echo(&mut self) -> std::io::Result<()> {
        self.tcp.write_all(b"x").await?;
        self.tcp.read_exact(&mut [0]).await.map(drop)
    }

    pub(crate) async fn talks(&mut self) {
        timeout(PATIENCE, self.echo()).await.unwrap().unwrap();
    }

    /// Waits until the connection is reset.
    pub(crate) async fn ended(&mut self) {
        let error = timeout(2 * PATIENCE, self.tcp.read_exact(&mut [0])).await.expect("it ends").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }

    /// Ends the connection in order, and waits until `provider` has forgotten it.
    async fn close(mut self, provider: &Node) {
        let before = show(provider).await.streams;
        self.tcp.shutdown().await.unwrap();
        let read = timeout(PATIENCE, self.tcp.read_to_end(&mut Vec::new())).await.unwrap();
        assert!(read.is_ok(), "{read:?}: {}", provider.log());
        until("the stream forgotten", PATIENCE, async || match show(provider).await.streams {
            streams if streams < before => Ok(()),
            streams => Err(format!("{streams} of {before} streams")),
        })
        .await;
    }

    /// Sends until the connection breaks; how many bytes came back.
    async fn floods(&mut self) -> usize {
        let (mut reader, mut writer) = self.tcp.split();
        let sending = async { while writer.write_all(&[7; 1000]).await.is_ok() {} };
        let receiving = async {
            let (mut buffer, mut sum) = ([0; 4096], 0);
            while let Ok(read @ 1..) = reader.read(&mut buffer).await {
                sum += read;
            }
            sum
        };
        timeout(PATIENCE, async { tokio::join!(sending, receiving).1 }).await.expect("the quota ends it")
    }
}

async fn show(node: &Node) -> PolicyInfo {
    match node.ask(&Request::Policy).await {
        Ok(Response::Policy(info)) => info,
        other => panic!("{other:?}"),
    }
}

async fn counter(node: &Node, name: &str) -> u64 {
    node.status().await.unwrap().counters[name]
}

/// Waits until the node has said this.
async fn logs(node: &Node, text: &str) {
    until(&format!("{} says {text:?}", node.name), PATIENCE, async || {
        let log = node.log();
        if log.contains(text) { Ok(()) } else { Err(log) }
    })
    .await;
}

/// Waits until the policy of this version is in force everywhere; how long that took.
async fn all_have(mesh: &Mesh, version: u64, name: &str) -> Duration {
    let started = Instant::now();
    for node in &mesh.nodes {
        until(&format!("version {version} at {}", node.name), PATIENCE, async || {
            let info = show(node).await;
            let has = info.is_of_mesh && info.version == version && info.source == name && info.refused.is_none();
            if has { Ok(()) } else { Err(format!("{info:?}")) }
        })
        .await;
    }
    started.elapsed()
}

/// What the issuer at that node says, in hexadecimal digits.
fn said(issuer: &Node, version: u64, text: &str) -> String {
    let key = Issuer::load(&issuer.dir).unwrap().unwrap();
    let statement = Statement::PolicySet { version, name: "p.toml".to_owned(), text: text.as_bytes().to_vec() };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    data_encoding::HEXLOWER.encode(&key.key().say(statement, now).unwrap().to_bytes())
}

async fn tell(node: &Node, statement: String) -> Result<Response, prunella::api::Error> {
    node.ask(&Request::Tell { statement }).await
}

const _: () = assert!(PATIENCE.as_secs() > Duration::from_secs(10).as_secs(), "ages are told anew in that time");
