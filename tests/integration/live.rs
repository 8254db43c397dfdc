//! The live view, in a terminal and on a real node.

use rustix::process::Signal;

use super::mesh::{Mesh, Plan};
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
