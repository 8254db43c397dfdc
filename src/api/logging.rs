//! Where log messages go: to standard error, as the configuration or `RUST_LOG` says; and what is logged can be changed
//! while the node runs.

use std::io::IsTerminal;
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing_subscriber::EnvFilter;

use super::error::{Error, ErrorKind};
use crate::config::{Log, LogFormat, LogLevel};

/// Puts another filter in the place of the one that there is.
type Replace = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

/// What decides what this process logs.
struct Filter {
    /// As it was at the start.
    first: String,
    current: Mutex<String>,
    replace: Replace,
}

/// There is one for the process, as there is one standard error.
static FILTER: OnceLock<Filter> = OnceLock::new();

/// Starts logging, unless the process does so already.
pub(super) fn start(log: &Log) {
    let wished = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|text| !text.is_empty());
    let made = wished.and_then(|text| EnvFilter::try_new(&text).ok().map(|filter| (filter, text)));
    let (filter, first) = made.unwrap_or_else(|| {
        let text = directives(log.level);
        (EnvFilter::new(&text), text)
    });
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    let builder = builder.with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    // An embedding program that logs already keeps its own way.
    let (started, replace): (_, Replace) = match log.format {
        LogFormat::Text => {
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.try_init(), Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string())))
        }
        LogFormat::Json => {
            let builder = builder.json().with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.try_init(), Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string())))
        }
    };
    if started.is_ok() {
        let current = Mutex::new(first.clone());
        let _ = FILTER.set(Filter { first, current, replace });
    }
}

/// What is logged now, as directives of `RUST_LOG`.
///
/// # Errors
/// [`ErrorKind::NotRunning`] where the program in which the node is embedded logs in its own way.
pub(super) fn current() -> Result<String, Error> {
    Ok(filter()?.current.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// What is logged now and where that comes from, if it is not what the configuration says.
pub(super) fn overridden(log: &Log) -> Option<(String, &'static str)> {
    let filter = FILTER.get()?;
    let current = filter.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let origin = if current == filter.first { EnvFilter::DEFAULT_ENV } else { "set" };
    (current != directives(log.level)).then_some((current, origin))
}

/// Logs from this level on, everywhere or in what begins with `target`; without a level as at the start.
///
/// # Errors
/// As [`current`], and [`ErrorKind::InvalidInput`] for what is no target.
pub(super) fn set(level: Option<LogLevel>, target: Option<&str>) -> Result<String, Error> {
    let filter = filter()?;
    let mut current = filter.current.lock().unwrap_or_else(PoisonError::into_inner);
    let wanted = match (level, target) {
        (None, _) => filter.first.clone(),
        (Some(level), None) => directives(level),
        (Some(level), Some(target)) => {
            let is_target = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte));
            if target.is_empty() || target.len() > TARGET_BYTES_MAX || !is_target(target) {
                let text = format!("{target:?} is no target: those are modules, such as prunella::transport");
                return Err(Error::new(ErrorKind::InvalidInput, text));
            }
            // What was said of this target before gives way.
            let others = current.split(',').filter(|said| said.split('=').next() != Some(target));
            let mut wanted: Vec<String> = others.map(str::to_owned).collect();
            if wanted.len() > DIRECTIVES_MAX {
                let text = "too many targets have a level of their own; `prunella log --reset` forgets them";
                return Err(Error::new(ErrorKind::OverLimit, text));
            }
            wanted.push(format!("{target}={}", level.name()));
            wanted.join(",")
        }
    };
    let made = EnvFilter::try_new(&wanted).map_err(|error| Error::new(ErrorKind::InvalidInput, error.to_string()))?;
    (filter.replace)(made).map_err(|error| Error::new(ErrorKind::Internal, error))?;
    tracing::info!(filter = wanted, "what is logged has changed");
    current.clone_from(&wanted);
    Ok(wanted)
}

fn filter() -> Result<&'static Filter, Error> {
    let text = "the program in which this node is embedded logs in its own way";
    FILTER.get().ok_or_else(|| Error::new(ErrorKind::NotRunning, text))
}

/// Libraries tell more than an operator wants to know.
fn directives(level: LogLevel) -> String {
    format!("{},quinn=warn,quinn_proto=warn,quinn_udp=error,rustls=warn,sled=warn", level.name())
}

const TARGET_BYTES_MAX: usize = 128;
const DIRECTIVES_MAX: usize = 64;
