//! The running mesh: its nodes' processes, what they say about themselves, and waiting until they are well.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tokio::task::JoinSet;

use super::control::{Control, until};
use super::processes::{Process, Program};
use super::topology::Topology;
use crate::api::vocabulary::{PathInfo, Reach};
use crate::api::{Error, ErrorKind, Request};

/// One node of the lab.
#[derive(Debug)]
pub(super) struct Node {
    /// Its name for people, `n0` and so on.
    pub(super) name: String,
    /// Its identity, as text.
    pub(super) peer: String,
    /// Where it lives.
    pub(super) dir: PathBuf,
    /// The way to its control socket.
    pub(super) control: Control,
    process: Option<Process>,
}

impl Node {
    /// A node that has been founded or has joined, and does not run yet.
    pub(super) fn new(name: String, peer: String, dir: PathBuf) -> Self {
        let control = Control::of(&dir);
        Self { name, peer, dir, control, process: None }
    }

    /// Where its process writes what it has to say: beside its directory, so that the node's own files are its own.
    fn log(&self) -> PathBuf {
        self.dir.with_extension("log")
    }
}

/// All nodes of the lab. Dropping it kills them.
#[derive(Debug)]
pub(super) struct Mesh {
    program: Program,
    topology: Topology,
    nodes: Vec<Node>,
}

impl Mesh {
    /// The mesh of these nodes, none of which runs yet.
    pub(super) fn new(program: Program, topology: Topology, nodes: Vec<Node>) -> Self {
        Self { program, topology, nodes }
    }

    /// Adds nodes that have joined, in the order of their numbers.
    pub(super) fn extend(&mut self, nodes: Vec<Node>) {
        self.nodes.extend(nodes);
    }

    /// The nodes, in the order of their numbers.
    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Who is to be linked to whom.
    pub(super) fn topology(&self) -> Topology {
        self.topology
    }

    /// The numbers of the nodes to which node `number` is linked.
    pub(super) fn neighbors(&self, number: usize) -> BTreeSet<usize> {
        self.topology.neighbors(number)
    }

    /// The node where requests start.
    pub(super) fn source(&self) -> &Node {
        &self.nodes[self.topology.source()]
    }

    /// The node that answers them.
    pub(super) fn destination(&self) -> &Node {
        &self.nodes[self.topology.destination()]
    }

    /// The number of the node with this identity.
    pub(super) fn number_of(&self, peer: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.peer == peer)
    }

    // --- Processes ---

    /// Starts node `number`.
    pub(super) fn start(&mut self, number: usize) -> Result<(), Error> {
        let node = &mut self.nodes[number];
        let log = node.log();
        node.process = Some(self.program.up(&node.dir, &log)?);
        Ok(())
    }

    /// Asks node `number` to shut down, and waits until its process is gone.
    pub(super) async fn stop(&mut self, number: usize) -> Result<(), Error> {
        let node = &mut self.nodes[number];
        match node.control.ask(&Request::Shutdown).await {
            // It may be gone before it has said so.
            Err(error) if error.kind() != ErrorKind::ConnectionFailed => return Err(error),
            _ => {}
        }
        let Some(process) = node.process.take() else { return Ok(()) };
        if process.end(SHUTDOWN_PATIENCE).await {
            return Ok(());
        }
        Err(Error::new(ErrorKind::TimedOut, format!("{} did not end within 5 s of being asked to", node.name)))
    }

    /// Kills node `number` (SIGKILL).
    pub(super) fn kill(&mut self, number: usize) {
        self.nodes[number].process = None;
    }

    /// Stops the process of node `number` in its tracks (SIGSTOP); everything else about it stays.
    pub(super) fn pause(&self, number: usize) -> Result<(), Error> {
        self.signal(number, Signal::STOP)
    }

    /// Lets a paused node `number` go on (SIGCONT).
    pub(super) fn resume(&self, number: usize) -> Result<(), Error> {
        self.signal(number, Signal::CONT)
    }

    fn signal(&self, number: usize, signal: Signal) -> Result<(), Error> {
        self.nodes[number].process.as_ref().map_or(Ok(()), |process| process.signal(signal))
    }

    /// Lets all nodes live on without the lab; gives their process ids.
    pub(super) fn release(self) -> Vec<u32> {
        let processes = self.nodes.into_iter().filter_map(|node| node.process);
        processes.map(|process| (process.id(), process.release()).0).collect()
    }

    // --- State ---

    /// Waits until `check` is content; a node's process that ends in the meantime is an error at once.
    pub(super) async fn settle<T>(
        &self,
        what: &str,
        patience: Duration,
        check: impl AsyncFn(&Mesh) -> Result<T, String>,
    ) -> Result<T, Error> {
        until(what, patience, async || match self.fallen() {
            Some(error) => Ok(Err(error)),
            None => check(self).await.map(Ok),
        })
        .await?
    }

    fn fallen(&self) -> Option<Error> {
        self.nodes.iter().find_map(|node| {
            let why = node.process.as_ref()?.ended()?;
            Some(Error::new(ErrorKind::NotRunning, format!("{} is no longer running: {why}", node.name)))
        })
    }

    /// Waits until node `number` answers.
    pub(super) async fn await_node(&self, number: usize) -> Result<(), Error> {
        let node = &self.nodes[number];
        let check = async |_: &Mesh| node.control.status().await.map(|_| ()).map_err(|error| error.to_string());
        self.settle(&format!("{} up", node.name), START_PATIENCE, check).await
    }

    /// Waits until every node answers.
    pub(super) async fn await_nodes(&self) -> Result<(), Error> {
        for number in 0..self.nodes.len() {
            self.await_node(number).await?;
        }
        Ok(())
    }

    /// Waits until every planned link is up at both ends.
    pub(super) async fn await_links(&self) -> Result<(), Error> {
        let check = async |mesh: &Mesh| {
            for (number, node) in mesh.nodes.iter().enumerate() {
                let planned = mesh.topology.neighbors(number).len();
                let up = node.control.status().await.map_err(|error| error.to_string())?.links_up;
                if up < planned {
                    return Err(format!("{} has {up} of {planned} links", node.name));
                }
            }
            Ok(())
        };
        self.settle("every link up", HEAL_PATIENCE, check).await
    }

    /// Waits until every node knows every other, and each has had an answer from each.
    pub(super) async fn await_pairs(&self) -> Result<(), Error> {
        let known = async |mesh: &Mesh| {
            for node in &mesh.nodes {
                let peers = node.control.peers().await.map_err(|error| error.to_string())?;
                let reachable = peers.iter().filter(|peer| peer.state != Reach::Unreachable).count();
                if reachable < mesh.nodes.len() {
                    return Err(format!("{} can reach {reachable} of {} nodes", node.name, mesh.nodes.len()));
                }
            }
            Ok(())
        };
        self.settle("every node known to every other", HEAL_PATIENCE, known).await?;
        self.settle("an answer between every two nodes", HEAL_PATIENCE, async |mesh: &Mesh| mesh.ping_all().await).await
    }

    async fn ping_all(&self) -> Result<(), String> {
        let mut pings = JoinSet::new();
        for node in &self.nodes {
            let (name, control) = (node.name.clone(), node.control.clone());
            let others: Vec<_> = self.nodes.iter().filter(|other| other.peer != node.peer).collect();
            let others: Vec<_> = others.into_iter().map(|other| (other.name.clone(), other.peer.clone())).collect();
            pings.spawn(async move {
                for (other, peer) in others {
                    control.ping(&peer).await.map_err(|error| format!("{name} to {other}: {error}"))?;
                }
                Ok(())
            });
        }
        pings.join_all().await.into_iter().collect()
    }

    /// Waits until at least `count` paths from source to destination carry traffic or are ready to; gives the one in use.
    pub(super) async fn await_paths(&self, count: usize) -> Result<PathInfo, Error> {
        let check = async |mesh: &Mesh| {
            let paths = mesh.paths().await.map_err(|error| error.to_string())?;
            let ready = paths.iter().filter(|path| READY.contains(&path.state.as_str())).count();
            if ready < count {
                let all: Vec<_> = paths.iter().map(|path| format!("{} {}", describe(path), path.state)).collect();
                return Err(format!("{ready} of {count} are ready: {}", all.join(", ")));
            }
            in_use(paths).ok_or_else(|| "none is in use".to_owned())
        };
        self.settle("paths from source to destination", HEAL_PATIENCE, check).await
    }

    /// The paths from source to destination, best first.
    pub(super) async fn paths(&self) -> Result<Vec<PathInfo>, Error> {
        self.source().control.paths(&self.destination().peer).await
    }
}

/// The path that carries traffic now.
pub(super) fn in_use(paths: Vec<PathInfo>) -> Option<PathInfo> {
    paths.into_iter().find(|path| path.state == IN_USE)
}

/// A path by the names of its nodes.
pub(super) fn describe(path: &PathInfo) -> String {
    path.names.join(" > ")
}

/// Where node `number` of the lab in `dir` lives.
pub(super) fn node_dir(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("n{number}"))
}

const IN_USE: &str = "in-use";
const READY: [&str; 2] = [IN_USE, "warm"];
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(5);
const START_PATIENCE: Duration = Duration::from_secs(15);
const HEAL_PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::UnixListener;

    use super::*;
    use crate::api::Response;

    fn path(names: &[&str], state: &str) -> PathInfo {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        PathInfo { hops: Vec::new(), names, state: state.to_owned(), cost: 1, rtt_us: 0, lanes: Vec::new(), why: None }
    }

    /// Answers each question with the next of `answers`, then with the last for ever.
    async fn answer(listener: UnixListener, answers: Vec<Vec<PathInfo>>, asked: &AtomicUsize) {
        let destination = "a".repeat(52).parse().unwrap();
        loop {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            stream.read_line(&mut String::new()).await.unwrap();
            let turn = asked.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
            let response = Response::Paths { destination, paths: answers[turn].clone() };
            let line = serde_json::to_string(&response).unwrap() + "\n";
            stream.get_mut().write_all(line.as_bytes()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn waiting_for_paths_ends_when_enough_of_them_are_ready() {
        let dir = tempfile::tempdir().unwrap();
        let node = |i| Node::new(format!("n{i}"), format!("peer{i}"), dir.path().to_owned());
        let mesh = Mesh::new(Program::this().unwrap(), Topology::new(4), (0..4).map(node).collect());
        let (used, other) = (path(&["n0", "n1", "n2"], "in-use"), ["n0", "n3", "n2"]);
        let answers = vec![
            vec![used.clone(), path(&other, "dead")],
            vec![path(&other, "warm"), path(&other, "warm")],
            vec![path(&other, "warm"), used.clone()],
        ];
        let asked = AtomicUsize::new(0);
        let listener = UnixListener::bind(dir.path().join("control.sock")).unwrap();
        let found = tokio::select! {
            found = mesh.await_paths(2) => found.unwrap(),
            () = answer(listener, answers, &asked) => unreachable!("BUG: it answers for ever"),
        };
        assert_eq!((found, asked.into_inner()), (used, 3));
    }

    #[test]
    fn a_path_is_told_by_the_names_of_its_nodes() {
        assert_eq!(describe(&path(&["n0", "n1", "n2"], "warm")), "n0 > n1 > n2");
    }
}
