//! What a configuration's values may be, and how they must relate.

use std::fmt::Display;
use std::net::SocketAddr;

use prunella_core::limits::{
    ADDRESSES_MAX, CONTROL_RATE_PER_SECOND_MAX, CONTROL_RATE_PER_SECOND_MIN, KERNEL_INTERFACES_MAX, NEIGHBORS_MAX,
    NODE_NAME_BYTES_MAX, PATHS_MAX, REBALANCE_EVERY_MAX, REBALANCE_EVERY_MIN, RECORDING_FILE_MIB_MAX,
    RECORDING_FILE_MIB_MIN, REGION_BYTES_MAX, ROUTES_ANNOUNCED_MAX, SOCKETS_MAX, TRUST_DOMAINS_MAX, TUN_QUEUES_MAX,
};
use prunella_core::overlay::Prefix;

use super::{Federation, Http, MeshConfig, Neighbors, Paths, Probe, Tun};

/// A value that is not allowed.
pub(super) struct Broken {
    /// The key first, then the keys that it depends on, each with its sections.
    pub(super) keys: Vec<&'static str>,
    /// The value.
    pub(super) found: String,
    /// What is allowed.
    pub(super) allowed: String,
}

/// Checks every value.
pub(super) fn ranges(config: &MeshConfig) -> Result<(), Broken> {
    name(&config.name)?;
    region(&config.region)?;
    between("nice", config.nice, -20, 19)?;
    between("sockets", config.sockets, 0, SOCKETS_MAX)?;
    addresses(&config.advertise)?;
    count("bootstrap", config.bootstrap.len(), NEIGHBORS_MAX)?;
    neighbors(&config.neighbors)?;
    paths(&config.paths)?;
    between("sessions.spread_paths", config.sessions.spread_paths, 1, config.paths.count)
        .map_err(|broken| broken.because("paths.count", "`paths.count`"))?;
    tun(&config.tun)?;
    probe(&config.probe)?;
    let rates = (CONTROL_RATE_PER_SECOND_MIN, CONTROL_RATE_PER_SECOND_MAX);
    between("gossip.messages_per_second", config.gossip.messages_per_second, rates.0, rates.1)?;
    between("certificate.validity_hours", config.certificate.validity_hours, 1, VALIDITY_HOURS_MAX)?;
    between("certificate.grace_days", config.certificate.grace_days, 0, GRACE_DAYS_MAX)?;
    federation(&config.federation)?;
    http(&config.http)?;
    let sizes = (RECORDING_FILE_MIB_MIN, RECORDING_FILE_MIB_MAX);
    between("journal.file_mib", config.journal.file_mib, sizes.0, sizes.1)?;
    interfaces(&config.kernel.interfaces)?;
    endpoint(&config.traces.endpoint)?;
    path("store.directory", config.store.directory.as_os_str().is_empty())?;
    path("policy.file", config.policy.file.as_os_str().is_empty())
}

/// Whether `name` may name the device of an overlay interface.
pub fn is_device_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=INTERFACE_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(fits)
}

/// Whether `name` may name a node; the empty name is not one.
pub fn is_node_name(name: &str) -> bool {
    (1..=NODE_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn name(name: &str) -> Result<(), Broken> {
    if name.is_empty() || is_node_name(name) {
        return Ok(());
    }
    let allowed = format!("letters, digits, `.`, `-` and `_`, at most {NODE_NAME_BYTES_MAX} of them");
    Err(Broken { keys: vec!["name"], found: format!("{name:?}"), allowed })
}

fn region(region: &str) -> Result<(), Broken> {
    if region.is_empty() || (is_node_name(region) && region.len() <= REGION_BYTES_MAX) {
        return Ok(());
    }
    let allowed = format!("letters, digits, `.`, `-` and `_`, at most {REGION_BYTES_MAX} of them");
    Err(Broken { keys: vec!["region"], found: format!("{region:?}"), allowed })
}

fn addresses(advertise: &[SocketAddr]) -> Result<(), Broken> {
    count("advertise", advertise.len(), ADDRESSES_MAX)?;
    match advertise.iter().find(|address| address.ip().is_unspecified() || address.port() == 0) {
        None => Ok(()),
        Some(address) => Err(Broken {
            keys: vec!["advertise"],
            found: format!("\"{address}\""),
            allowed: "addresses that others can dial: a definite IP address and a port other than 0".to_owned(),
        }),
    }
}

fn neighbors(neighbors: &Neighbors) -> Result<(), Broken> {
    between("neighbors.max", neighbors.max, 1, NEIGHBORS_MAX)?;
    count("neighbors.peers", neighbors.peers.len(), NEIGHBORS_MAX)?;
    let (least, most) = (REBALANCE_EVERY_MIN.as_secs(), REBALANCE_EVERY_MAX.as_secs());
    if neighbors.rebalance_every_s > 0 {
        between("neighbors.rebalance_every_s", neighbors.rebalance_every_s, least, most)
            .map_err(|broken| Broken { allowed: format!("0 or {}", broken.allowed), ..broken })?;
    }
    between("neighbors.target", neighbors.target, 1, neighbors.max)
        .map_err(|broken| broken.because("neighbors.max", "`neighbors.max`"))
}

fn paths(paths: &Paths) -> Result<(), Broken> {
    between("paths.count", paths.count, 1, PATHS_MAX)?;
    between("paths.warm", paths.warm, 1, paths.count).map_err(|broken| broken.because("paths.count", "`paths.count`"))
}

fn tun(tun: &Tun) -> Result<(), Broken> {
    between("tun.queues", tun.queues, 0, TUN_QUEUES_MAX)?;
    let is_label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=DOMAIN_LABEL_BYTES_MAX).contains(&label.len()) && label.bytes().all(fits)
    };
    if !tun.domain.is_empty() && (tun.domain.len() > DOMAIN_BYTES_MAX || !tun.domain.split('.').all(is_label)) {
        let allowed = "a domain in small letters, such as \"mesh\" or \"mesh.example\", or nothing".to_owned();
        return Err(Broken { keys: vec!["tun.domain"], found: format!("{:?}", tun.domain), allowed });
    }
    count("tun.announce", tun.announce.len(), ROUTES_ANNOUNCED_MAX)?;
    tun.announce.iter().try_for_each(|text| announced(text))?;
    if tun.device.is_empty() || is_device_name(&tun.device) {
        return Ok(());
    }
    let allowed = format!("letters, digits, `.`, `-` and `_`, at most {INTERFACE_NAME_BYTES_MAX} of them, or nothing");
    Err(Broken { keys: vec!["tun.device"], found: format!("{:?}", tun.device), allowed })
}

fn announced(text: &str) -> Result<(), Broken> {
    let parsed = text.parse::<Prefix>().map_err(|error| error.to_string());
    parsed.and_then(|prefix| prefix.check_announced()).map_err(|reason| Broken {
        keys: vec!["tun.announce"],
        found: format!("{text:?}"),
        allowed: format!("networks of their own, such as \"fd00:20::/64\" or \"10.20.0.0/16\"; this one {reason}"),
    })
}

fn probe(probe: &Probe) -> Result<(), Broken> {
    between("probe.link_interval_ms", probe.link_interval_ms, 10, INTERVAL_MS_MAX)?;
    between("probe.idle_interval_ms", probe.idle_interval_ms, probe.link_interval_ms, INTERVAL_MS_MAX)
        .map_err(|broken| broken.because("probe.link_interval_ms", "at least `probe.link_interval_ms`"))?;
    between("probe.path_interval_ms", probe.path_interval_ms, 5, INTERVAL_MS_MAX)?;
    between("probe.late_after_ms", probe.late_after_ms, probe.path_interval_ms + 1, INTERVAL_MS_MAX)
        .map_err(|broken| broken.because("probe.path_interval_ms", "more than `probe.path_interval_ms`"))?;
    between("probe.hedge_after_ms", probe.hedge_after_ms, 0, probe.late_after_ms)
        .map_err(|broken| broken.because("probe.late_after_ms", "at most `probe.late_after_ms`"))?;
    between("probe.dead_after_ms", probe.dead_after_ms, probe.late_after_ms + 1, SILENCE_MS_MAX)
        .map_err(|broken| broken.because("probe.late_after_ms", "more than `probe.late_after_ms`"))?;
    between("probe.dead_after_ms", probe.dead_after_ms, probe.link_interval_ms + 1, SILENCE_MS_MAX)
        .map_err(|broken| broken.because("probe.link_interval_ms", "more than `probe.link_interval_ms`"))
}

fn interfaces(interfaces: &[String]) -> Result<(), Broken> {
    const KEY: &str = "kernel.interfaces";
    count(KEY, interfaces.len(), KERNEL_INTERFACES_MAX)?;
    let is_name = |name: &String| {
        (1..=INTERFACE_NAME_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/')
    };
    match interfaces.iter().find(|name| !is_name(name)) {
        None => Ok(()),
        Some(wrong) => {
            let allowed = format!("names of interfaces, such as \"eth0\", of at most {INTERFACE_NAME_BYTES_MAX} bytes");
            Err(Broken { keys: vec![KEY], found: format!("{wrong:?}"), allowed })
        }
    }
}

fn federation(federation: &Federation) -> Result<(), Broken> {
    count("federation.bundles", federation.bundles.len(), TRUST_DOMAINS_MAX)?;
    if federation.workload_api.is_empty() || federation.workload_api.starts_with("unix:/") {
        return Ok(());
    }
    Err(Broken {
        keys: vec!["federation.workload_api"],
        found: format!("{:?}", federation.workload_api),
        allowed: "unix:/PATH, or nothing".to_owned(),
    })
}

fn http(http: &Http) -> Result<(), Broken> {
    let empty = |path: &std::path::Path| path.as_os_str().is_empty();
    count("http.origins", http.origins.len(), ORIGINS_MAX)?;
    if let Some(wrong) = http.origins.iter().find(|origin| !is_origin(origin)) {
        let allowed = "origins, such as https://ops.example or http://localhost:3000".to_owned();
        return Err(Broken { keys: vec!["http.origins"], found: format!("{wrong:?}"), allowed });
    }
    if empty(&http.certificate) != empty(&http.key) {
        let (missing, given) =
            if empty(&http.key) { ("http.key", "http.certificate") } else { ("http.certificate", "http.key") };
        let allowed = "a file: a certificate and its key are given together".to_owned();
        return Err(Broken { keys: vec![missing, given], found: "\"\"".to_owned(), allowed });
    }
    if !empty(&http.client_authority) && !http.has_tls() {
        let allowed = "a file, if clients are to prove themselves by certificates".to_owned();
        return Err(Broken {
            keys: vec!["http.certificate", "http.client_authority"],
            found: "\"\"".to_owned(),
            allowed,
        });
    }
    match http.listen {
        Some(listen) if !listen.ip().is_loopback() && !http.has_tls() => Err(Broken {
            keys: vec!["http.listen", "http.certificate"],
            found: format!("\"{listen}\""),
            allowed:
                "a loopback address, or `http.certificate` and `http.key` as well: tokens must not be sent in the clear"
                    .to_owned(),
        }),
        _ => Ok(()),
    }
}

fn endpoint(endpoint: &str) -> Result<(), Broken> {
    if endpoint.is_empty() || is_collector(endpoint) {
        return Ok(());
    }
    let allowed = "http://HOST:PORT, or nothing".to_owned();
    Err(Broken { keys: vec!["traces.endpoint"], found: format!("{endpoint:?}"), allowed })
}

/// Whether a text is a collector's address, and nothing more.
fn is_collector(text: &str) -> bool {
    let Some((host, port)) = text.strip_prefix("http://").and_then(|rest| rest.rsplit_once(':')) else { return false };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let is_name = !host.is_empty() && host.bytes().all(allowed);
    let is_address = || format!("{host}:{port}").parse::<SocketAddr>().is_ok();
    port.parse::<u16>().is_ok_and(|port| port > 0) && (is_name || is_address())
}

/// As a browser sends it (RFC 6454, section 6.2): scheme, host, and the port unless it is the scheme's own.
fn is_origin(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
    rest.is_some_and(|host| !host.is_empty() && host.bytes().all(allowed))
}

fn path(key: &'static str, is_empty: bool) -> Result<(), Broken> {
    if !is_empty {
        return Ok(());
    }
    Err(Broken { keys: vec![key], found: "\"\"".to_owned(), allowed: "a path".to_owned() })
}

fn count(key: &'static str, found: usize, most: usize) -> Result<(), Broken> {
    if found <= most {
        return Ok(());
    }
    Err(Broken { keys: vec![key], found: format!("a list of {found}"), allowed: format!("a list of at most {most}") })
}

fn between<T: PartialOrd + Display>(key: &'static str, found: T, least: T, most: T) -> Result<(), Broken> {
    if found >= least && found <= most {
        return Ok(());
    }
    Err(Broken { keys: vec![key], found: found.to_string(), allowed: format!("{least} to {most}") })
}

impl Broken {
    fn because(mut self, key: &'static str, reason: &str) -> Self {
        self.keys.push(key);
        self.allowed = format!("{} ({reason})", self.allowed);
        self
    }
}

const ORIGINS_MAX: usize = 16;
/// As the kernel has it (`IFNAMSIZ`), without the zero at the end.
const INTERFACE_NAME_BYTES_MAX: usize = 15;
const VALIDITY_HOURS_MAX: u64 = 7 * 24;
const GRACE_DAYS_MAX: u64 = 365;
/// RFC 1035, section 2.3.4, with room for a peer id before it.
const DOMAIN_LABEL_BYTES_MAX: usize = 63;
const DOMAIN_BYTES_MAX: usize = 128;
const INTERVAL_MS_MAX: u64 = 60_000;
const SILENCE_MS_MAX: u64 = 600_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn broken_key(change: impl FnOnce(&mut MeshConfig)) -> Option<&'static str> {
        let mut config = MeshConfig::default();
        change(&mut config);
        ranges(&config).err().map(|broken| broken.keys[0])
    }

    #[test]
    fn each_key_has_its_range() {
        assert_eq!(broken_key(|_| {}), None);
        assert_eq!(broken_key(|config| config.name = "two words".to_owned()), Some("name"));
        assert_eq!(broken_key(|config| config.advertise = vec!["0.0.0.0:1".parse().unwrap()]), Some("advertise"));
        assert_eq!(broken_key(|config| config.neighbors.max = 0), Some("neighbors.max"));
        assert_eq!(broken_key(|config| config.neighbors.target = 33), Some("neighbors.target"));
        assert_eq!(broken_key(|config| config.neighbors.rebalance_every_s = 9), Some("neighbors.rebalance_every_s"));
        assert_eq!(broken_key(|config| config.neighbors.rebalance_every_s = 0), None);
        assert_eq!(broken_key(|config| config.paths.warm = 0), Some("paths.warm"));
        assert_eq!(broken_key(|config| config.sessions.spread_paths = 0), Some("sessions.spread_paths"));
        assert_eq!(broken_key(|config| config.sessions.spread_paths = 3), None);
        assert_eq!(broken_key(|config| config.sessions.spread_paths = 4), Some("sessions.spread_paths"));
        assert_eq!(broken_key(|config| config.probe.late_after_ms = 40), Some("probe.late_after_ms"));
        assert_eq!(broken_key(|config| config.probe.link_interval_ms = 1000), Some("probe.dead_after_ms"));
        assert_eq!(broken_key(|config| config.probe.idle_interval_ms = 199), Some("probe.idle_interval_ms"));
        assert_eq!(broken_key(|config| config.probe.idle_interval_ms = 200), None);
        assert_eq!(broken_key(|config| config.probe.idle_interval_ms = 60_001), Some("probe.idle_interval_ms"));
        assert_eq!(broken_key(|config| config.certificate.validity_hours = 0), Some("certificate.validity_hours"));
        for rate in [9, 100_001] {
            let broken = broken_key(|config| config.gossip.messages_per_second = rate);
            assert_eq!(broken, Some("gossip.messages_per_second"));
        }
        assert_eq!(broken_key(|config| config.journal.file_mib = 3), Some("journal.file_mib"));
        assert_eq!(broken_key(|config| config.journal.file_mib = 4097), Some("journal.file_mib"));
        let announce = |all: &[&str]| {
            let all = all.iter().map(|&text| text.to_owned()).collect();
            broken_key(|config| config.tun.announce = all)
        };
        assert_eq!(announce(&["fd00:20::/64", "10.20.0.0/16"]), None);
        for bad in ["10.20.0.1/16", "10.20.0.0", "::/0", "0.0.0.0/1", "fd70:7275:6e65::/64", "127.0.0.0/8"] {
            assert_eq!(announce(&["fd00:20::/64", bad]), Some("tun.announce"), "{bad}");
        }
        assert_eq!(announce(&["10.20.0.0/16"; 17]), Some("tun.announce"));
        for bad in ["", "a b", "../eth0", "sixteen-is-too-l"] {
            let broken = broken_key(|config| config.kernel.interfaces = vec!["eth0".to_owned(), bad.to_owned()]);
            assert_eq!(broken, Some("kernel.interfaces"), "{bad}");
        }
        assert_eq!(broken_key(|config| config.kernel.interfaces = vec!["wg-0.12@x".to_owned(); 16]), None);
        assert_eq!(broken_key(|config| config.policy.file = "".into()), Some("policy.file"));
        assert_eq!(broken_key(|config| config.http.listen = None), None);
        assert_eq!(broken_key(|config| config.http.listen = "0.0.0.0:9090".parse().ok()), Some("http.listen"));
        assert_eq!(broken_key(|config| config.http.key = "key.pem".into()), Some("http.certificate"));
        assert_eq!(broken_key(|config| config.http.client_authority = "ca.pem".into()), Some("http.certificate"));
        for good in ["http://127.0.0.1:4317", "http://[::1]:4317", "http://collector.local:4317"] {
            assert_eq!(broken_key(|config| config.traces.endpoint = good.to_owned()), None, "{good}");
        }
        for bad in
            ["127.0.0.1:4317", "https://a:4317", "http://a", "http://:1", "http://a:0", "http://a:1/x", "http://a b:1"]
        {
            assert_eq!(broken_key(|config| config.traces.endpoint = bad.to_owned()), Some("traces.endpoint"), "{bad}");
        }
        for (origin, broken) in [("https://ops.example:8443", None), ("ops.example", Some("http.origins"))] {
            assert_eq!(broken_key(|config| config.http.origins = vec![origin.to_owned()]), broken, "{origin}");
        }
    }
}
