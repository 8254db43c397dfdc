//! The dashboard in a real browser, where there is one: every view shows what the node knows, and nothing of the page is
//! refused by its own policy.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::mesh::{Mesh, Node, PATIENCE, Plan, until};

/// Debian's name for it; elsewhere the tests say that they are skipped.
const BROWSER: &str = "chromium";

/// What a browser makes of an address: the page after a few seconds, and what it complains about.
#[allow(clippy::print_stderr, reason = "a test that was skipped says so")]
async fn visit(home: &Path, address: &str) -> Option<(String, String)> {
    let mut command = Command::new(BROWSER);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
    command.arg(format!("--user-data-dir={}", home.join("browser").display()));
    command.args(["--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom", address]);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(Duration::from_secs(60), command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: there is no {BROWSER} here; Debian's package of that name has it");
            return None;
        }
        Ok(Err(error)) => panic!("{BROWSER} cannot be run: {error}"),
        Err(_) => panic!("{BROWSER} did not end within a minute"),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((text(&output.stdout), text(&output.stderr)))
}

/// The address that the command prints, for one of the views.
async fn address(node: &Node, view: &str) -> String {
    until("an address of the API", PATIENCE, async || node.status().await?.http.ok_or_else(|| "none yet".to_owned()))
        .await;
    format!("{}&view={view}", node.run(&["dashboard"]).await.ok().trim())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_view_shows_what_the_node_knows() {
    let mesh = Mesh::found(Plan::diamond()).await;
    let node = &mesh.nodes[0];
    node.run(&["expose", "web", "tcp://127.0.0.1:1"]).await.ok();
    node.run(&["kill", "planner"]).await.ok();
    let shown: [(&str, &[&str]); 6] = [
        ("mesh", &["n0 (this node)", "Map of the mesh: 4 nodes, 4 links", "within reach", "Links of this node"]),
        ("incidents", &["actor-failed", "link-down n1", "class=\"phases\"", "detect "]),
        ("paths", &["Paths to n", "in-use"]),
        ("services", &["<td>web</td>", "tcp://127.0.0.1:1"]),
        ("actors", &["pathfinder", "running", "<td>killed</td>"]),
        ("events", &["service-changed", "actor-restarted"]),
    ];
    for (view, expected) in shown {
        if view == "incidents" {
            node.run(&["chaos", "link", "n1", "--drop", "100%", "--for", "60s"]).await.ok();
            until("an incident with phases", PATIENCE, async || {
                let told = node.incidents().await?;
                let has = told.iter().any(|told| told.kind == "link-down" && told.phases.detect_us.is_some());
                if has { Ok(()) } else { Err(format!("{told:?}")) }
            })
            .await;
        }
        if view == "paths" {
            // Paths are kept to nodes that somebody has something for.
            for other in &mesh.nodes[1..] {
                node.ping(&other.name).await.unwrap();
            }
        }
        // The page asks for one thing after the other; a busy host may have it looked at before the last has come.
        for last in [false, false, true] {
            let Some((page, complaints)) = visit(&node.dir, &address(node, view).await).await else { return };
            for complaint in ["Content Security Policy", "Uncaught", "Refused to", "Failed to load resource"] {
                assert!(!complaints.contains(complaint), "{view}: {complaints}");
            }
            let live = "class=\"live\">Live<";
            let missing = std::iter::once(&live).chain(expected).find(|text| !page.contains(**text));
            match missing {
                None => break,
                Some(text) => assert!(!last, "no {text:?} in {view}: {page}\n{complaints}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_no_token_is_asked_for_one_and_shown_nothing() {
    let mesh = Mesh::found(Plan::alone()).await;
    let node = &mesh.nodes[0];
    let address = address(node, "mesh").await.split("token=").next().unwrap().to_owned();
    let Some((page, _)) = visit(&node.dir, &format!("{address}token=prunella_guess")).await else { return };
    assert!(page.contains("this token is not known here") && page.contains("<form id=\"login\">"), "{page}");
    assert!(!page.contains(&node.peer[..10]) && !page.contains("trust domain"), "{page}");
}
