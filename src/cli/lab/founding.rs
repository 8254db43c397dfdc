//! Makes the lab's nodes the way a user makes a mesh: init, invite, join, one configuration and one policy each.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;

use serde::Deserialize;
use tokio::task::JoinSet;
use toml::{Table, Value};

use super::mesh::{Mesh, Node, node_dir};
use super::processes::{Program, system};
use super::topology::Topology;
use crate::api::{Error, ErrorKind};

/// Founds a mesh in `dir`, joins every node of `topology` to it, and starts them all, each with the settings in `set`.
///
/// # Errors
/// What the commands or the system say; [`ErrorKind::TimedOut`] if a node does not come up.
pub(super) async fn found(program: &Program, dir: &Path, topology: Topology, set: &[Table]) -> Result<Mesh, Error> {
    let listens = free_addresses(topology.nodes()).map_err(|error| system("find free ports", &error))?;
    let founder = init(program, dir, listens[0]).await?;
    founder.prepare(&Table::from_iter([chaos()]))?;
    let mut mesh = Mesh::new(program.clone(), topology, vec![founder]);
    mesh.start(0)?;
    mesh.await_node(0).await?;
    let joined = join_all(program, dir, &listens[1..]).await?;
    mesh.stop(0).await?;

    mesh.extend(joined);
    for number in 0..topology.nodes() {
        let node = &mesh.nodes()[number];
        node.prepare(&settings(mesh.nodes(), topology, number, &listens))?;
        set.iter().try_for_each(|settings| node.prepare(settings))?;
    }
    for number in 0..topology.nodes() {
        mesh.start(number)?;
    }
    mesh.await_nodes().await?;
    Ok(mesh)
}

/// What `init --json` and `join --json` tell.
#[derive(Deserialize)]
struct Made {
    peer: String,
}

async fn init(program: &Program, dir: &Path, listen: SocketAddr) -> Result<Node, Error> {
    let (home, listen) = (node_dir(dir, 0), listen.to_string());
    let arguments = ["init", "--name", "n0", "--trust-domain", "lab.prunella", "--listen", &listen, "--json"];
    let peer = made(&program.output(&home, &arguments).await?)?;
    Ok(Node::new("n0".to_owned(), peer, home))
}

/// Invites and joins one node for each address, several at a time; the founder must be running.
async fn join_all(program: &Program, dir: &Path, listens: &[SocketAddr]) -> Result<Vec<Node>, Error> {
    let mut joins = JoinSet::new();
    for (index, &listen) in listens.iter().enumerate() {
        let (program, dir) = (program.clone(), dir.to_owned());
        joins.spawn(async move { join(&program, &dir, index + 1, listen).await.map(|node| (index, node)) });
    }
    let mut nodes = Vec::new();
    while let Some(joined) = joins.join_next().await {
        nodes.push(joined.expect("BUG: a join neither panics nor is aborted while it is awaited")?);
    }
    nodes.sort_by_key(|(index, _)| *index);
    Ok(nodes.into_iter().map(|(_, node)| node).collect())
}

async fn join(program: &Program, dir: &Path, number: usize, listen: SocketAddr) -> Result<Node, Error> {
    let invited = program.output(&node_dir(dir, 0), &["invite", "--expires", "10m"]).await?;
    let token = last_line(&invited, "invite")?;
    let (home, name, listen) = (node_dir(dir, number), format!("n{number}"), listen.to_string());
    let arguments = ["join", token, "--name", &name, "--listen", &listen, "--json"];
    let peer = made(&program.output(&home, &arguments).await?)?;
    Ok(Node::new(name, peer, home))
}

fn made(output: &str) -> Result<String, Error> {
    // From the first brace on, so that it does not matter whether the object is printed on one line or on several.
    let json = output.find('{').map_or("", |start| &output[start..]);
    let made: Result<Made, _> = serde_json::from_str(json.trim());
    made.map(|made| made.peer).map_err(|error| {
        Error::new(ErrorKind::Internal, format!("failed to read the new node's identity from {output:?}: {error}"))
    })
}

fn last_line<'a>(output: &'a str, command: &str) -> Result<&'a str, Error> {
    let missing = || Error::new(ErrorKind::Internal, format!("`prunella {command}` printed nothing"));
    output.lines().map(str::trim).rfind(|line| !line.is_empty()).ok_or_else(missing)
}

/// Addresses whose UDP ports are free now. All are held at once, so that they differ.
fn free_addresses(count: usize) -> std::io::Result<Vec<SocketAddr>> {
    let sockets: Vec<_> = (0..count).map(|_| UdpSocket::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    sockets.iter().map(UdpSocket::local_addr).collect()
}

// --- Files -----------------------------------------------------------------------------------------------------------

impl Node {
    /// Writes these settings into the node's configuration, over what it has, and the lab's policy beside it.
    fn prepare(&self, settings: &Table) -> Result<(), Error> {
        let config = self.dir.join(CONFIG_NAME);
        let existing = match fs::read_to_string(&config) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            text => text.map_err(|error| system(&format!("read {}", config.display()), &error))?,
        };
        let text = merged(&existing, settings).map_err(|error| {
            Error::new(ErrorKind::Configuration, format!("failed to read {}: {error}", config.display()))
        })?;
        for (path, text) in [(config, text.as_str()), (self.dir.join("policy.toml"), POLICY)] {
            fs::write(&path, text).map_err(|error| system(&format!("write {}", path.display()), &error))?;
        }
        Ok(())
    }
}

fn merged(existing: &str, settings: &Table) -> Result<String, toml::de::Error> {
    let mut table: Table = existing.parse()?;
    for (key, value) in settings {
        match (table.get_mut(key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => old.extend(new.clone()),
            _ => _ = table.insert(key.clone(), value.clone()),
        }
    }
    Ok(table.to_string())
}

/// What node `number` is told: its name and address, whom to link to and where they are, and that faults are welcome.
fn settings(nodes: &[Node], topology: Topology, number: usize, listens: &[SocketAddr]) -> Table {
    let neighbors = topology.neighbors(number);
    let peers: Vec<String> = neighbors.iter().map(|&other| nodes[other].peer.clone()).collect();
    let bootstrap: Vec<String> =
        neighbors.iter().map(|&other| format!("{}@{}", nodes[other].peer, listens[other])).collect();
    Table::from_iter([
        ("name".to_owned(), nodes[number].name.clone().into()),
        ("listen".to_owned(), listens[number].to_string().into()),
        ("bootstrap".to_owned(), bootstrap.into()),
        ("neighbors".to_owned(), Table::from_iter([("peers".to_owned(), Value::from(peers))]).into()),
        // A port that nobody else has; `prunella status` tells it.
        ("http".to_owned(), Table::from_iter([("listen".to_owned(), Value::from("127.0.0.1:0"))]).into()),
        chaos(),
    ])
}

fn chaos() -> (String, Value) {
    ("chaos".to_owned(), Table::from_iter([("allow".to_owned(), Value::from(true))]).into())
}

const CONFIG_NAME: &str = "config.toml";
const POLICY: &str = r#"# The lab's nodes trust each other with what the lab does, and with nothing else.

[[rule]]
effect = "allow"
from = ["*"]
action = "connect"
service = ["lab-echo", "lab-bulk", "lab-http"]

[[rule]]
effect = "allow"
from = ["*"]
action = "ping"

[[rule]]
effect = "allow"
from = ["*"]
action = "relay"

[[rule]]
effect = "allow"
from = ["*"]
action = "message"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_merged_over_what_the_node_has() {
        let existing = "name = \"old\"\nextra = 1\n[chaos]\nseed = 7\n[neighbors]\npeers = [\"gone\"]\n";
        let settings: Table = "name = \"n1\"\n[chaos]\nallow = true\n[neighbors]\npeers = [\"a\"]\n".parse().unwrap();
        let merged: Table = merged(existing, &settings).unwrap().parse().unwrap();
        let expected = "name = \"n1\"\nextra = 1\n[chaos]\nseed = 7\nallow = true\n[neighbors]\npeers = [\"a\"]\n";
        assert_eq!(merged, expected.parse().unwrap());
    }

    #[test]
    fn a_node_is_told_exactly_its_planned_neighbors() {
        let topology = Topology::new(5);
        let node = |i| Node::new(format!("n{i}"), format!("peer{i}"), node_dir(Path::new("/lab"), i));
        let nodes: Vec<_> = (0..5).map(node).collect();
        let listens: Vec<SocketAddr> = (0..5).map(|i| SocketAddr::from(([127, 0, 0, 1], 9000 + i))).collect();
        let table = settings(&nodes, topology, 0, &listens);
        assert_eq!(table["neighbors"]["peers"], vec!["peer1", "peer3", "peer4"].into());
        assert_eq!(table["bootstrap"][0], "peer1@127.0.0.1:9001".into());
        assert_eq!(table["listen"], "127.0.0.1:9000".into());
        assert_eq!(table["chaos"]["allow"], true.into());
    }

    #[test]
    fn the_policy_is_valid_and_names_the_services_of_the_traffic() {
        let policy: Table = POLICY.parse().unwrap();
        let named = policy["rule"][0]["service"].as_array().unwrap();
        let named: Vec<_> = named.iter().filter_map(Value::as_str).collect();
        assert_eq!(named, crate::cli::lab::traffic::SERVICES);
    }

    #[test]
    fn the_identity_is_read_from_one_line_or_several() {
        assert_eq!(made("{\"peer\":\"abc\",\"name\":\"n0\"}\n").unwrap(), "abc");
        assert_eq!(made("{\n  \"peer\": \"abc\"\n}\n").unwrap(), "abc");
        assert!(made("joined").is_err());
    }

    #[test]
    fn the_token_is_the_last_line() {
        assert_eq!(last_line("valid for 10 minutes\n\ntoken123\n\n", "invite").unwrap(), "token123");
        assert!(last_line("\n", "invite").is_err());
    }

    #[test]
    fn free_addresses_differ() {
        let addresses: std::collections::BTreeSet<_> = free_addresses(16).unwrap().into_iter().collect();
        assert_eq!(addresses.len(), 16);
    }
}
