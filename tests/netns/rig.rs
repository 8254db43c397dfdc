//! What the tests share.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use prunella_bench::traffic::{BulkServer, Echo, EchoServer, Pace};
use prunella_bench::{Host, Lab, LabError, Mesh, Plan, until};

/// A lab, or the line that says why there is none.
pub(crate) fn lab() -> Option<Lab> {
    match Lab::new() {
        Ok(lab) => Some(lab),
        Err(error @ LabError::Unavailable(_)) => {
            // Not by the macro, whose words the test runner keeps to itself; a thread has its test's name.
            let line = format!("\nskipped: {}: {error}\n", std::thread::current().name().unwrap_or("a test"));
            let _ = std::io::stderr().write_all(line.as_bytes());
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// So many hosts.
pub(crate) fn hosts<const N: usize>(lab: &Lab) -> [Host; N] {
    std::array::from_fn(|number| lab.host(&format!("h{number}")).unwrap())
}

/// A mesh that is to have a node on each host.
pub(crate) fn plan(hosts: &[&Host]) -> Plan {
    Plan::new(env!("CARGO_BIN_EXE_prunella"), hosts)
}

/// Two nodes and what is sent between them, over a service of the second that the first forwards to.
#[derive(Debug)]
pub(crate) struct Traffic {
    from: Host,
    echo: (EchoServer, SocketAddr),
    bulk: (BulkServer, SocketAddr),
}

impl Traffic {
    pub(crate) fn between(mesh: &Mesh, from: usize, to: usize) -> Self {
        let (user, provider) = (&mesh.nodes[from], &mesh.nodes[to]);
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let echo = EchoServer::start(&provider.host, anywhere).unwrap();
        let bulk = BulkServer::start(&provider.host, anywhere).unwrap();
        provider.expose("echo", echo.address()).unwrap();
        provider.expose("bulk", bulk.address()).unwrap();
        let (to_echo, to_bulk) = (user.forward("echo").unwrap(), user.forward("bulk").unwrap());
        Self { from: user.host.clone(), echo: (echo, to_echo), bulk: (bulk, to_bulk) }
    }

    /// A connection on which a number goes out every 5 ms.
    pub(crate) fn echo(&self) -> Echo {
        Echo::start(&self.from, self.echo.1, Pace(Duration::from_millis(5))).unwrap()
    }

    /// So many bytes to the other node, compared there; how long that took.
    pub(crate) fn push(&self, bytes: u64) -> Duration {
        prunella_bench::traffic::push(&self.from, self.bulk.1, bytes).unwrap()
    }

    /// So many bytes from the other node, compared here; how long that took.
    pub(crate) fn pull(&self, bytes: u64) -> Duration {
        prunella_bench::traffic::pull(&self.from, self.bulk.1, bytes).unwrap()
    }
}

/// The state of the only link of a node, and its round trip as soon as one was measured.
pub(crate) fn only_link(mesh: &Mesh, node: usize) -> (String, Duration) {
    let measured = until("a measured round trip", Duration::from_secs(10), || {
        let told = mesh.nodes[node].json(&["links"]).map_err(|error| error.to_string())?;
        let links = told["links"].as_array().ok_or("no list of links")?;
        assert_eq!(links.len(), 1, "{told}");
        match links[0]["rtt_us"].as_u64() {
            Some(rtt) if rtt > 0 => Ok((links[0]["state"].as_str().unwrap().to_owned(), Duration::from_micros(rtt))),
            _ => Err(told.to_string()),
        }
    });
    measured.unwrap()
}
