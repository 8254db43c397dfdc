//! EasyTier: a mesh that finds its own ways, by its Python package, which brings all of it but the command line.

use std::process::{Command, Stdio};
use std::time::Instant;

use prunella_bench::LabError;

use super::{EVERYWHERE, Running, System, daemon, home, installed, lines, overlay, write};
use crate::compare::ground::{Ground, Shape};

pub(super) struct EasyTier;

impl System for EasyTier {
    fn name(&self) -> &'static str {
        "easytier"
    }

    fn describe(&self) -> String {
        let version = python("import easytier_pyo3; print(easytier_pyo3.version())").unwrap_or_default();
        format!(
            "EasyTier {version}: peers by TCP, public servers off, otherwise its defaults; all of it runs in a Python process"
        )
    }

    fn missing(&self) -> Option<String> {
        let hint = "there is no `easytier_pyo3` for `python3`; `pip install easytier-pyo3` would install it";
        python("import easytier_pyo3").is_none().then(|| hint.to_owned())
    }

    fn shapes(&self) -> &'static [Shape] {
        EVERYWHERE
    }

    fn start(&self, ground: &Ground) -> Result<Running, LabError> {
        let began = Instant::now();
        let mut daemons = Vec::new();
        for (number, host) in ground.hosts.iter().enumerate() {
            // The one with the smaller number is called.
            let earlier = ground.neighbors(number).filter(|(other, _)| *other < number);
            let peers = lines(earlier, |(_, end)| format!("[[peer]]\nuri = 'tcp://{}:{PORT}'", end.v4));
            let address = overlay(number);
            let config = format!(
                "instance_name = 'h{number}'\nipv4 = '{address}/24'\nlisteners = ['tcp://0.0.0.0:{PORT}']\nstun_servers = []\n\
                 stun_servers_v6 = []\n[network_identity]\nnetwork_name = 'bench'\nnetwork_secret = 'bench'\n{peers}\
                 [flags]\ndev_name = 'et0'\n"
            );
            let file = home(ground, self.name(), number)?.join("easytier.toml");
            write(&file, &config)?;
            daemons.push(daemon(host, "python3", &["-c", RUN, &file.to_string_lossy()])?);
        }
        Ok(Running::daemons(began, daemons, overlay(ground.hosts.len() - 1)))
    }
}

/// What a line of Python prints, if it can be run.
fn python(line: &str) -> Option<String> {
    let told = Command::new(installed("python3")?).args(["-c", line]).stderr(Stdio::null()).output().ok()?;
    told.status.success().then(|| String::from_utf8_lossy(&told.stdout).trim().to_owned())
}

/// Runs a node until it is killed.
const RUN: &str =
    "import sys, easytier_pyo3\nnode = easytier_pyo3.Node(open(sys.argv[1]).read())\nnode.start()\nnode.wait()";
const PORT: u16 = 11010;
