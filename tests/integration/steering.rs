//! What a node is configured with and logs, seen and changed while it runs; and what every node of a mesh is asked at once.

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::mesh::{Mesh, PATIENCE, Plan, until};
use super::remote::everything;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_is_told_with_its_origin_and_what_is_logged_changes_live() {
    let mesh = Mesh::found(Plan::alone()).await;
    let node = &mesh.nodes[0];
    let shown = node.run(&["config", "show"]).await.ok();
    let line =
        |key: &str| shown.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{shown}")).to_owned();
    assert!(line("name ").contains("\"n0\"") && line("name ").contains("config.toml:"), "{shown}");
    assert!(line("paths.count").contains("default"), "{shown}");
    assert!(line("log.level (live)").contains("\"info\""), "{shown}");

    // Written by now, and not known to the running node.
    let file = node.dir.join("config.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("region = \"east\"\n{text}")).unwrap();
    let json = node.run(&["--json", "config", "show", "region"]).await.ok();
    let told: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(told["settings"][0]["pending"], "\"east\"", "{told}");

    node.run(&["config", "set", "paths.count", "2"]).await.fails(2, &["counts from the node's next start"]);
    node.run(&["config", "set", "path.count", "2"]).await.fails(2, &["there is no key"]);
    node.run(&["config", "set", "log.level", "loud"]).await.fails(2, &["error, warn, info, debug or trace"]);
    assert!(!node.log().contains("DEBUG"), "{}", node.log());
    node.run(&["config", "set", "log.level", "debug"]).await.ok();
    assert!(node.run(&["log"]).await.ok().starts_with("debug,"));
    let http = node.status().await.unwrap().http.unwrap();
    until("a message of the level debug", PATIENCE, async || {
        // What is no HTTP is worth such a message.
        let mut stream = TcpStream::connect(http.trim_start_matches("http://")).await.unwrap();
        stream.write_all(b"dance\r\n\r\n").await.unwrap();
        if node.log().contains("DEBUG") { Ok(()) } else { Err(node.log()) }
    })
    .await;
    assert!(node.run(&["config", "show", "log.level"]).await.ok().contains(" set "));
    let both = node.run(&["log", "error", "prunella::transport"]).await.ok();
    assert!(both.starts_with("debug,") && both.contains("prunella::transport=error"), "{both}");
    node.run(&["log", "error", "two words"]).await.fails(2, &["is no target"]);
    assert!(node.run(&["log", "--reset"]).await.ok().starts_with("info,"));
    let ledger = node.run(&["ledger", "show", "--last", "20"]).await.ok();
    assert!(
        ledger.contains("config set log.level debug") && ledger.contains("log error prunella::transport"),
        "{ledger}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_is_asked_and_who_does_not_answer_is_told() {
    let mesh = Mesh::found(Plan { policy: everything(), ..Plan::diamond() }).await;
    let node = &mesh.nodes[0];
    let text = node.run(&["--all", "status"]).await.ok();
    for name in ["--- n0\n", "--- n1\n", "--- n2\n", "--- n3\n", "--- 4 of 4 nodes answered\n"] {
        assert!(text.contains(name), "{text}");
    }

    // One that lets nobody ask is told, and so is what all the others say.
    std::fs::write(mesh.nodes[3].dir.join("policy.toml"), "").unwrap();
    mesh.nodes[3].run(&["policy", "--reload"]).await.ok();
    let told = node.run(&["links", "--all"]).await;
    assert_eq!(told.code, 1, "{told:?}");
    assert!(
        told.stdout.contains("--- n3 did not answer: ") && told.stdout.contains("--- 3 of 4 nodes answered, 1 not: n3")
    );
    let told = node.run(&["--json", "--all", "vitals"]).await;
    let lines: Vec<Value> = told.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = lines.iter().filter_map(|line| line["node"].as_str()).collect();
    assert_eq!(names, ["n0", "n1", "n2", "n3"]);
    assert!(lines[..3].iter().all(|line| line["answer"]["response"] == "vitals"), "{lines:?}");
    assert!(lines[3]["error"]["kind"].is_string(), "{lines:?}");

    // Nothing is changed everywhere at once.
    let told = node.run(&["--all", "expose", "web", "tcp://127.0.0.1:1"]).await;
    assert!(told.code == 1 && told.stdout.contains("changes something"), "{told:?}");
    assert!(!node.run(&["services"]).await.ok().contains("web"));
    node.run(&["--all", "token", "list"]).await.fails(2, &["--all is for what running nodes are asked"]);
}
