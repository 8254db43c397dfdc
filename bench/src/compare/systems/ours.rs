//! Prunella: a service of a node, over a session; and the interface of a node.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use prunella_bench::{LabError, Mesh, Node, Plan};

use super::{EVERYWHERE, PORTS, Reach, Running, System};
use crate::compare::ground::{Ground, Shape};

/// By `prunella expose` and `prunella forward`.
pub(super) struct Session {
    pub(super) program: PathBuf,
}

impl System for Session {
    fn name(&self) -> &'static str {
        "prunella-session"
    }

    fn describe(&self) -> String {
        "TCP connections by `expose` and `forward`, over a session; every node allows everything".to_owned()
    }

    fn missing(&self) -> Option<String> {
        missing(&self.program)
    }

    fn shapes(&self) -> &'static [Shape] {
        EVERYWHERE
    }

    fn start(&self, ground: &Ground) -> Result<Running, LabError> {
        let (mut mesh, began) = found(&self.program, ground, &[], "")?;
        mesh.nodes.iter_mut().try_for_each(Node::answers)?;
        let (first, last) = (&mesh.nodes[0], &mesh.nodes[mesh.nodes.len() - 1]);
        let mut client = BTreeMap::new();
        for port in PORTS {
            last.expose(&format!("port-{port}"), SocketAddr::from(([127, 0, 0, 1], port)))?;
            client.insert(port, first.forward(&format!("port-{port}"))?);
        }
        let pids = pids(&mesh);
        Ok(Running { pids, began, reach: Reach::forwards(client), _kept: Box::new(mesh) })
    }
}

/// By `prunella up --tun`.
pub(super) struct Tun {
    pub(super) program: PathBuf,
    /// How it runs.
    pub(super) way: Way,
}

/// How the program of an interface runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// As it is.
    Plain,
    /// By the system's real-time scheduler.
    RealTime,
    /// With its packet program in the kernel of every host.
    Kernel,
}

impl System for Tun {
    fn name(&self) -> &'static str {
        match self.way {
            Way::Plain => "prunella-tun",
            Way::RealTime => "prunella-tun-rr",
            Way::Kernel => "prunella-tun-ebpf",
        }
    }

    fn describe(&self) -> String {
        let how = match self.way {
            Way::Plain => "",
            Way::RealTime => ", scheduled by `chrt --rr 1`",
            Way::Kernel => ", with `kernel.interfaces` on every host",
        };
        format!("the node's interface, by `up --tun`{how}; every node allows everything")
    }

    fn missing(&self) -> Option<String> {
        let help = std::process::Command::new(&self.program).args(["up", "--help"]).output();
        let has = help.is_ok_and(|told| String::from_utf8_lossy(&told.stdout).contains("--tun"));
        let lacks_tun = || (!has).then(|| "this `prunella` has no `up --tun`".to_owned());
        let version = || std::process::Command::new(&self.program).arg("--version").output();
        let lacks_ebpf = || {
            let has = version().is_ok_and(|told| String::from_utf8_lossy(&told.stdout).contains("ebpf"));
            let is_missed = self.way == Way::Kernel && !has;
            is_missed.then(|| "this `prunella` was built without `--features ebpf`".to_owned())
        };
        missing(&self.program).or_else(lacks_tun).or_else(lacks_ebpf)
    }

    fn shapes(&self) -> &'static [Shape] {
        EVERYWHERE
    }

    fn start(&self, ground: &Ground) -> Result<Running, LabError> {
        let mut settings = String::new();
        if self.way == Way::Kernel {
            ground.hosts.iter().try_for_each(prunella_bench::Host::be_router)?;
            let devices: BTreeSet<_> = ground.joins.iter().flat_map(|join| &join.ends).map(|end| &end.device).collect();
            settings = format!("[kernel]\ninterfaces = {:?}\n", Vec::from_iter(devices));
        }
        let (mut mesh, began) = found(&self.program, ground, &["--tun"], &settings)?;
        let last = mesh.nodes.len() - 1;
        if self.way == Way::RealTime {
            mesh.nodes.iter_mut().try_for_each(Node::answers)?;
            for (host, pid) in ground.hosts.iter().zip(pids(&mesh)) {
                host.run_well(&["chrt", "--all-tasks", "--rr", "--pid", "1", &pid.to_string()])?;
            }
        }
        mesh.nodes[last].answers()?;
        let reach = Reach::address(mesh.nodes[last].address()?.into());
        let pids = pids(&mesh);
        Ok(Running { pids, began, reach, _kept: Box::new(mesh) })
    }
}

fn missing(program: &Path) -> Option<String> {
    (!program.is_file()).then(|| format!("there is no {}; `--prunella FILE` names another", program.display()))
}

/// A mesh whose nodes were founded and joined before, and have been started now; when.
fn found(program: &Path, ground: &Ground, up: &[&str], settings: &str) -> Result<(Mesh, Instant), LabError> {
    let hosts: Vec<_> = ground.hosts.iter().collect();
    let plan = ground.joins.iter().fold(Plan::new(program, &hosts).set(settings).up(up), |plan, join| {
        let [a, b] = &join.ends;
        plan.link(join.hosts[0], join.hosts[1], [a, b])
    });
    let mut mesh = Mesh::prepare(&ground.lab, &plan)?;
    let began = Instant::now();
    mesh.start()?;
    Ok((mesh, began))
}

fn pids(mesh: &Mesh) -> Vec<u32> {
    mesh.nodes.iter().filter_map(Node::pid).collect()
}
