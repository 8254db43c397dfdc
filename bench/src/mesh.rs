//! Prunella's own program on the hosts of a lab: founded, joined and configured as a user would do it.

use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use toml::Table;

use crate::lab::{Cable, DelayedCable, End, Host, Lab};
use crate::process::{Process, Told, run, run_well};
use crate::waiting::{LabError, until};

/// What a mesh is to be.
#[derive(Clone, Debug)]
pub struct Plan {
    program: PathBuf,
    hosts: Vec<Host>,
    links: Vec<MeshLink>,
    settings: Table,
    up: Vec<String>,
}

/// Two nodes that are neighbors, and where each is found by the other.
#[derive(Clone, Copy, Debug)]
pub struct MeshLink {
    nodes: [usize; 2],
    addresses: [IpAddr; 2],
}

impl MeshLink {
    /// Over two ends of the same subnet.
    pub fn new(a: usize, b: usize, ends: [&End; 2]) -> Self {
        Self { nodes: [a, b], addresses: ends.map(|end| end.v4.into()) }
    }

    /// Over IPv6.
    #[must_use]
    pub fn by_v6(self, ends: [&End; 2]) -> Self {
        Self { addresses: ends.map(|end| end.v6.into()), ..self }
    }
}

impl Plan {
    /// The nodes `n0`, `n1` and so on, each on the host of that place, with this program; no links yet.
    pub fn new(program: impl Into<PathBuf>, hosts: &[&Host]) -> Self {
        let hosts = hosts.iter().map(|host| (*host).clone()).collect();
        Self { program: program.into(), hosts, links: Vec::new(), settings: Table::new(), up: Vec::new() }
    }

    /// With one more link.
    #[must_use]
    pub fn link(mut self, a: usize, b: usize, ends: [&End; 2]) -> Self {
        self.links.push(MeshLink::new(a, b, ends));
        self
    }

    /// With one more link, over a cable from the first to the second.
    #[must_use]
    pub fn over(self, a: usize, b: usize, cable: &Cable) -> Self {
        let [first, second] = &cable.ends;
        self.link(a, b, [first, second])
    }

    /// With one more link, over a cable with a delay.
    #[must_use]
    pub fn over_delayed(self, a: usize, b: usize, cable: &DelayedCable) -> Self {
        let [first, second] = &cable.ends;
        self.link(a, b, [first, second])
    }

    /// With settings for every node, as in a configuration file.
    ///
    /// # Panics
    ///
    /// If it is no TOML.
    #[must_use]
    pub fn set(mut self, toml: &str) -> Self {
        self.settings.extend(toml.parse::<Table>().expect("BUG: settings are TOML"));
        self
    }

    /// With further arguments of `prunella up` for every node.
    #[must_use]
    pub fn up(mut self, arguments: &[&str]) -> Self {
        self.up.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    fn neighbors(&self, node: usize) -> impl Iterator<Item = (usize, IpAddr)> {
        let other = move |link: &MeshLink| match link.nodes {
            [a, b] if a == node => Some((b, link.addresses[1])),
            [a, b] if b == node => Some((a, link.addresses[0])),
            _ => None,
        };
        self.links.iter().filter_map(other)
    }
}

/// The running nodes of a mesh; dropping it kills them.
#[derive(Debug)]
pub struct Mesh {
    /// In the order of the plan.
    pub nodes: Vec<Node>,
    neighbors: Vec<usize>,
}

impl Mesh {
    /// Founds a mesh, joins every node to it with a token of its own, starts them, and waits until it is whole.
    ///
    /// # Errors
    ///
    /// [`LabError::Command`] with what the program said; [`LabError::TimedOut`] if the mesh does not become whole.
    pub fn found(lab: &Lab, plan: &Plan) -> Result<Self, LabError> {
        let mut mesh = Self::prepare(lab, plan)?;
        mesh.start()?;
        mesh.whole()?;
        Ok(mesh)
    }

    /// As [`Mesh::found`], up to the point at which the nodes would be started.
    ///
    /// # Errors
    ///
    /// As [`Mesh::found`].
    pub fn prepare(lab: &Lab, plan: &Plan) -> Result<Self, LabError> {
        let dir = tempfile::Builder::new().prefix("mesh").tempdir_in(lab.dir());
        // Removed with the lab.
        let dir = dir.map_err(LabError::system("make the mesh's directory"))?.keep();
        let mut nodes: Vec<Node> = Vec::new();
        for (number, host) in plan.hosts.iter().enumerate() {
            nodes.push(Node::new(&dir, number, host, plan));
        }
        // Whoever joins needs the founder alone, and does so on the founder's host: there is a way, whatever the cables are.
        let founder = nodes[0].host.clone();
        let told = nodes[0].json(&["init", "--name", "n0", "--trust-domain", "lab.prunella"])?;
        nodes[0].peer = text(&told, "/peer")?;
        nodes[0].configure(r#"http.listen = """#.parse().expect("BUG: it is TOML"))?;
        nodes[0].start(&[])?;
        nodes[0].answers()?;
        for number in 1..nodes.len() {
            let invite = ["invite", "--expires", "10m", "--address", "127.0.0.1:4600"];
            let token = text(&nodes[0].json(&invite)?, "/token")?;
            let name = nodes[number].name.clone();
            let told = nodes[number].json_on(&founder, &["join", &token, "--name", &name])?;
            nodes[number].peer = text(&told, "/peer")?;
        }
        nodes[0].stop()?;
        for number in 0..nodes.len() {
            nodes[number].configure(settings(plan, &nodes, number))?;
        }
        let neighbors = (0..nodes.len()).map(|number| plan.neighbors(number).count()).collect();
        Ok(Self { nodes, neighbors })
    }

    /// Starts every node.
    ///
    /// # Errors
    ///
    /// [`LabError::System`] if the program cannot be started.
    pub fn start(&mut self) -> Result<(), LabError> {
        self.nodes.iter_mut().try_for_each(|node| {
            let up = node.up.clone();
            node.start(&up)
        })
    }

    /// Waits until all links are up at both ends and every node reaches every other.
    ///
    /// # Errors
    ///
    /// [`LabError::TimedOut`] with who misses what.
    pub fn whole(&mut self) -> Result<(), LabError> {
        let count = self.nodes.len();
        for (node, &neighbors) in self.nodes.iter_mut().zip(&self.neighbors) {
            node.answers()?;
            until(&format!("{} whole", node.name), PATIENCE, || {
                let of = |command: &str, at: &str, is: &dyn Fn(&str) -> bool| {
                    let told = node.json(&[command]).map_err(|error| error.to_string())?;
                    let listed = told.pointer(at).and_then(Value::as_array).ok_or_else(|| told.to_string())?;
                    let states = listed.iter().filter_map(|one| one["state"].as_str());
                    Ok::<_, String>(states.filter(|state| is(state)).count())
                };
                let up = of("links", "/links", &|state| state == "up")?;
                let reached = of("peers", "/peers", &|state| state != "unreachable")?;
                let wanted = (neighbors, count);
                if (up, reached) == wanted { Ok(()) } else { Err(format!("{:?} of {wanted:?}", (up, reached))) }
            })?;
        }
        Ok(())
    }

    /// Waits until `count` paths from one node to another are in use or kept warm; the nodes of the one in use.
    ///
    /// # Errors
    ///
    /// [`LabError::TimedOut`] with the paths that there are.
    pub fn paths(&self, from: usize, to: usize, count: usize) -> Result<Vec<usize>, LabError> {
        let (from, to) = (&self.nodes[from], &self.nodes[to]);
        until(&format!("{count} paths from {} to {}", from.name, to.name), PATIENCE, || {
            let told = from.json(&["paths", &to.peer]).map_err(|error| error.to_string())?;
            let paths = told.pointer("/paths").and_then(Value::as_array).ok_or_else(|| told.to_string())?;
            let is =
                |path: &&Value, states: &[&str]| path["state"].as_str().is_some_and(|state| states.contains(&state));
            let ready = paths.iter().filter(|path| is(path, &["in-use", "warm"])).count();
            let used = paths.iter().find(|path| is(path, &["in-use"])).filter(|_| ready >= count);
            let names = used.and_then(|path| path["names"].as_array()).ok_or_else(|| told.to_string())?;
            let number = |name: &Value| self.nodes.iter().position(|node| name.as_str() == Some(&node.name));
            Ok(names.iter().filter_map(number).collect())
        })
    }
}

/// A node of a mesh.
#[derive(Debug)]
pub struct Node {
    /// `n0` and so on.
    pub name: String,
    /// Its peer id.
    pub peer: String,
    /// Where it runs.
    pub host: Host,
    /// Its directory.
    pub dir: PathBuf,
    program: PathBuf,
    up: Vec<String>,
    process: Option<Process>,
}

impl Node {
    fn new(dir: &Path, number: usize, host: &Host, plan: &Plan) -> Self {
        let name = format!("n{number}");
        let dir = dir.join(&name);
        let (program, up) = (plan.program.clone(), plan.up.clone());
        Self { name, peer: String::new(), host: host.clone(), dir, program, up, process: None }
    }

    fn configure(&self, settings: Table) -> Result<(), LabError> {
        let files = [("config.toml", settings.to_string()), ("policy.toml", EVERYTHING.to_owned())];
        for (name, text) in files {
            fs::write(self.dir.join(name), text).map_err(LabError::system(format!("write {name}")))?;
        }
        Ok(())
    }

    // --- Its process ---

    /// Starts its process, with further arguments of `prunella up`.
    ///
    /// # Errors
    ///
    /// [`LabError::System`] if the program cannot be started.
    pub fn start(&mut self, arguments: &[String]) -> Result<(), LabError> {
        let mut command = self.command_on(&self.host);
        command.args(["up", "--exit-with-parent"]).args(arguments);
        self.process = Some(Process::start(command, &self.dir.with_extension("log"))?);
        Ok(())
    }

    /// Waits until it answers.
    ///
    /// # Errors
    ///
    /// [`LabError::Command`] if it has ended; [`LabError::TimedOut`] if it says nothing.
    pub fn answers(&mut self) -> Result<(), LabError> {
        let what = format!("{} up", self.name);
        let answered = until(&what, PATIENCE, || {
            if let Some(Err(error)) = self.process.as_mut().map(Process::assert_runs) {
                return Ok(Err(error));
            }
            self.json(&["status"]).map(|_| Ok(())).map_err(|error| error.to_string())
        });
        answered?
    }

    /// Asks it to stop and waits until it is gone.
    ///
    /// # Errors
    ///
    /// [`LabError::Command`] if it does not obey; [`LabError::TimedOut`] if it does not end.
    pub fn stop(&mut self) -> Result<(), LabError> {
        self.run_well(&["down"])?;
        if let Some(mut process) = self.process.take() {
            process.ended(PATIENCE)?;
        }
        Ok(())
    }

    /// Kills its process.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Sends its process a signal.
    ///
    /// # Errors
    ///
    /// [`LabError::System`] if it is gone.
    pub fn signal(&self, signal: Signal) -> Result<(), LabError> {
        self.process.as_ref().map_or(Ok(()), |process| process.signal(signal))
    }

    /// The id of its process; `None` while it has none.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// What its process has said so far, in all of its lives.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.with_extension("log")).unwrap_or_default()
    }

    // --- Asking it ---

    /// Runs a command on it.
    ///
    /// # Errors
    ///
    /// [`LabError::TimedOut`] if it does not end.
    pub fn run(&self, arguments: &[&str]) -> Result<Told, LabError> {
        let mut command = self.command_on(&self.host);
        command.args(arguments);
        run(command, self.host.dir(), PATIENCE)
    }

    /// Runs a command on it that must succeed; what it printed.
    ///
    /// # Errors
    ///
    /// [`LabError::Command`] with what it said, otherwise as [`Node::run`].
    pub fn run_well(&self, arguments: &[&str]) -> Result<String, LabError> {
        self.run_well_on(&self.host, arguments)
    }

    /// Runs a command on it that must succeed; what it told as JSON.
    ///
    /// # Errors
    ///
    /// As [`Node::run_well`]; [`LabError::Unreadable`] if it is no JSON.
    pub fn json(&self, arguments: &[&str]) -> Result<Value, LabError> {
        self.json_on(&self.host, arguments)
    }

    fn json_on(&self, host: &Host, arguments: &[&str]) -> Result<Value, LabError> {
        let told = self.run_well_on(host, &[arguments, &["--json"]].concat())?;
        serde_json::from_str(&told).map_err(|error| LabError::Unreadable(format!("{arguments:?}: {error}: {told}")))
    }

    fn run_well_on(&self, host: &Host, arguments: &[&str]) -> Result<String, LabError> {
        let mut command = self.command_on(host);
        command.args(arguments);
        run_well(command, self.host.dir(), PATIENCE)
    }

    /// The program, on this node, with nothing from the environment that is meant for another.
    fn command_on(&self, host: &Host) -> std::process::Command {
        let mut command = host.command(&self.program);
        for name in ["PRUNELLA_DIR", "RUST_LOG", "RUST_BACKTRACE"] {
            command.env_remove(name);
        }
        command.env("NO_COLOR", "1").arg("--dir").arg(&self.dir);
        command
    }

    /// The address of its interface, which [`Plan::up`] with `--tun` gives it.
    ///
    /// # Errors
    ///
    /// As [`Node::json`]; [`LabError::Unreadable`] if it has none.
    pub fn address(&self) -> Result<Ipv6Addr, LabError> {
        let told = self.json(&["status"])?;
        let address = text(&told, "/overlay_address")?;
        address.parse().map_err(|error| LabError::Unreadable(format!("{address}: {error}")))
    }

    // --- Services ---

    /// Publishes a TCP service of its host.
    ///
    /// # Errors
    ///
    /// As [`Node::run_well`].
    pub fn expose(&self, name: &str, target: SocketAddr) -> Result<(), LabError> {
        self.run_well(&["expose", name, &format!("tcp://{target}")]).map(drop)
    }

    /// Listens on its host for a service, as soon as it is known here; where.
    ///
    /// # Errors
    ///
    /// As [`Node::run_well`]; [`LabError::TimedOut`] if the service does not become known.
    pub fn forward(&self, name: &str) -> Result<SocketAddr, LabError> {
        until(&format!("{name} known at {}", self.name), PATIENCE, || {
            let told = self.json(&["services"]).map_err(|error| error.to_string())?;
            let known = told.pointer("/services").and_then(Value::as_array);
            let is_known = known.is_some_and(|known| known.iter().any(|service| service["name"] == name));
            if is_known { Ok(()) } else { Err(told.to_string()) }
        })?;
        let told = self.json(&["forward", name, "127.0.0.1:0"])?;
        let listen = text(&told, "/listen")?;
        listen.parse().map_err(|error| LabError::Unreadable(format!("{listen}: {error}")))
    }
}

/// What a node is told: its name, and whom to link to over which address.
fn settings(plan: &Plan, nodes: &[Node], number: usize) -> Table {
    let peers: Vec<String> = plan.neighbors(number).map(|(other, _)| nodes[other].peer.clone()).collect();
    let dial = |(other, address): (usize, IpAddr)| format!("{}@{}", nodes[other].peer, SocketAddr::new(address, PORT));
    let bootstrap: Vec<String> = plan.neighbors(number).map(dial).collect();
    let listen = if plan.links.iter().any(|link| link.addresses[0].is_ipv6()) { "[::]" } else { "0.0.0.0" };
    let mut table = plan.settings.clone();
    table.insert("name".to_owned(), nodes[number].name.clone().into());
    table.insert("listen".to_owned(), format!("{listen}:{PORT}").into());
    table.insert("bootstrap".to_owned(), bootstrap.into());
    table.insert("neighbors".to_owned(), Table::from_iter([("peers".to_owned(), peers.into())]).into());
    let http = || Table::from_iter([("listen".to_owned(), "".into())]).into();
    table.entry("http").or_insert_with(http);
    table
}

fn text(told: &Value, at: &str) -> Result<String, LabError> {
    let found = told.pointer(at).and_then(Value::as_str).map(str::to_owned);
    found.ok_or_else(|| LabError::Unreadable(format!("no {at} in {told}")))
}

/// Nodes of a lab trust each other with everything.
const EVERYTHING: &str = "cedar = '''\n@name(\"all\")\npermit (principal, action, resource);\n'''\n";
/// Where every node listens: each has a host of its own.
const PORT: u16 = 4600;
const PATIENCE: Duration = Duration::from_secs(30);
