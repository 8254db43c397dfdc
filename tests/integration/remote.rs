//! Commands from one node to another: who may give which, what is written down, and what hostile or lost nodes come to.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use prunella::api::client::Client;
use prunella::api::vocabulary::{LedgerInfo, PolicyInfo};
use prunella::api::{Error, ErrorKind, Request, Response};
use prunella::transport::SessionError;
use prunella_core::ledger::{Entry, EventKind};
use prunella_core::limits::{
    REMOTE_COMMANDS_PER_SECOND, REMOTE_CONVERSATIONS_PER_PEER_MAX, REMOTE_REQUEST_BYTES_MAX, REMOTE_REQUEST_TIMEOUT,
};
use prunella_core::wire::{StreamOpen, StreamRefusal};
use quinn::RecvStream;
use tokio::time::timeout;

use super::mesh::{Mesh, Node, OPEN_POLICY, PATIENCE, Plan, until};
use super::quarantine::Odd;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remote_command_is_denied_unless_a_rule_allows_it_and_then_no_other_one_is() {
    let mesh = Mesh::found(Plan::star(3)).await;
    // n0 is the relay between the two.
    let (user, far) = (&mesh.nodes[1], &mesh.nodes[2]);
    user.run(&["--node", "n2", "peers"]).await.fails(3, &["n2", "the command peers", "default: no rule allows it"]);
    let told = user.run(&["--node", "n2", "peers", "--json"]).await;
    let error: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!((told.code, error["error"]["kind"].as_str()), (3, Some("denied")), "{told:?}");
    user.run(&["ping", "n2", "--count", "1"]).await.ok();

    decide(far, &format!("{}command = ['peers', 'links']\n", rule("two commands", &user.peer))).await;
    let peers = user.run(&["peers", "--node", "n2", "--json"]).await.ok();
    let peers: serde_json::Value = serde_json::from_str(&peers).unwrap();
    let itself = peers["peers"].as_array().unwrap().iter().find(|peer| peer["state"] == "myself").unwrap();
    assert_eq!(itself["name"], "n2", "the other node answers, not the one that was asked");
    let links = user.run(&["--node", &far.peer[..12], "links"]).await.ok();
    let of = |name: &str| links.lines().any(|line| line.split_whitespace().next() == Some(name));
    assert!(of("n0") && !of("n2"), "{links}");
    let others = [["status"].as_slice(), &["policy"], &["shared", "set", "a", "b"], &["down"], &["ledger", "export"]];
    for arguments in others {
        let told = user.run(&[&["--node", "n2"], arguments].concat()).await;
        told.fails(3, &["denied by default: no rule allows it"]);
    }
    // The rule is about one node, and one direction.
    mesh.nodes[0].run(&["--node", "n2", "peers"]).await.fails(3, &["no rule allows it"]);
    far.run(&["--node", "n1", "peers"]).await.fails(3, &["no rule allows it"]);
    let explain = ["policy", "explain", "--from", "n1", "--action", "command", "--command"];
    for (command, verdict) in [("peers", "allowed by two commands ("), ("down", "denied: no rule allows it")] {
        let told = far.run(&[explain.as_slice(), &[command]].concat()).await.ok();
        assert!(told.starts_with(verdict), "{told}");
    }
    // Nothing was changed, so nothing is written down, and who was denied is counted.
    for node in [user, far] {
        let texts: Vec<_> = commanded(node).await.into_iter().map(|entry| entry.text).collect();
        assert!(texts.iter().all(|text| text == "policy --reload"), "{texts:?}");
    }
    assert!(counter(far, "policy_denied").await >= 8 && counter(far, "remote_performed").await == 2);

    user.run(&["--node", "n9", "peers"]).await.fails(1, &["no node \"n9\" is known"]);
    user.run(&["--node", "n1", "peers"]).await.fails(2, &["is this node itself"]);
    for here in
        [["init"].as_slice(), &["policy", "check", "p.toml"], &["ledger", "verify", "/d"], &["seal", "--to", "b.key"]]
    {
        user.run(&[&["--node", "n2"], here].concat()).await.fails(2, &["--node is for commands that a running node"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_remote_command_changes_is_in_both_ledgers_with_who_and_from_where() {
    let mut mesh = Mesh::found(Plan::pair()).await;
    let uid = format!("uid {}", rustix::process::geteuid().as_raw());
    let (user, far) = (&mesh.nodes[0], &mesh.nodes[1]);
    let who = user.peer.clone();
    decide(far, &format!("{}kind = ['change']\n", rule("changes", &who))).await;
    let done = user.run(&["--node", "n1", "policy", "--reload"]).await.ok();
    assert_eq!(done, "the rules were read again\n");

    let is_remote = |entry: &Entry| entry.who == who;
    let performed: Vec<Entry> = commanded(far).await.into_iter().filter(is_remote).collect();
    let from = format!("session, reported {uid}");
    assert_eq!(performed.len(), 1, "{performed:?}");
    assert_eq!((performed[0].text.as_str(), &performed[0].from), ("policy --reload", &from), "{performed:?}");
    let sent = commanded(user).await;
    let expected = format!("--node {} policy --reload", far.peer);
    assert_eq!((sent.len(), &sent[0].text, &sent[0].who), (1, &expected, &uid), "{sent:?}");
    assert!(sent[0].from.starts_with("control socket, pid "), "{sent:?}");

    // What is grave needs a rule of its own. What is denied was never sent, and is in neither.
    user.run(&["--node", "n1", "down"]).await.fails(3, &["no rule allows it"]);
    user.run(&["--node", "n1", "expose", "ssh", "tcp://127.0.0.1:22"]).await.fails(3, &["no rule allows it"]);
    assert_eq!((commanded(user).await.len(), commanded(far).await.into_iter().filter(is_remote).count()), (1, 1));
    decide(far, &format!("{}command = ['down']\n", rule("down", &who))).await;
    assert_eq!(user.run(&["--node", "n1", "down"]).await.ok(), "the node stops\n");
    let status = mesh.nodes[1].process.as_mut().unwrap().ended(PATIENCE).await;
    assert_eq!(status.code(), Some(0));
    let exported = mesh.nodes[1].run(&["ledger", "export"]).await.ok();
    let down = exported.lines().find(|line| line.contains("\"down\"")).expect("it is written down before it is done");
    assert!(down.contains(&who) && down.contains(&from), "{down}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shell_ends_when_it_is_denied_by_now_and_each_line_needs_its_own_right() {
    let mut mesh = Mesh::found(Plan::star(3)).await;
    mesh.nodes[2].kill();
    let (far, user) = (&mesh.nodes[0], &mesh.nodes[1]);
    let socket = user.dir.join("control.sock");
    let lines = rule("lines", &user.peer) + "command = ['peers', 'ping', 'shared-get']\n";
    let shell = rule("shell", &user.peer).replace("'command'", "'shell'");

    // Commands alone open no shell.
    decide(far, &lines).await;
    let mut client = Client::at(&socket, "n0", true);
    let refused = denied(client.request(&Request::Peers { after: None }).await);
    assert!(refused.to_string().contains("n0 does not allow this node a shell: denied by default"), "{refused}");
    decide(far, &format!("{lines}{shell}")).await;
    for _ in 0..2 {
        assert!(matches!(client.request(&Request::Peers { after: None }).await.unwrap(), Response::Peers { .. }));
        let refused = denied(client.request(&Request::Links).await);
        assert_eq!(refused.to_string(), "denied by default: no rule allows it: the command links");
    }
    let missing = client.request(&Request::SharedGet { key: "a".to_owned() }).await.unwrap();
    assert!(matches!(missing, Response::Error { error } if error.kind() == ErrorKind::KeyNotFound));
    assert_eq!(
        (counter(far, "remote_open").await, policy(far).await.streams),
        (1, 1),
        "all of it was one conversation"
    );
    let opened = commanded(far).await.into_iter().filter(|entry| entry.text == "shell" && entry.who == user.peer);
    assert_eq!(opened.count(), 1);
    let sent = format!("--node {} shell", far.peer);
    assert!(commanded(user).await.iter().any(|entry| entry.text == sent));

    // While nothing is asked, and while something is.
    decide(far, &lines).await;
    ends(far).await;
    let ended = denied(client.request(&Request::Peers { after: None }).await).to_string();
    assert!(ended.contains("n0 has ended the shell") && ended.ends_with("nothing was sent"), "{ended}");
    denied(client.request(&Request::Peers { after: None }).await);
    let mut client = Client::at(&socket, "n0", false);
    let waits = tokio::spawn(async move { client.request(&ping_the_dead()).await });
    opens(far).await;
    let changed = Instant::now();
    decide(far, &shell).await;
    let ended = denied(waits.await.unwrap());
    println!("from the order to read the policy again until the command was ended: {:?}", changed.elapsed());
    assert!(ended.to_string().contains("n0 has ended it: the peer's policy does not allow it any more"), "{ended}");

    // Whoever gives up waiting keeps no place.
    decide(far, &lines).await;
    let mut client = Client::at(&socket, "n0", false);
    let waits = tokio::spawn(async move { client.request(&ping_the_dead()).await });
    opens(far).await;
    let left = Instant::now();
    waits.abort();
    ends(far).await;
    println!("from the user's leave until the other node had dropped the question: {:?}", left.elapsed());
    assert!(left.elapsed() < Duration::from_secs(4), "it was dropped, and did not end by itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_node_is_told_with_whether_the_command_may_have_been_done() {
    let mut mesh = Mesh::found(Plan { policy: everything(), ..Plan::pair() }).await;
    let socket = mesh.nodes[0].dir.join("control.sock");
    for (request, remains) in [
        (Request::Unexpose { name: "web".to_owned() }, "the command may have been done: the ledger of n1 says"),
        (Request::Peers { after: None }, "nothing was to be changed"),
    ] {
        let mut client = Client::at(&socket, "n1", true);
        client.request(&Request::Status).await.unwrap();
        let sent = counter(&mesh.nodes[0], "remote_asked").await;
        mesh.nodes[1].signal(rustix::process::Signal::STOP);
        let asked = tokio::spawn(async move { client.request(&request).await });
        until("the command sent", PATIENCE, async || match counter(&mesh.nodes[0], "remote_asked").await {
            more if more > sent => Ok(()),
            same => Err(format!("{same} were")),
        })
        .await;
        assert!(!asked.is_finished());
        mesh.nodes[1].kill();
        mesh.nodes[1].start().await;
        let told = timeout(4 * PATIENCE, asked).await.expect("it is told").unwrap().unwrap();
        let Response::Error { error } = told else { panic!("{told:?}") };
        assert!(error.to_string().contains("n1 was lost before it has answered"), "{error}");
        assert!(error.to_string().ends_with(remains) && error.kind().exit_code() == 1, "{error}");
        mesh.whole().await;
    }
    let sent = format!("--node {} expose --remove web", mesh.nodes[1].peer);
    assert!(commanded(&mesh.nodes[0]).await.iter().any(|entry| entry.text == sent));
    // Nobody is there: then it is known that nothing was done.
    mesh.nodes[1].kill();
    let told = mesh.nodes[0].run(&["--node", "n1", "cert", "rotate"]).await;
    told.fails(1, &["n1", "nothing was sent"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_a_node_is_refused_by_name_whatever_the_policy_says_and_so_is_garbage() {
    let mut mesh = Mesh::found(Plan { policy: everything(), ..Plan::star(3) }).await;
    mesh.nodes[2].kill();
    let (far, user) = (&mesh.nodes[0], &mesh.nodes[1]);
    let policy = far.dir.join("policy.toml").display().to_string();
    let breaks =
        [["kill", "gossip"].as_slice(), &["chaos", "clear"], &["chaos", "status"], &["policy", "set", &policy]];
    for arguments in breaks {
        user.run(&[&["--node", "n0"], arguments].concat()).await.fails(3, &["never done from afar"]);
    }
    let explain = ["policy", "explain", "--from", "n1", "--action", "command", "--command", "chaos"];
    far.run(&explain).await.fails(2, &["the command chaos is never done from afar"]);

    // One that does not look at the table itself, and has the key of a member.
    let (odd, peer) = (Odd::in_the_place_of(&mesh, 2), far.peer.parse().unwrap());
    odd.link_to(peer, far.listen).await;
    let open = async |command: &str| odd.open(peer, &StreamOpen::Command { command: command.to_owned(), uid: 0 }).await;
    for (command, says) in [("chaos", "never done from afar"), ("dance", "there is no command")] {
        let refused = open(command).await.unwrap_err();
        let SessionError::Refused(StreamRefusal::Denied { rule }) = &refused else { panic!("{refused}") };
        assert!(rule.starts_with("the program: ") && rule.contains(says), "{rule}");
    }
    let before = actors(far).await;
    for (line, kind, counted) in [
        (&b"{\"request\":\"shutdown\"}\n"[..], ErrorKind::Denied, "remote_unauthorized"),
        (b"{\"request\":\"chaos\",\"chaos\":\"clear\"}\n", ErrorKind::Denied, "remote_unauthorized"),
        (b"\xff\xfe\0\n", ErrorKind::InvalidInput, "remote_malformed"),
        (b"{\"request\":\"dance\"}\n", ErrorKind::InvalidInput, "remote_malformed"),
        (&[b'['; REMOTE_REQUEST_BYTES_MAX + 2], ErrorKind::OverLimit, "remote_over_limit"),
        (b"", ErrorKind::TimedOut, "remote_silent"),
    ] {
        let had = counter(far, counted).await;
        let (mut send, recv) = open("peers").await.unwrap();
        send.write_all(line).await.unwrap();
        let answers = lines(recv).await;
        let [Response::Error { error }] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!((error.kind(), counter(far, counted).await), (kind, had + 1), "{error}");
    }
    // What comes after the one request is not read; in a shell garbage ends the conversation.
    let (mut send, recv) = open("links").await.unwrap();
    send.write_all(b"{\"request\":\"links\"}\n{\"request\":\"shutdown\"}\n").await.unwrap();
    assert!(matches!(&lines(recv).await[..], [Response::Links { .. }]));
    let (mut send, recv) = odd.open(peer, &StreamOpen::Shell { uid: 7 }).await.unwrap();
    let script = b"{\"request\":\"policy\"}\n{\"request\":\"chaos\",\"chaos\":\"status\"}\n{\"request\":\"peers\"}\n";
    send.write_all(script).await.unwrap();
    let answers = lines(recv).await;
    let [Response::Policy(_), Response::Error { error }] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(error.kind(), ErrorKind::Denied);

    // More conversations than one peer may have; others are served meanwhile.
    ends(far).await;
    let mut held = Vec::new();
    for _ in 0..REMOTE_CONVERSATIONS_PER_PEER_MAX {
        held.push(odd.open(peer, &StreamOpen::Shell { uid: 0 }).await.unwrap());
    }
    let refused = open("peers").await.map(drop).unwrap_err();
    assert_eq!(refused, SessionError::Refused(StreamRefusal::Busy));
    assert_eq!(counter(far, "remote_busy").await, 1);
    user.run(&["--node", "n0", "peers"]).await.ok();
    drop(held);
    ends(far).await;
    assert_eq!(actors(far).await, before, "no actor was restarted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_allowed_to_command_does_so_no_faster_than_the_limit() {
    let mut mesh = Mesh::found(Plan { policy: everything(), ..Plan::star(3) }).await;
    mesh.nodes[2].kill();
    let (far, user) = (&mesh.nodes[0], &mesh.nodes[1]);
    let (odd, peer) = (Odd::in_the_place_of(&mesh, 2), far.peer.parse().unwrap());
    odd.link_to(peer, far.listen).await;
    let (asked, had) = (8 * REMOTE_COMMANDS_PER_SECOND as usize, counter(far, "remote_flood").await);
    let (mut send, recv) = odd.open(peer, &StreamOpen::Shell { uid: 7 }).await.unwrap();
    send.write_all(&b"{\"request\":\"policy\"}\n".repeat(asked)).await.unwrap();
    send.finish().unwrap();
    // What is too much is refused, and the shell goes on; others are served meanwhile.
    user.run(&["--node", "n0", "peers"]).await.ok();
    let answers = lines(recv).await;
    let is_flood =
        |answer: &&Response| matches!(answer, Response::Error { error } if error.kind() == ErrorKind::OverLimit);
    let refused = answers.iter().filter(is_flood).count();
    assert!(matches!(answers[0], Response::Policy(_)), "{:?}", answers[0]);
    assert!(answers.len() == asked && refused > 0, "{refused} of {} were refused", answers.len());
    assert_eq!(counter(far, "remote_flood").await, had + refused as u64);
}

/// The beginning of a rule that lets a node command; what follows says what.
fn rule(name: &str, from: &str) -> String {
    format!("\n[[rule]]\nname = '{name}'\neffect = 'allow'\nfrom = ['{from}']\naction = 'command'\n")
}

/// Everything is allowed to everybody.
pub(crate) fn everything() -> String {
    "cedar = '''\n@name(\"all\")\npermit (principal, action, resource);\n'''\n".to_owned()
}

/// Puts these rules in force at a node, beside those that every node has.
async fn decide(node: &Node, rules: &str) {
    let before = policy(node).await.digest;
    fs::write(node.dir.join("policy.toml"), format!("{OPEN_POLICY}{rules}")).unwrap();
    node.done(&Request::PolicyReload).await;
    until("the rules in force", PATIENCE, async || match policy(node).await {
        info if info.digest != before => Ok(()),
        info => Err(format!("{info:?}")),
    })
    .await;
}

async fn policy(node: &Node) -> PolicyInfo {
    match node.ask(&Request::Policy).await {
        Ok(Response::Policy(info)) => info,
        other => panic!("{other:?}"),
    }
}

async fn counter(node: &Node, name: &str) -> u64 {
    node.status().await.unwrap().counters[name]
}

/// Waits until somebody converses with the node.
async fn opens(node: &Node) {
    until("a conversation open", PATIENCE, async || match counter(node, "remote_open").await {
        1 => Ok(()),
        open => Err(format!("{open} are")),
    })
    .await;
}

/// Waits until nobody converses with the node any more.
async fn ends(node: &Node) {
    until("no conversation open", PATIENCE, async || match counter(node, "remote_open").await {
        0 => Ok(()),
        open => Err(format!("{open} are")),
    })
    .await;
}

/// A question that takes some seconds.
fn ping_the_dead() -> Request {
    Request::Ping { destination: "n2".to_owned(), timeout_ms: 20_000 }
}

#[track_caller]
fn denied(answer: Result<Response, Error>) -> Error {
    match answer {
        Ok(Response::Error { error }) if error.kind() == ErrorKind::Denied => error,
        other => panic!("not denied: {other:?}"),
    }
}

/// The commands in the node's ledger.
async fn commanded(node: &Node) -> Vec<Entry> {
    match node.ask(&Request::Ledger { last: 1000, kind: Some(EventKind::Commanded) }).await {
        Ok(Response::Ledger(LedgerInfo { entries, .. })) => entries,
        other => panic!("{other:?}"),
    }
}

/// How often each actor was restarted.
async fn actors(node: &Node) -> BTreeMap<String, u64> {
    node.actors().await.unwrap().into_iter().map(|actor| (actor.name, actor.restarts)).collect()
}

/// All that comes until the stream ends.
async fn lines(mut recv: RecvStream) -> Vec<Response> {
    let all = timeout(REMOTE_REQUEST_TIMEOUT + PATIENCE, recv.read_to_end(1 << 20)).await.expect("it ends").unwrap();
    let lines = all.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}
