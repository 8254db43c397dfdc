//! How the HTTP API is served.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where the HTTP API is served, and to whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// The address; `None`: nowhere but at the node's own socket.
    #[serde(with = "address_or_nothing")]
    pub listen: Option<SocketAddr>,
    /// The server's certificate chain (PEM); empty: plain HTTP. After [`load`](super::load) paths no longer depend on the working
    /// directory.
    pub certificate: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
    /// Who issues certificates to clients (PEM); empty: nobody.
    pub client_authority: PathBuf,
    /// What such clients may do.
    pub client_scopes: Vec<Scope>,
    /// Whether the metrics are shown to whoever asks.
    pub open_metrics: bool,
    /// Pages whose scripts may use the API.
    pub origins: Vec<String>,
}

impl Http {
    /// Whether it is served over TLS.
    pub fn has_tls(&self) -> bool {
        !self.certificate.as_os_str().is_empty()
    }
}

/// What a caller of the HTTP API may do: commands of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Those that tell something.
    Read,
    /// Those that change something.
    Change,
    /// Those that change what others rest on, or open the host to them.
    Grave,
}

impl Scope {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Change => "change",
            Scope::Grave => "grave",
        }
    }
}

/// An address, or the empty text for none.
mod address_or_nothing {
    use std::net::SocketAddr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(address: &Option<SocketAddr>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&address.map(|address| address.to_string()).unwrap_or_default())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = |_| de::Error::custom(format!("{text:?} is no IP address with a port, such as 127.0.0.1:9090"));
        if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(wrong) }
    }
}
