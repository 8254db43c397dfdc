//! Ledgers of real nodes: what is written, what survives, and what neighbors find out.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use prunella::api::vocabulary::{Failure, LedgerInfo};
use prunella::api::{Request, Response};
use prunella::security::{Credentials, LINK_ALPN, quinn_client, server_name};
use prunella_core::Label;
use prunella_core::ledger::{Entry, Event, EventKind, Ledger};
use prunella_core::record::{Body, Kind, LIFE_BITS, Record, RecordId};
use prunella_core::wire::{Control, codec};
use prunella_storage::log::Log;
use quinn::Endpoint;

use super::actors::comes_back;
use super::mesh::{Mesh, Node, PATIENCE, Plan, until};
use super::process::run;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_matters_for_trust_is_written_down_with_who_did_it() {
    let mut mesh = Mesh::found(Plan::star(3)).await;
    let [n0, n1, n2] = [0, 1, 2].map(|number| mesh.nodes[number].peer.clone());
    let node = &mesh.nodes[0];
    for peer in [&n1, &n2] {
        written(node, EventKind::Admitted, |entry| (&entry.subject, &entry.who) == (peer, &n0)).await;
    }
    written(node, EventKind::Started, |entry| entry.text == env!("CARGO_PKG_VERSION")).await;
    let policy = written(node, EventKind::PolicyChanged, |entry| entry.text.starts_with("3 rules put in force")).await;
    assert_eq!(policy.from, "policy.toml", "where it lies on this host is nobody else's business");

    // Who commands is written down before it is done, and nothing secret is.
    node.run(&["policy", "--reload"]).await.ok();
    let reload = written(node, EventKind::Commanded, |entry| entry.text == "policy --reload").await;
    assert_eq!(reload.who, format!("uid {}", rustix::process::geteuid().as_raw()));
    assert!(reload.from.starts_with("control socket, pid "), "{reload:?}");
    // Whether a busy disk keeps the value in time is not what this is about.
    node.run(&["shared", "set", "db/password", "hunter2"]).await;
    written(node, EventKind::Commanded, |entry| entry.text == "shared set db/password (7 bytes)").await;
    node.run(&["status"]).await.ok();

    // A revocation is written down by everybody who obeys it, and so is that it was taken back.
    node.run(&["cert", "revoke", "n2", "--reason", "its disk was sold"]).await.ok();
    for node in [0, 1].map(|number| &mesh.nodes[number]) {
        let told = written(node, EventKind::Revoked, |entry| entry.subject == n2).await;
        assert!(told.text == "its disk was sold" && told.who.starts_with("statement "), "{told:?}");
        written(node, EventKind::Quarantined, |entry| entry.subject == n2 && entry.text == "it was revoked").await;
    }
    node.run(&["cert", "reinstate", &n2]).await.ok();
    for node in [0, 1].map(|number| &mesh.nodes[number]) {
        written(node, EventKind::Readmitted, |entry| entry.subject == n2 && entry.text == "it was reinstated").await;
    }
    // Other rules.
    let policy = node.dir.join("policy.toml");
    fs::write(&policy, "[[rule]]\neffect = \"allow\"\nfrom = [\"*\"]\naction = \"ping\"\n").unwrap();
    node.run(&["policy", "--reload"]).await.ok();
    written(node, EventKind::PolicyChanged, |entry| entry.text.starts_with("1 rules put in force")).await;
    let text = node.run(&["ledger", "export"]).await.ok();
    assert!(!text.contains("hunter2") && !text.contains("\"status\""), "{text}");

    // A plan that did something.
    mesh.nodes[1].kill();
    let plan = written(&mesh.nodes[0], EventKind::PlanExecuted, |entry| entry.subject.contains("link-down")).await;
    assert!(plan.text.starts_with("redial: "), "{plan:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_verifies_after_kills_and_whoever_has_a_proof_needs_no_node() {
    let mut mesh = Mesh::found(Plan::pair()).await;
    for round in 0..2 {
        let node = &mut mesh.nodes[0];
        for key in ["a", "b", "c"] {
            give(node, &format!("{key}{round}")).await;
        }
        node.kill();
        let told = node.run(&["ledger", "verify"]).await.ok();
        assert!(told.contains("ok  every entry is as it was written"), "{told}");
        let exported = node.run(&["ledger", "export"]).await.ok();
        assert_eq!(exported.matches("\"commanded\"").count(), 3 * (round + 1), "{exported}");
        node.start().await;
        let told = node.run(&["ledger", "verify"]).await.ok();
        assert!(told.contains("ok  every entry is as it was written"), "{told}");
    }
    let node = &mesh.nodes[0];
    comes_back(node, "ledger", Failure::Panic).await;
    give(node, "after").await;
    let last = written(node, EventKind::Commanded, |entry| entry.text == "expose --remove after").await;
    node.run(&["ledger", "verify"]).await.ok();

    // The neighbor vouches for the head that it has seen.
    let index = last.index.to_string();
    let proof = until("a proof with a witness", PATIENCE, async || {
        let told = node.run(&["ledger", "prove", &index, "--json"]).await;
        if told.code == 0 && told.stdout.contains(&mesh.nodes[1].peer) {
            Ok(told.stdout)
        } else {
            Err(format!("{told:?}"))
        }
    })
    .await;
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("proof.json");
    let verify = ["ledger", "verify", "--proof", file.to_str().unwrap()];
    fs::write(&file, &proof).unwrap();
    let told = run(elsewhere.path(), &verify).await.ok();
    assert!(told.contains(&format!("ok  seen by {}", mesh.nodes[1].peer)), "{told}");
    fs::write(&file, proof.replace("--remove after", "--remove before")).unwrap();
    run(elsewhere.path(), &verify).await.fails(1, &["it proves nothing"]);
    node.run(&["ledger", "prove", "999999"]).await.fails(2, &["none with the number 999999"]);

    // A copy of the files is enough to walk the ledger, and an export has every entry.
    let out = elsewhere.path().join("ledger.jsonl");
    let export = node.run(&["ledger", "export", "-o", out.to_str().unwrap()]).await;
    assert!(export.stderr.contains("exported"), "{export:?}");
    let lines: Vec<Entry> =
        fs::read_to_string(&out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut read = Ledger::new(node.peer.parse().unwrap());
    lines.iter().for_each(|entry| read.push(entry).unwrap());
    assert!(read.size() > last.index);
    let copy = elsewhere.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for file in fs::read_dir(node.dir.join("ledger")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    run(elsewhere.path(), &["ledger", "verify", copy.to_str().unwrap()]).await.ok();
    run(elsewhere.path(), &["ledger", "verify"]).await.fails(1, &["there is no ledger in"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_was_truncated_or_rewritten_is_found_by_the_neighbors() {
    let mut mesh = Mesh::found(Plan::pair()).await;
    for number in [0, 1] {
        for key in 0..12 {
            give(&mesh.nodes[number], &format!("key-{key}")).await;
        }
    }
    watched(&mesh.nodes[0], &mesh.nodes[1]).await;
    watched(&mesh.nodes[1], &mesh.nodes[0]).await;

    // Its operator would rather forget.
    mesh.nodes[1].kill();
    replace(&mesh.nodes[1], |entries| entries.truncate(2));
    mesh.nodes[1].start().await;
    found(&mesh.nodes[0], "n1", "truncated").await;
    incident(&mesh.nodes[0], "ledger-broken", "truncated").await;
    let told = mesh.nodes[1].run(&["ledger", "show"]).await.ok();
    assert!(told.contains("SET BACK"), "{told}");
    incident(&mesh.nodes[1], "ledger-set-back", "others have seen").await;
    written(&mesh.nodes[1], EventKind::RolledBack, |entry| entry.text.contains("witnessed")).await;
    mesh.nodes[1].run(&["ledger", "verify"]).await.fails_quietly("it was set back");

    // Or have done something else, and no less of it.
    mesh.nodes[0].kill();
    let owner = mesh.nodes[0].peer.parse().unwrap();
    replace(&mesh.nodes[0], |entries| {
        let mut ledger = Ledger::new(owner);
        let size = entries.len() + 20;
        entries.clear();
        for _ in 0..size {
            let event = Event::Started { version: "innocent".to_owned() };
            let entry = ledger.next(&event, 1_000_000_000_000);
            ledger.push(&entry).unwrap();
            entries.push(entry);
        }
    });
    let told = mesh.nodes[0].run(&["ledger", "verify"]).await.ok();
    assert!(told.contains("ok  every entry"), "by itself it cannot be told: {told}");
    mesh.nodes[0].start().await;
    found(&mesh.nodes[1], "n0", "").await;
    let witnessed = written(&mesh.nodes[1], EventKind::Witnessed, |entry| entry.subject == mesh.nodes[0].peer).await;
    assert!(witnessed.text.contains("before:"), "{witnessed:?}");
    let score = mesh.nodes[1].run(&["reputation", "n0"]).await.ok();
    assert!(score.contains("broken_ledger"), "{score}");
    // It is told, and nobody is left for it: a disk that was restored looks the same.
    mesh.nodes[1].run(&["ping", "n0", "--count", "1"]).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_of_a_ledger_is_named_by_its_entry_and_the_node_goes_on() {
    let mut mesh = Mesh::found(Plan::pair()).await;
    for key in 0..5 {
        give(&mesh.nodes[0], &format!("key-{key}")).await;
    }
    watched(&mesh.nodes[1], &mesh.nodes[0]).await;
    mesh.nodes[0].kill();
    let damaged = flip(&mesh.nodes[0], "expose --remove key-2");
    // Nobody has a copy.
    mesh.nodes[1].kill();
    let _ = fs::remove_dir_all(mesh.nodes[1].dir.join("ledger-copies"));
    mesh.nodes[1].start().await;
    let told = mesh.nodes[0].run(&["ledger", "verify"]).await;
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.stdout.contains(&format!("BAD entry {damaged}: ")), "{told:?}");
    mesh.nodes[0].start().await;
    let node = &mesh.nodes[0];
    let named = written(node, EventKind::Damaged, |entry| entry.subject.contains(&damaged.to_string())).await;
    assert!(named.index > damaged, "{named:?}");
    assert!(node.run(&["status"]).await.ok().contains("TROUBLE"), "{}", node.log());
    assert!(node.log().contains("the ledger is damaged"), "{}", node.log());
    incident(node, "ledger-damaged", &format!("entries of this ledger: {damaged}: not what was written")).await;
    give(node, "key-9").await;
    written(node, EventKind::Commanded, |entry| entry.text == "expose --remove key-9").await;
    node.run(&["ledger", "verify"]).await.fails_quietly(&format!("entry {damaged}"));
    // What was signed still holds: nobody is accused.
    watched(&mesh.nodes[1], &mesh.nodes[0]).await;
    assert_eq!(info(&mesh.nodes[1]).await.unwrap().findings, []);

    // The last entry is damaged: what it was, its own signed head tells, as this node has it or others do.
    mesh.nodes[0].kill();
    let last = entries(&mesh.nodes[0]).last().unwrap().text.clone();
    flip(&mesh.nodes[0], &last);
    mesh.nodes[0].start().await;
    until("the ledger goes on", PATIENCE, async || {
        let info = info(&mesh.nodes[0]).await?;
        if info.ready && info.waiting == 0 { Ok(()) } else { Err(format!("{info:?}")) }
    })
    .await;
    watched(&mesh.nodes[1], &mesh.nodes[0]).await;
    assert_eq!(info(&mesh.nodes[1]).await.unwrap().findings, []);
}

/// What a disk loses of a ledger, the neighbors have: it comes back as it was, whoever lies about it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flipped_bits_are_named_and_repaired_with_a_neighbors_help_and_no_liar_is_believed() {
    let mut mesh = Mesh::found(Plan::pair()).await;
    for key in 0..6 {
        give(&mesh.nodes[0], &format!("key-{key}")).await;
    }
    watched(&mesh.nodes[1], &mesh.nodes[0]).await;
    copied(&mesh.nodes[1], &mesh.nodes[0]).await;
    let head = info(&mesh.nodes[0]).await.unwrap().head;
    let before = whole(&mesh.nodes[0]).await;

    mesh.nodes[0].kill();
    let damaged = [flip(&mesh.nodes[0], "expose --remove key-2"), flip(&mesh.nodes[0], "expose --remove key-3")];
    assert_eq!(damaged[1], damaged[0] + 1, "two in a row");
    let told = mesh.nodes[0].run(&["ledger", "verify"]).await;
    assert!(damaged.iter().all(|index| told.stdout.contains(&format!("BAD entry {index}: "))), "{told:?}");
    // The witness forgets everything but its files.
    mesh.nodes[1].kill();
    mesh.nodes[1].start().await;
    mesh.nodes[0].start().await;
    let node = &mesh.nodes[0];
    written(node, EventKind::Damaged, |entry| entry.subject.contains(&damaged[0].to_string())).await;
    let repaired = written(node, EventKind::Repaired, |entry| entry.who == mesh.nodes[1].peer).await;
    assert_eq!(repaired.subject, format!("entries of this ledger: {}, {}", damaged[0], damaged[1]));
    let told = node.run(&["ledger", "verify"]).await.ok();
    assert!(
        told.contains(&format!("repaired  {}, with the help of {}", repaired.subject, mesh.nodes[1].peer)),
        "{told}"
    );
    let told = info(node).await.unwrap();
    assert_eq!((told.damaged, told.repaired, told.others_given, told.trouble), (vec![], 2, 0, None));
    assert!(node.log().contains("damaged entries of the ledger are as they were again"), "{}", node.log());
    incident(node, "ledger-damaged", "lasted").await;
    // It is what it was, to the last bit, and its head with it.
    let after = whole(node).await;
    assert_eq!(after[..before.len()], before[..]);
    let mut read = Ledger::new(node.peer.parse().unwrap());
    after[..head.size as usize].iter().for_each(|entry| read.push(entry).unwrap());
    assert_eq!(read.head(), head);
    watched(&mesh.nodes[1], node).await;
    assert_eq!(info(&mesh.nodes[1]).await.unwrap().findings, []);

    // The same again, and the neighbor gives back something else.
    copied(&mesh.nodes[1], &mesh.nodes[0]).await;
    mesh.nodes[0].kill();
    mesh.nodes[1].kill();
    let damaged = flip(&mesh.nodes[0], "expose --remove key-4");
    let copies = mesh.nodes[1].dir.join("ledger-copies").join(&mesh.nodes[0].peer);
    for half in fs::read_dir(copies).unwrap() {
        change_log(&half.unwrap().path(), |entries| {
            entries.iter_mut().filter(|entry| entry.index == damaged).for_each(|entry| entry.text = "nothing".into());
        });
    }
    mesh.nodes[1].start().await;
    mesh.nodes[0].start().await;
    let node = &mesh.nodes[0];
    until("the lie to be refused", PATIENCE, async || {
        let told = info(node).await?;
        if told.others_given > 0 { Ok(()) } else { Err(format!("{told:?}")) }
    })
    .await;
    let told = info(node).await.unwrap();
    assert_eq!((told.damaged, told.repaired), (vec![damaged], 0));
    assert!(node.log().contains("it is not used"), "{}", node.log());
    node.run(&["ledger", "verify"]).await.fails_quietly(&format!("entry {damaged}"));
}

/// Two copies of one node's directory write different entries, and both are seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_histories_of_one_node_are_found_by_the_neighbor_that_sees_both() {
    let mut mesh = Mesh::found(Plan::pair()).await;
    for key in 0..3 {
        give(&mesh.nodes[1], &format!("key-{key}")).await;
    }
    watched(&mesh.nodes[0], &mesh.nodes[1]).await;
    mesh.nodes[1].kill();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = elsewhere.path().join("other");
    copy_all(&mesh.nodes[1].dir, &other);

    // One of them runs on a host whose clock is ahead.
    write_more(&mesh.nodes[1].dir.join("ledger"), 4, Duration::from_secs(3600));
    mesh.nodes[1].start().await;
    watched(&mesh.nodes[0], &mesh.nodes[1]).await;
    assert_eq!(info(&mesh.nodes[0]).await.unwrap().findings, []);
    mesh.nodes[1].kill();

    // The other one has written more, and earlier.
    fs::remove_dir_all(&mesh.nodes[1].dir).unwrap();
    copy_all(&other, &mesh.nodes[1].dir);
    write_more(&mesh.nodes[1].dir.join("ledger"), 30, Duration::ZERO);
    mesh.nodes[1].start().await;
    found(&mesh.nodes[0], "n1", "forked").await;
    assert!(mesh.nodes[0].log().contains("is_proof=true"), "the two heads convince anybody: {}", mesh.nodes[0].log());
    incident(&mesh.nodes[0], "ledger-broken", "forked").await;
    written(&mesh.nodes[1], EventKind::RolledBack, |entry| entry.text.contains("witnessed")).await;
    incident(&mesh.nodes[1], "ledger-set-back", "others have seen").await;
    let told = mesh.nodes[0].run(&["reputation", "n1"]).await.ok();
    assert!(told.contains("broken_ledger"), "{told}");
}

/// Whoever has a node's key says an old head of it as its newest word, over a link of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_head_that_is_said_again_as_new_is_found_and_costs_no_reputation() {
    let mut mesh = Mesh::found(Plan::pair()).await;
    give(&mesh.nodes[1], "earlier").await;
    watched(&mesh.nodes[0], &mesh.nodes[1]).await;
    let old = info(&mesh.nodes[0]).await.unwrap().watched.remove(0).head;
    give(&mesh.nodes[1], "later").await;
    watched(&mesh.nodes[0], &mesh.nodes[1]).await;
    mesh.nodes[1].kill();

    let (node, thief) = (&mesh.nodes[0], Credentials::load(&mesh.nodes[1].dir).unwrap());
    let unix_ms = UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    let record = Record {
        id: RecordId { origin: thief.peer(), kind: Kind::LedgerHead, key: String::new() },
        version: (unix_ms + 1000) << LIFE_BITS,
        issued_ms: unix_ms,
        expires_ms: unix_ms + 300_000,
        body: Body::LedgerHead(old),
    };
    let signed = record.sign(thief.identity()).signed.clone();
    let endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let name = server_name(&node.peer.parse().unwrap());
    let config = quinn_client(thief.client(LINK_ALPN));
    let connection = endpoint.connect_with(config, node.listen, &name).unwrap().await.unwrap();
    let (mut send, _unread) = connection.open_bi().await.unwrap();
    for control in [Control::Hello { incarnation: 1, label: Label(1) }, Control::Push(vec![signed])] {
        let message = codec::encode_message(&control);
        send.write_all(&[&(message.len() as u32).to_be_bytes()[..], &message].concat()).await.unwrap();
    }
    found(node, "n1", "replayed").await;
    incident(node, "ledger-broken", "replayed").await;
    assert!(node.log().contains("is_proof=false"), "each head was true once: {}", node.log());
    let told = node.run(&["reputation", "n1"]).await.ok();
    assert!(!told.contains("broken_ledger"), "{told}");
}

/// A directory that cannot be a ledger's: the node runs without one, says so, and begins it when that is possible.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_cannot_be_opened_is_named_and_tried_again() {
    let mut mesh = Mesh::found(Plan::alone()).await;
    let node = &mut mesh.nodes[0];
    node.kill();
    let (place, aside) = (node.dir.join("ledger"), node.dir.join("aside"));
    fs::rename(&place, &aside).unwrap();
    fs::write(&place, "in the way").unwrap();
    node.start().await;
    until("the trouble told", PATIENCE, async || {
        let told = node.run(&["status"]).await.ok();
        if told.contains("TROUBLE") { Ok(()) } else { Err(told) }
    })
    .await;
    give(node, "early").await;
    fs::remove_file(&place).unwrap();
    fs::rename(&aside, &place).unwrap();
    written(node, EventKind::Commanded, |entry| entry.text == "expose --remove early").await;
    node.run(&["ledger", "verify"]).await.ok();
    assert!(!node.run(&["status"]).await.ok().contains("TROUBLE"));
}

/// A full disk holds nobody up for long, and loses nothing of what was to be written down; nor does a slow one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_are_done_while_the_disk_is_full_and_written_down_when_there_is_room() {
    let mut mesh = Mesh::found(Plan::alone()).await;
    let node = &mut mesh.nodes[0];
    node.run(&["chaos", "disk", "--full", "--for", "60s"]).await.ok();
    give(node, "full-1").await;
    give(node, "full-2").await;
    let told = until("the trouble told", PATIENCE, async || {
        let told = info(node).await?;
        if told.waiting >= 2 && told.trouble.is_some() { Ok(told) } else { Err(format!("{told:?}")) }
    })
    .await;
    assert!(told.trouble.as_deref().is_some_and(|trouble| trouble.contains("on purpose")), "{told:?}");
    assert!(told.entries.iter().all(|entry| !entry.text.contains("full-1")), "{told:?}");
    node.run(&["chaos", "clear"]).await.ok();
    written(node, EventKind::Commanded, |entry| entry.text == "expose --remove full-1").await;
    written(node, EventKind::Commanded, |entry| entry.text == "expose --remove full-2").await;
    assert_eq!(info(node).await.unwrap().trouble, None);

    node.run(&["chaos", "disk", "--slow", "300ms", "--for", "60s"]).await.ok();
    give(node, "slow").await;
    written(node, EventKind::Commanded, |entry| entry.text == "expose --remove slow").await;
    node.kill();
    node.start().await;
    let told = node.run(&["ledger", "verify"]).await.ok();
    assert!(told.contains("ok  every entry is as it was written"), "{told}");
    written(node, EventKind::Commanded, |entry| entry.text == "expose --remove slow").await;
}

/// Gives a command that changes nothing, because there is no such service: it is written down all the same.
async fn give(node: &Node, service: &str) {
    node.run(&["expose", "--remove", service]).await.fails(1, &["exposes no service"]);
}

async fn info(node: &Node) -> Result<LedgerInfo, String> {
    match node.ask(&Request::Ledger { last: 1000, kind: None }).await {
        Ok(Response::Ledger(info)) => Ok(info),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

/// Waits until a node has written down something of this kind of which this holds.
async fn written(node: &Node, kind: EventKind, holds: impl Fn(&Entry) -> bool) -> Entry {
    until(&format!("{} to have written down that it is {}", node.name, kind.name()), PATIENCE, async || {
        let entries = info(node).await?.entries;
        let found = entries.iter().find(|entry| entry.kind == kind && holds(entry));
        found.cloned().ok_or_else(|| format!("{entries:#?}"))
    })
    .await
}

/// Waits until one node has proven everything that another has written.
async fn watched(witness: &Node, node: &Node) {
    until(&format!("{} to have seen the ledger of {}", witness.name, node.name), PATIENCE, async || {
        let size = info(node).await?.head.size;
        let seen = info(witness).await?.watched.into_iter().find(|watched| watched.name == node.name);
        let seen = seen.map(|watched| watched.head.head.size);
        if seen == Some(size) { Ok(()) } else { Err(format!("{seen:?} of {size}")) }
    })
    .await;
}

/// Waits until a node has found this fault with the ledger of another; empty: any.
async fn found(node: &Node, name: &str, fault: &str) {
    until(&format!("{} to find {name} {fault}", node.name), PATIENCE, async || {
        let findings = info(node).await?.findings;
        let is_found = findings.iter().any(|found| found.name == name && found.fault.contains(fault));
        if is_found { Ok(()) } else { Err(format!("{findings:?}")) }
    })
    .await;
    assert!(node.log().contains("the ledger of another node is not what it was"), "{}", node.log());
}

/// Waits until a node tells of an incident of this kind, with these words about it.
async fn incident(node: &Node, kind: &str, words: &str) {
    until(&format!("{} to tell of {kind}: {words}", node.name), PATIENCE, async || {
        let told = node.run(&["incidents"]).await.ok();
        let mut stories = told.split('#').filter(|story| story.contains(kind));
        if stories.any(|story| story.contains(words)) { Ok(()) } else { Err(told) }
    })
    .await;
}

/// Waits until one node has copies of everything that another has said that it has written.
async fn copied(witness: &Node, node: &Node) {
    until(&format!("{} to have copies of {}", witness.name, node.name), PATIENCE, async || {
        let told = info(witness).await?;
        let seen = told.watched.iter().find(|watched| watched.name == node.name).map(|seen| seen.head.head.size);
        let until = told.copies.iter().find(|copied| copied.name == node.name).map(|copied| copied.until);
        if seen.is_some() && seen == until { Ok(()) } else { Err(format!("{until:?} of {seen:?}")) }
    })
    .await;
}

/// All entries of a running node, as it exports them.
async fn whole(node: &Node) -> Vec<Entry> {
    let text = node.run(&["ledger", "export"]).await.ok();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Writes more entries into the ledger in this directory, as if at a time so far ahead.
fn write_more(place: &Path, count: u64, ahead: Duration) {
    let unix_ms = (UNIX_EPOCH.elapsed().unwrap() + ahead).as_millis() as u64;
    let (mut log, _) = Log::open(place).unwrap();
    let read = |index| Entry::decode(&log.read(index).unwrap()).unwrap();
    let entries: Vec<Entry> = (0..log.len()).map(read).collect();
    let mut ledger = Ledger::new(entries[0].ledger);
    entries.iter().for_each(|entry| ledger.push(entry).unwrap());
    for number in 0..count {
        let event =
            Event::Commanded { command: format!("{count} {number}"), who: "uid 0".into(), from: "local".into() };
        let entry = ledger.next(&event, unix_ms);
        ledger.push(&entry).unwrap();
        log.append(&[entry.encode()]).unwrap();
    }
}

/// Copies a directory with everything in it.
fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for found in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(found.file_name());
        if found.file_type().unwrap().is_dir() {
            copy_all(&found.path(), &target);
        } else if found.file_type().unwrap().is_file() {
            fs::copy(found.path(), target).unwrap();
        }
    }
}

fn place(node: &Node) -> PathBuf {
    node.dir.join("ledger")
}

/// The entries of a node that does not run.
fn entries(node: &Node) -> Vec<Entry> {
    let (log, _) = Log::look(&place(node)).unwrap();
    (0..log.len()).filter_map(|index| Entry::decode(&log.read(index).ok()?).ok()).collect()
}

/// Puts other entries in the place of those of a node that does not run.
fn replace(node: &Node, change: impl FnOnce(&mut Vec<Entry>)) {
    change_log(&place(node), change);
}

/// Puts other entries in the place of those in this directory, which nobody has open.
fn change_log(place: &Path, change: impl FnOnce(&mut Vec<Entry>)) {
    let (log, _) = Log::look(place).unwrap();
    let mut entries: Vec<Entry> =
        (0..log.len()).filter_map(|index| Entry::decode(&log.read(index).ok()?).ok()).collect();
    change(&mut entries);
    fs::remove_dir_all(place).unwrap();
    let (mut log, _) = Log::open(place).unwrap();
    entries.iter().for_each(|entry| log.append(&[entry.encode()]).unwrap());
}

/// Flips a bit within the entry with this text, of a node that does not run; its number.
fn flip(node: &Node, text: &str) -> u64 {
    let index = entries(node).iter().rev().find(|entry| entry.text.starts_with(text)).unwrap().index;
    let file = place(node).join("0000000000000000.log");
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.windows(text.len()).rposition(|window| window == text.as_bytes()).unwrap();
    bytes[at] ^= 1;
    fs::write(&file, bytes).unwrap();
    index
}
