//! A node's configuration: every key with a default, one file of the user's laid over it, all of it checked at once.
//!
//! `config/default.toml` is compiled in and *is* the default, so the documentation of a key cannot differ from it.

mod check;
mod error;
mod http;
mod nearest;
mod overlay;
mod settings;
mod share;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::overlay::Prefix;
use prunella_core::selection::Strategy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use check::{is_device_name, is_node_name};
pub use error::{ConfigError, Place};
pub use http::{Http, Scope};
pub use settings::Setting;
pub use share::Share;

/// The default configuration as a commented file.
pub const DEFAULT_FILE: &str = include_str!("../../config/default.toml");

/// The name of the user's file in a node's directory.
pub const FILE_NAME: &str = "config.toml";

/// A node's whole configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeshConfig {
    /// The node's name for people; empty when the configuration names none.
    pub name: String,
    /// Where the node stands; empty for nowhere in particular.
    pub region: String,
    /// How much the system's scheduler prefers the program to others, as nice(1); zero leaves it as it is.
    pub nice: i32,
    /// Where the node listens (UDP); port 0 lets the system choose.
    pub listen: SocketAddr,
    /// How many sockets are read there; zero: as the machine has processors.
    pub sockets: usize,
    /// What other nodes are told to dial; empty for what the node finds by itself.
    pub advertise: Vec<SocketAddr>,
    /// Nodes to dial at the start.
    pub bootstrap: Vec<Bootstrap>,
    /// Which links are kept.
    pub neighbors: Neighbors,
    /// How many paths are kept.
    pub paths: Paths,
    /// How sessions use them.
    pub sessions: Sessions,
    /// The overlay interface.
    pub tun: Tun,
    /// How links and paths are watched.
    pub probe: Probe,
    /// What neighbors may tell each other.
    pub gossip: Gossip,
    /// The node's certificate.
    pub certificate: Certificate,
    /// On whose word this node, as an issuer, may admit hosts.
    pub federation: Federation,
    /// Where the HTTP API is served.
    pub http: Http,
    /// Where knowledge is kept.
    pub store: Store,
    /// Where the rules are.
    pub policy: Policy,
    /// What is written down for a replay.
    pub journal: Journal,
    /// What is done in the kernel.
    pub kernel: Kernel,
    /// Whether faults may be injected.
    pub chaos: Chaos,
    /// Where distributed traces are exported to.
    pub traces: Traces,
    /// What is logged.
    pub log: Log,
}

/// A node to dial at the start, written `PEERID@HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Bootstrap {
    /// Who must answer there.
    pub peer: PeerId,
    /// A name or an address (an IPv6 address without brackets).
    pub host: String,
    /// The UDP port.
    pub port: u16,
}

/// Which links a node keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Neighbors {
    /// When not empty, only these are dialed and accepted.
    pub peers: Vec<PeerId>,
    /// Links that the node tries to keep.
    pub target: usize,
    /// Whom it chooses for them.
    pub selection: Strategy,
    /// Links that the node has at most; as many as `target`, but at most half of them, are for its own choices.
    pub max: usize,
    /// The least time between two exchanges of a far neighbor for a near node, in seconds; 0: never.
    pub rebalance_every_s: u64,
}

impl Neighbors {
    /// The least time between two exchanges of a far neighbor for a near node; zero: never.
    pub fn rebalance_every(&self) -> Duration {
        Duration::from_secs(self.rebalance_every_s)
    }
}

/// How many paths a node keeps per destination in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paths {
    /// Disjoint paths kept.
    pub count: usize,
    /// How many of them are probed all the time.
    pub warm: usize,
}

/// How sessions use paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// Over how many disjoint paths bulk to one destination is spread; 1: it takes one path.
    pub spread_paths: usize,
}

/// How links and paths are watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Between two probes of a link that carries traffic, is new, or is under suspicion, in milliseconds.
    pub link_interval_ms: u64,
    /// Between two probes of a link at rest, in milliseconds.
    pub idle_interval_ms: u64,
    /// Between two probes of a path in use, in milliseconds.
    pub path_interval_ms: u64,
    /// How much longer than usual a path's probe may take before traffic is sent on the next path as well, in
    /// milliseconds; 0: it never is.
    pub hedge_after_ms: u64,
    /// Silence after which a path is late, in milliseconds.
    pub late_after_ms: u64,
    /// Silence after which a path or link is dead, in milliseconds.
    pub dead_after_ms: u64,
}

/// What neighbors may tell each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gossip {
    /// Control messages accepted from one neighbor per second, with as much burst.
    pub messages_per_second: u32,
}

/// The node's certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// How long a certificate is valid, in hours.
    pub validity_hours: u64,
    /// How long ago the certificate of a node may have expired that an issuer takes back, in days.
    pub grace_days: u64,
}

/// On whose word a node, as an issuer, may admit hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Federation {
    /// The SPIFFE Workload API whose bundles count, `unix:/PATH`; empty: none.
    pub workload_api: String,
    /// Bundles in files.
    pub bundles: Vec<BundleFile>,
}

/// A trust domain's authorities in a file, written `TRUST_DOMAIN=FILE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct BundleFile {
    /// The trust domain.
    pub trust_domain: String,
    /// The file; after [`load`] it no longer depends on the working directory.
    pub file: PathBuf,
}

/// Where a node keeps what it knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// The directory; after [`load`] it no longer depends on the working directory.
    pub directory: PathBuf,
}

/// Where the rules are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The file; after [`load`] it no longer depends on the working directory.
    pub file: PathBuf,
}

/// What is written down for a replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    /// Whether the inputs of all roles are.
    pub inputs: bool,
    /// How long a file of them may become, in MiB.
    pub file_mib: u64,
}

/// What is done in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// The interfaces on which frames are forwarded there; none: nowhere.
    pub interfaces: Vec<String>,
}

/// Whether faults may be injected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chaos {
    /// Whether this node consents.
    pub allow: bool,
}

/// The overlay interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tun {
    /// The TUN device's name; empty: there is none.
    pub device: String,
    /// How many queues it has; zero: as the machine has processors.
    pub queues: usize,
    /// The domain of names that are told at the node's address; empty: none are.
    pub domain: String,
    /// Networks that stand behind this node, as they are written; see [`Tun::announced`].
    pub announce: Vec<String>,
}

/// Where distributed traces are exported to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traces {
    /// The collector, `http://HOST:PORT`; empty: nowhere.
    pub endpoint: String,
    /// Which share of the requests that begin a trace here is told.
    pub sample: Share,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The least severe messages that are logged.
    pub level: LogLevel,
    /// The form of a message.
    pub format: LogFormat,
}

/// How severe a logged message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Something was lost or refused that should not have been.
    Error,
    /// Something needs attention soon.
    Warn,
    /// What an operator wants to know afterwards.
    Info,
    /// What a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

/// The form of a logged message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Reads the configuration of the node in `dir`: the defaults, overlaid by `file`, or by `config.toml` in `dir` if
/// there is one. Relative paths in it count from `dir`.
///
/// # Errors
///
/// [`ConfigError`] says the file, the line, the key, and what to do.
pub fn load(dir: &Path, file: Option<&Path>) -> Result<MeshConfig, ConfigError> {
    let path = file.map_or_else(|| dir.join(FILE_NAME), Path::to_path_buf);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if file.is_none() && error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(ConfigError::Unreadable { file: path, source }),
    };
    let mut config = MeshConfig::parse(&text, &path)?;
    config.store.directory = dir.join(&config.store.directory);
    config.policy.file = dir.join(&config.policy.file);
    let http = &mut config.http;
    for file in [&mut http.certificate, &mut http.key, &mut http.client_authority] {
        if !file.as_os_str().is_empty() {
            *file = dir.join(&*file);
        }
    }
    config.federation.bundles.iter_mut().for_each(|bundle| bundle.file = dir.join(&bundle.file));
    Ok(config)
}

impl MeshConfig {
    /// The defaults, overlaid by the user's TOML `text`; `file` is only named in errors.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], as for [`load`].
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let (config, user) = overlay::read(DEFAULT_FILE, text, file)?;
        check::ranges(&config).map_err(|broken| user.out_of_range(broken))?;
        Ok(config)
    }
}

impl Default for MeshConfig {
    fn default() -> Self {
        Self::parse("", Path::new(FILE_NAME)).expect("BUG: the compiled-in defaults are tested to be valid")
    }
}

impl Tun {
    /// The networks that stand behind this node, ascending: it passes on what its policy lets others send there.
    pub fn announced(&self) -> Vec<Prefix> {
        let all: BTreeSet<Prefix> = self.announce.iter().filter_map(|text| text.parse().ok()).collect();
        all.into_iter().collect()
    }
}

impl Probe {
    /// Between two probes of a link that carries traffic, is new, or is under suspicion.
    pub fn link_interval(&self) -> Duration {
        Duration::from_millis(self.link_interval_ms)
    }

    /// Between two probes of a link at rest.
    pub fn idle_interval(&self) -> Duration {
        Duration::from_millis(self.idle_interval_ms)
    }

    /// Between two probes of a path in use.
    pub fn path_interval(&self) -> Duration {
        Duration::from_millis(self.path_interval_ms)
    }

    /// How much longer than usual a probe may take before traffic is sent on the next path as well; zero: it never is.
    pub fn hedge_after(&self) -> Duration {
        Duration::from_millis(self.hedge_after_ms)
    }

    /// Silence after which a path is late.
    pub fn late_after(&self) -> Duration {
        Duration::from_millis(self.late_after_ms)
    }

    /// Silence after which a path or link is dead.
    pub fn dead_after(&self) -> Duration {
        Duration::from_millis(self.dead_after_ms)
    }
}

impl Journal {
    /// How long a file may become, in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.file_mib * 1024 * 1024
    }
}

impl Certificate {
    /// How long a certificate is valid.
    pub fn validity(&self) -> Duration {
        Duration::from_secs(self.validity_hours * 3600)
    }

    /// How long ago the certificate of a node may have expired that an issuer takes back.
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_days * 24 * 3600)
    }
}

impl LogLevel {
    /// The word for it, as logging libraries know it.
    pub const fn name(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// The text is not `PEERID@HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not PEERID@HOST:PORT; `prunella status` shows a node's peer id, its `listen` the port")]
pub struct NotABootstrap(String);

impl FromStr for Bootstrap {
    type Err = NotABootstrap;

    fn from_str(text: &str) -> Result<Self, NotABootstrap> {
        let wrong = || NotABootstrap(text.to_owned());
        let (peer, address) = text.split_once('@').ok_or_else(wrong)?;
        let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control() || "[]@/".contains(c)) {
            return Err(wrong());
        }
        Ok(Self { peer: peer.parse().map_err(|_| wrong())?, host: host.to_owned(), port })
    }
}

impl fmt::Display for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "{}@[{}]:{}", self.peer, self.host, self.port)
        } else {
            write!(f, "{}@{}:{}", self.peer, self.host, self.port)
        }
    }
}

/// The text is not `TRUST_DOMAIN=FILE`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not TRUST_DOMAIN=FILE, such as partner.example=partner.pem")]
pub struct NotABundleFile(String);

impl FromStr for BundleFile {
    type Err = NotABundleFile;

    fn from_str(text: &str) -> Result<Self, NotABundleFile> {
        let wrong = || NotABundleFile(text.to_owned());
        let (trust_domain, file) = text.split_once('=').ok_or_else(wrong)?;
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        if !(1..=255).contains(&trust_domain.len()) || !trust_domain.bytes().all(allowed) || file.is_empty() {
            return Err(wrong());
        }
        Ok(Self { trust_domain: trust_domain.to_owned(), file: file.into() })
    }
}

impl TryFrom<String> for BundleFile {
    type Error = NotABundleFile;

    fn try_from(text: String) -> Result<Self, NotABundleFile> {
        text.parse()
    }
}

impl From<BundleFile> for String {
    fn from(bundle: BundleFile) -> String {
        format!("{}={}", bundle.trust_domain, bundle.file.display())
    }
}

impl TryFrom<String> for Bootstrap {
    type Error = NotABootstrap;

    fn try_from(text: String) -> Result<Self, NotABootstrap> {
        text.parse()
    }
}

impl From<Bootstrap> for String {
    fn from(bootstrap: Bootstrap) -> String {
        bootstrap.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        MeshConfig::parse(text, Path::new("p.toml")).expect_err("the text is wrong").to_string()
    }

    #[test]
    fn the_compiled_in_file_is_the_default() {
        let config = MeshConfig::default();
        assert_eq!(config.listen, "0.0.0.0:4600".parse().unwrap());
        assert_eq!((config.neighbors.target, config.neighbors.max), (4, 32));
        assert_eq!(config.neighbors.selection, Strategy::Hybrid);
        assert_eq!((config.paths.count, config.paths.warm), (3, 2));
        assert_eq!(config.probe.late_after(), Duration::from_millis(120));
        assert_eq!(config.probe.link_interval(), Duration::from_millis(200));
        assert_eq!(config.probe.idle_interval(), Duration::from_secs(5));
        assert_eq!(config.gossip.messages_per_second, prunella_core::limits::CONTROL_RATE_PER_SECOND);
        assert_eq!(config.certificate.validity(), Duration::from_secs(86_400));
        assert_eq!(config.log, Log { level: LogLevel::Info, format: LogFormat::Text });
        assert!(!config.chaos.allow && config.bootstrap.is_empty() && config.name.is_empty());
    }

    #[test]
    fn a_users_file_changes_only_what_it_names() {
        let text = "name = \"a\"\n[probe]\npath_interval_ms = 20\n[log]\nformat = \"json\"\n";
        let config = MeshConfig::parse(text, Path::new("p.toml")).unwrap();
        let mut expected = MeshConfig { name: "a".to_owned(), ..MeshConfig::default() };
        expected.probe.path_interval_ms = 20;
        expected.log.format = LogFormat::Json;
        assert_eq!(config, expected);
    }

    #[test]
    fn a_typo_is_answered_with_the_nearest_key() {
        assert_eq!(
            refused("name = \"a\"\n\n[probe]\nlate_aftr_ms = 90\n"),
            "p.toml:4:1: unknown key `probe.late_aftr_ms`; did you mean `probe.late_after_ms`?"
        );
        assert_eq!(refused("[neighbours]\n"), "p.toml:1:2: unknown key `neighbours`; did you mean `neighbors`?");
        assert_eq!(
            refused("validity_hours = 3\n"),
            "p.toml:1:1: unknown key `validity_hours`; did you mean `certificate.validity_hours`?"
        );
        assert_eq!(
            refused("zzz = 3\n"),
            "p.toml:1:1: unknown key `zzz`; remove it, or look it up in config/default.toml"
        );
    }

    #[test]
    fn a_wrong_value_is_placed_and_named() {
        let error = refused("listen = \"everywhere\"\n");
        assert!(error.starts_with("p.toml:1:10: `listen` is wrong: "), "{error}");
        let error = refused("[paths]\ncount = \"three\"\n");
        assert!(error.starts_with("p.toml:2:9: `paths.count` is wrong: "), "{error}");
        let error = refused("bootstrap = [\n  \"here\",\n]\n");
        assert!(error.starts_with("p.toml:1:13: `bootstrap` is wrong: `here` is not PEERID@HOST:PORT"), "{error}");
        let error = refused("log = 3\n");
        assert_eq!(error, "p.toml:1:7: `log` is wrong: it is a section, not a value; write `[log]` and its keys below");
    }

    #[test]
    fn broken_syntax_is_placed_on_one_line() {
        let error = refused("name = \"a\nlisten = 3\n");
        assert!(error.starts_with("p.toml:1:") && !error.contains('\n'), "{error}");
    }

    #[test]
    fn a_value_out_of_range_is_placed_where_the_user_wrote_it() {
        assert_eq!(refused("[paths]\ncount = 9\n"), "p.toml:2:9: `paths.count` is 9; it must be 1 to 8");
        assert_eq!(refused("[paths]\nwarm = 4\n"), "p.toml:2:8: `paths.warm` is 4; it must be 1 to 3 (`paths.count`)");
        assert_eq!(
            refused("[probe]\nlate_after_ms = 2000\n"),
            "p.toml:2:17: `probe.dead_after_ms` is 1000; it must be 2001 to 600000 (more than `probe.late_after_ms`)"
        );
    }

    #[test]
    fn the_examples_are_valid() {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
        for (name, port) in [("a", 4601), ("b", 4602), ("c", 4603)] {
            let file = examples.join(format!("three-nodes/{name}.toml"));
            let config = load(Path::new("/d"), Some(&file)).unwrap();
            assert_eq!((config.name.as_str(), config.listen.port()), (name, port));
            assert_eq!(config.policy.file, Path::new("/d/policy.toml"));
        }
        let policy = std::fs::read_to_string(examples.join("policy.example.toml")).unwrap();
        let policy: toml::Table = policy.parse().unwrap();
        assert!(policy["rule"].as_array().is_some_and(|rules| rules.len() > 3));
    }

    #[test]
    fn a_bootstrap_survives_its_text_form() {
        let peer = PeerId::from_public_key([7; 32]);
        for address in ["host.example:4600", "[2001:db8::1]:4600", "192.0.2.1:1"] {
            let text = format!("{peer}@{address}");
            assert_eq!(text.parse::<Bootstrap>().unwrap().to_string(), text);
        }
        for wrong in [format!("{peer}@host"), format!("{peer}@:1"), format!("{peer}@h:0"), "x@h:1".to_owned()] {
            assert!(wrong.parse::<Bootstrap>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_bundle_has_a_trust_domain_and_a_file_that_counts_from_the_node_s_directory() {
        let dir = tempfile::tempdir().unwrap();
        let text =
            "[federation]\nworkload_api = \"unix:/a.sock\"\nbundles = [\"p.example=p=q.pem\", \"q=/etc/q.json\"]\n";
        std::fs::write(dir.path().join(FILE_NAME), text).unwrap();
        let bundles = load(dir.path(), None).unwrap().federation.bundles;
        assert_eq!((bundles[0].trust_domain.as_str(), &bundles[0].file), ("p.example", &dir.path().join("p=q.pem")));
        assert_eq!(bundles[1].file, Path::new("/etc/q.json"));
        assert_eq!(String::from(bundles[1].clone()).parse(), Ok(bundles[1].clone()));
        for wrong in ["p.pem", "=p.pem", "p=", "P=p.pem", "spiffe://p=p.pem"] {
            assert!(wrong.parse::<BundleFile>().is_err(), "{wrong}");
        }
        assert_eq!(
            refused("[federation]\nworkload_api = \"/run/agent.sock\"\n"),
            "p.toml:2:16: `federation.workload_api` is \"/run/agent.sock\"; it must be unix:/PATH, or nothing"
        );
    }

    #[test]
    fn a_missing_file_is_an_error_only_when_it_was_named() {
        let dir = tempfile::tempdir().unwrap();
        let config = load(dir.path(), None).unwrap();
        assert_eq!(config.store.directory, dir.path().join("store"));
        assert_eq!(config.policy.file, dir.path().join("policy.toml"));
        let named = dir.path().join("other.toml");
        assert!(matches!(load(dir.path(), Some(&named)), Err(ConfigError::Unreadable { .. })));
        std::fs::write(dir.path().join(FILE_NAME), "name = \"from-the-file\"").unwrap();
        assert_eq!(load(dir.path(), None).unwrap().name, "from-the-file");
    }
}
