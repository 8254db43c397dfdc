//! Two nodes of one mesh in one process: the first founds the mesh and answers messages, the second is invited, joins and
//! asks. Then the first tells everybody something at once, and a call to a stranger shows what a typed error looks like.
//!
//! Run it with `cargo run --example two_nodes`. A real program has one node; the other one lives on another machine, and
//! the invitation travels there by whichever way you trust.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use prunella::{Connection, ErrorKind, MeshConfig, MeshNode, PeerId};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (home, away) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut out = std::io::stdout();

    // Found: keys, the mesh's authority and a configuration are written into the directory; then the node runs.
    allow_messages(home.path())?;
    let ada = MeshNode::found(&home, "mesh.example", config("ada")?).await?;
    ada.on_connection(answer);
    writeln!(out, "ada founded the mesh: {}", ada.peer_id())?;

    // Join: an invitation is good for one node and for a while.
    let invitation = ada.invite(Duration::from_secs(600))?;
    allow_messages(away.path())?;
    let bob = MeshNode::join(&away, &invitation, config("bob")?).await?;
    let (heard, mut news) = tokio::sync::mpsc::channel(1);
    bob.on_connection(move |connection| {
        let heard = heard.clone();
        async move {
            while let Ok(Some(message)) = connection.receive().await {
                let _ = heard.send(message).await;
            }
        }
    });
    writeln!(out, "bob joined: {}", bob.peer_id())?;

    // Ask: a connection carries any number of messages, both ways.
    let connection = bob.connect(ada.peer_id()).await?;
    for question in ["how are you?", "and the mesh?"] {
        connection.send(question.as_bytes()).await?;
        let answer = connection.receive().await?.ok_or("ada closed the connection")?;
        writeln!(out, "bob asked {question:?}, ada answered {:?}", String::from_utf8_lossy(&answer))?;
    }
    connection.close().await?;

    // Tell everybody: who has it, and who has not, and why.
    ada.wait_for_peer(bob.peer_id(), Duration::from_secs(10)).await?;
    let broadcast = ada.broadcast(b"tea is ready").await?;
    let heard = news.recv().await.ok_or("bob heard nothing")?;
    writeln!(
        out,
        "ada told {} node(s), {} failed; bob heard {:?}",
        broadcast.delivered.len(),
        broadcast.failed.len(),
        String::from_utf8_lossy(&heard)
    )?;

    // Errors have a kind to act on.
    let stranger = PeerId::from_public_key([7; 32]);
    match bob.connect(stranger).await {
        Err(error) if error.kind() == ErrorKind::PeerNotFound => writeln!(out, "as it should be: {error}")?,
        other => return Err(format!("a stranger was reached: {other:?}").into()),
    }

    tokio::try_join!(bob.stop(), ada.stop())?;
    Ok(())
}

async fn answer(connection: Connection) {
    while let Ok(Some(question)) = connection.receive().await {
        let answer = format!("fine, thanks for {} bytes", question.len());
        if connection.send(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Whoever receives decides: without a rule, messages are denied.
fn allow_messages(dir: &Path) -> std::io::Result<()> {
    let rule = "[[rule]]\neffect = 'allow'\nfrom = ['*']\naction = 'message'\n";
    std::fs::write(dir.join("policy.toml"), rule)
}

fn config(name: &str) -> Result<MeshConfig, Box<dyn Error>> {
    Ok(MeshConfig { name: name.to_owned(), listen: "127.0.0.1:0".parse()?, ..MeshConfig::default() })
}
