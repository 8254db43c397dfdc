//! The live view, in a terminal and on a real node.

use std::io::Write;
use std::process::Stdio;

use rustix::process::Signal;

use super::mesh::{Mesh, PATIENCE, Plan, until};
use super::process::program;
use super::remote::everything;
use super::terminal::Terminal;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_watched_by_keys_and_the_terminal_is_given_back() {
    let mut mesh = Mesh::found(Plan::pair()).await;
    let mut top = Terminal::run(&mesh.nodes[0].dir, &["top", "--interval", "0.2"]);
    top.shows(&["n0  up", "1 links", "[n0]", "n1", "WHAT HAPPENED", "? help"]).await;
    assert!(top.is_alternate());
    top.press("2");
    top.shows(&["NEIGHBOR", "n1        up", "1 rows by name"]).await;
    top.press("3ssss");
    top.shows(&["by handled/s", "monitor", "peer/"]).await;
    top.press("/goss\r");
    top.shows(&["1 rows by handled/s", "with \"goss\""]).await;
    top.press("\r");
    top.shows(&["mailbox", "TOOK AT MOST", "MESSAGE", "Esc back"]).await;
    // A node that is stuck is told, what it told last stays, and the keys work all the same.
    mesh.nodes[0].signal(Signal::STOP);
    top.shows(&["STALE:", "the node has not answered within 5 s", "MESSAGE"]).await;
    top.press("5");
    top.shows(&["STALE:", "1 rows by name", "directly"]).await;
    mesh.nodes[0].signal(Signal::CONT);
    top.shows_no("STALE:").await;
    mesh.nodes[0].stop().await;
    top.shows(&["no node is running in"]).await;
    mesh.nodes[0].start().await;
    top.press("1");
    top.shows(&["the node was started anew", "[n0]"]).await;
    top.press("q");
    assert_eq!(top.ended_in_order().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_ends_the_live_view_finds_the_terminal_as_it_was() {
    let mesh = Mesh::found(Plan::alone()).await;
    let node = &mesh.nodes[0];
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let mut top = Terminal::run(&node.dir, &["top"]);
        top.shows(&["[n0]"]).await;
        top.signal(signal);
        assert_eq!(top.ended_in_order().await.code(), Some(code), "{signal:?}");
    }
    let mut top = Terminal::run(&node.dir, &["top"]);
    top.shows(&["[n0]"]).await;
    top.press("\x03");
    assert_eq!(top.ended_in_order().await.code(), Some(0), "Ctrl-C is a key there");
    node.run(&["top"]).await.fails(2, &["needs a terminal", "prunella actors", "--json"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shell_opens_the_live_view_and_has_its_prompt_back_after_it() {
    let mesh = Mesh::found(Plan::alone()).await;
    let mut shell = Terminal::run(&mesh.nodes[0].dir, &["shell"]);
    shell.shows(&["prunella>"]).await;
    shell.press("top\r");
    shell.shows(&["[n0]", "WHAT HAPPENED"]).await;
    assert!(shell.is_alternate());
    shell.press("q");
    shell.shows_no("WHAT HAPPENED").await;
    shell.shows(&["prunella>"]).await;
    shell.press("watch --interval 0.2 links\r");
    shell.shows(&["--- ", "Z  links", "no links;"]).await;
    shell.press("\x03");
    shell.shows(&["prunella>"]).await;
    // What is longer than the screen goes through the pager; each line is not. What is typed ahead is not lost.
    shell.press("links\rstatus\r");
    shell.shows(&["no links;"]).await;
    shell.shows(&["paged:  rejected_unauthorized"]).await;
    shell.press("exit\r");
    assert_eq!(shell.ended_in_order().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_is_watched_and_its_actors_are_steered_from_here() {
    let mesh = Mesh::found(Plan { policy: everything(), ..Plan::pair() }).await;
    let (here, far) = (&mesh.nodes[0], &mesh.nodes[1]);
    let mut top = Terminal::run(&here.dir, &["--node", "n1", "top", "--interval", "0.5"]);
    top.shows(&["n1  up", "1 links", "[n1]", "n0"]).await;
    top.press("3/goss\r");
    top.shows(&["1 rows as in the tree", "with \"goss\""]).await;

    here.run(&["--node", "n1", "suspend", "executor", "--seconds", "30"]).await.ok();
    let inbox = far.run(&["inbox", "executor"]).await.ok();
    assert!(inbox.contains("held up"), "{inbox}");
    assert!(!here.run(&["inbox", "executor"]).await.ok().contains("held up"), "only the other one");
    here.run(&["--node", "n1", "resume", "executor"]).await.ok();
    until("a executor that goes on", PATIENCE, async || {
        let inbox = far.run(&["inbox", "executor"]).await.ok();
        if inbox.contains("held up") { Err(inbox) } else { Ok(()) }
    })
    .await;
    here.run(&["--node", "n1", "restart", "executor"]).await.ok();
    until("a executor that began anew", PATIENCE, async || match far.actor("executor").await? {
        executor if executor.restarts > 0 => Ok(()),
        executor => Err(format!("{executor:?}")),
    })
    .await;
    assert_eq!(here.actor("executor").await.unwrap().restarts, 0);
    let ledger = far.run(&["ledger", "show", "--last", "50"]).await.ok();
    for command in ["suspend executor", "resume executor", "restart executor"] {
        assert!(ledger.contains(command), "{command} is not in {ledger}");
    }
    top.press("q");
    assert_eq!(top.ended_in_order().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_reads_is_repeated_and_what_changes_something_is_not() {
    let mesh = Mesh::found(Plan::alone()).await;
    let node = &mesh.nodes[0];
    let watched = node.run(&["watch", "--count", "2", "--interval", "0.2", "actors", "--sort", "time"]).await.ok();
    let lines = |start: &str| watched.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!((lines("--- "), lines("ACTOR "), lines("monitor ")), (2, 2, 2), "{watched}");
    assert!(!watched.contains('\x1b'), "{watched:?}");
    let watched = node.run(&["--json", "watch", "--count", "3", "--interval", "0.2", "tree"]).await.ok();
    let lines: Vec<serde_json::Value> = watched.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() == 3 && lines.iter().all(|line| line["response"] == "actors"), "{watched}");
    for (command, word) in [(["kill", "gossip"], "kill gossip"), (["suspend", "gossip"], "suspend gossip")] {
        let refused = node.run(&[&["watch", "--count", "2"][..], &command].concat()).await;
        refused.fails(2, &[word, "changes something"]);
    }
    assert_eq!(node.actor("gossip").await.unwrap().restarts, 0);

    let mut script = program(&node.dir);
    script.arg("shell").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut script = script.spawn().unwrap();
    script.stdin.take().unwrap().write_all(b"top\nactors --sort restarts --most 1\n").unwrap();
    let printed = tokio::task::spawn_blocking(move || script.wait_with_output().unwrap()).await.unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert_eq!(printed.matches("ACTOR ").count(), 2, "{printed}");
    assert_eq!(printed.matches("root ").count(), 2, "in a script it is a list: {printed}");
}
