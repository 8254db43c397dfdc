//! Where log messages go: to standard error, as the configuration or `RUST_LOG` says.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Starts logging, unless the process does so already.
pub(super) fn start(log: &Log) {
    let quiet = format!("{},quinn=warn,quinn_proto=warn,quinn_udp=error,rustls=warn,sled=warn", log.level.name());
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(quiet));
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    let builder = builder.with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    // An embedding program that logs already keeps its own way.
    let _ = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
