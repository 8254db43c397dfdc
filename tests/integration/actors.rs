//! Every actor comes back, whatever it fails of, and no established connection notices.

use std::time::Duration;

use prunella::api::vocabulary::Failure;
use prunella::api::{ErrorKind, Request};

use super::echo::{Echo, echo_server};
use super::mesh::{Mesh, Node, PATIENCE, Plan, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_actor_comes_back_and_no_connection_notices() {
    let mesh = Mesh::found(Plan::diamond()).await;
    let (user, provider) = (&mesh.nodes[0], &mesh.nodes[2]);
    provider.expose("echo", echo_server().await).await;
    let echo = Echo::start(user.forward("echo").await).await;
    mesh.paths(0, 2, 2).await;
    for actor in killable(user).await {
        for how in [Failure::Kill, Failure::Panic, Failure::Error] {
            if actor == "surfaces" && how != Failure::Kill {
                continue;
            }
            comes_back(user, &actor, how).await;
            echo.goes_on().await;
        }
    }
    let outcome = echo.finish().await;
    assert!(outcome.gap < Duration::from_secs(1), "a failed actor stopped the traffic: {outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_and_a_provider_carry_on_while_their_actors_are_killed() {
    let mesh = Mesh::found(Plan::diamond()).await;
    mesh.nodes[2].expose("echo", echo_server().await).await;
    let echo = Echo::start(mesh.nodes[0].forward("echo").await).await;
    let relay = mesh.paths(0, 2, 2).await[0];
    for node in [&mesh.nodes[relay], &mesh.nodes[2]] {
        for actor in killable(node).await {
            comes_back(node, &actor, Failure::Kill).await;
            echo.goes_on().await;
        }
    }
    echo.finish().await;
    mesh.whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_denies_everything_never_opens_its_gate() {
    let mesh = Mesh::found(Plan { policy: String::new(), ..Plan::pair() }).await;
    let (asking, denying) = (&mesh.nodes[0], &mesh.nodes[1]);
    let denied = async |when: &str| {
        let error = asking.ping(&denying.peer).await.expect_err(when);
        assert_eq!(error.kind(), ErrorKind::Denied, "{when}: {error}");
    };
    denied("before").await;
    for how in [Failure::Kill, Failure::Panic, Failure::Error] {
        let before = denying.actor("policy").await.unwrap().restarts;
        denying.fail("policy", how).await;
        loop {
            denied("while it restarts").await;
            if denying.actor("policy").await.is_ok_and(|actor| actor.restarts > before) {
                break;
            }
        }
        denied("after").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actors_are_made_to_panic_only_with_consent() {
    let config = "[chaos]\nallow = false\n".parse().unwrap();
    let mesh = Mesh::found(Plan { config, ..Plan::alone() }).await;
    let node = &mesh.nodes[0];
    for how in ["panic", "error", "stall", "slow"] {
        node.run(&["chaos", "actor", "gossip", "--how", how]).await.fails(3, &["gossip", "[chaos]"]);
    }
    assert_eq!(node.actor("gossip").await.unwrap().restarts, 0);
    comes_back(node, "gossip", Failure::Kill).await;
    node.run(&["kill", "root"]).await.fails(2, &["no actor named root"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_is_suspended_resumed_and_restarted_and_the_ledger_has_the_words() {
    let mesh = Mesh::found(Plan::alone()).await;
    let node = &mesh.nodes[0];
    // Nothing is wrong, so nothing waits for it, and nobody takes it for stuck.
    let suspended = node.run(&["suspend", "executor", "--seconds", "60"]).await.ok();
    assert!(suspended.contains("takes no message for 60 s"), "{suspended}");
    let inbox = node.run(&["inbox", "executor"]).await.ok();
    assert!(inbox.contains("held up   takes no message"), "{inbox}");
    node.run(&["resume", "executor"]).await.ok();
    let inbox = node.run(&["inbox", "executor"]).await.ok();
    assert!(inbox.starts_with("waiting   0;") && !inbox.contains("held up"), "{inbox}");
    node.run(&["resume", "executor"]).await.fails(2, &["no actor named executor is suspended"]);
    for wrong in ["root", "nobody"] {
        node.run(&["suspend", wrong]).await.fails(2, &[wrong]);
        node.run(&["restart", wrong]).await.fails(2, &[wrong, "can be restarted"]);
    }
    // One that is suspended is restarted all the same: it need not go on to stop.
    node.run(&["suspend", "executor"]).await.ok();
    node.run(&["restart", "executor"]).await.ok();
    let restarted = until("the executor's restart", PATIENCE, async || {
        let actor = node.actor("executor").await?;
        if actor.restarts == 1 && actor.state == "running" { Ok(actor) } else { Err(format!("{actor:?}")) }
    })
    .await;
    assert_eq!(restarted.last_failure.as_deref(), Some("restarted on request"));
    for actor in ["knowledge", "gossip", "surfaces"] {
        let before = node.actor(actor).await.unwrap().restarts;
        node.run(&["restart", actor]).await.ok();
        until(&format!("{actor}'s restart"), PATIENCE, async || {
            let now = node.actor(actor).await?;
            let is_back = now.restarts > before && now.state == "running";
            if is_back { Ok(()) } else { Err(format!("{now:?}")) }
        })
        .await;
    }
    let ledger = node.run(&["ledger", "show", "--kind", "commanded", "--last", "20"]).await.ok();
    for word in ["suspend executor --seconds 60", "resume executor", "restart executor"] {
        assert!(ledger.contains(word), "no {word:?} in {ledger}");
    }
}

/// The actors that are no supervisors; of the peers, all.
async fn killable(node: &Node) -> Vec<String> {
    let names: Vec<String> = node.actors().await.unwrap().into_iter().map(|actor| actor.name).collect();
    let supervisors = ["root", "peers", "healing"];
    let actors: Vec<String> = names.into_iter().filter(|name| !supervisors.contains(&name.as_str())).collect();
    assert_eq!(actors.len(), 10 + actors.iter().filter(|name| name.starts_with("peer/")).count(), "{actors:?}");
    actors
}

/// Makes an actor fail, and waits until it runs, handles messages, and its failure is told as an incident.
pub(super) async fn comes_back(node: &Node, name: &str, how: Failure) {
    let before = node.actor(name).await.unwrap();
    let told_before = told(node, name).await.unwrap();
    node.fail(name, how).await;
    let what = format!("{name} of {} back after {how:?}", node.name);
    let restarted = until(&what, PATIENCE, async || {
        let actor = node.actor(name).await?;
        let is_back = actor.state == "running" && actor.restarts > before.restarts;
        if is_back { Ok(actor) } else { Err(format!("{actor:?}")) }
    })
    .await;
    assert_eq!(restarted.restarts, before.restarts + 1, "{what}: once is enough");
    assert!(restarted.last_failure.is_some(), "{what}");
    until(&format!("{what}, told as an incident"), PATIENCE, async || {
        let told_now = told(node, name).await?;
        if told_now > told_before { Ok(()) } else { Err(format!("{told_now} incidents, {told_before} before")) }
    })
    .await;
    if name == "surfaces" {
        // It has no mailbox of its own; that it answers is what it is for.
        return;
    }
    until(&format!("{what}, handling messages"), PATIENCE, async || {
        stir(node, name).await?;
        let actor = node.actor(name).await?;
        if actor.handled > restarted.handled { Ok(()) } else { Err(format!("{actor:?}, before {restarted:?}")) }
    })
    .await;
}

/// Gives an actor something to do that may have nothing to do of itself.
async fn stir(node: &Node, name: &str) -> Result<(), String> {
    match name {
        "policy" | "ledger" => node.done(&Request::PolicyReload).await,
        // A failed actor is an incident, which is monitored, planned for, executed and kept.
        "monitor" | "planner" | "executor" | "knowledge" => {
            let peer = node.links().await?[0].peer;
            node.fail(&prunella::actors::directory::peer_name(&peer), Failure::Kill).await;
        }
        _ => {}
    }
    Ok(())
}

async fn told(node: &Node, actor: &str) -> Result<usize, String> {
    let incidents = node.incidents().await?;
    Ok(incidents.iter().filter(|i| i.kind == "actor-failed" && i.subject == actor).count())
}
