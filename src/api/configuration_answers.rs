//! Answers about the configuration, and what of it may be set while the node runs.

use super::answers::Answers;
use super::error::{Error, ErrorKind};
use super::logging;
use super::vocabulary::{Response, SettingInfo};
use crate::config::LogLevel;

impl Answers {
    /// Every key with its value and its origin.
    pub(super) fn configuration(&self) -> Vec<SettingInfo> {
        let (config, file) = (&self.shell().config, self.config_file());
        let info = |setting: crate::config::Setting| {
            let is_live = LIVE.contains(&setting.key.as_str());
            let origin = match (&setting.place, file) {
                (Some(place), _) => place.to_string(),
                (None, Some(_)) => "default".to_owned(),
                (None, None) => "program".to_owned(),
            };
            SettingInfo { key: setting.key, value: setting.value, origin, pending: setting.pending, live: is_live }
        };
        let mut settings: Vec<SettingInfo> = config.settings(self.dir(), file).into_iter().map(info).collect();
        // What is logged is the process's, and may be another thing than the file says.
        if let Some((logs, origin)) = logging::overridden(&config.log)
            && let Some(level) = settings.iter_mut().find(|setting| setting.key == LOG_LEVEL)
        {
            (level.value, level.origin) = (format!("{logs:?}"), origin.to_owned());
        }
        settings
    }

    /// Sets a key while the node runs; it is as before when the node is started anew.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a key that cannot be set so, or a value that it cannot have.
    pub(super) fn configure(&self, key: &str, value: &str) -> Result<Response, Error> {
        if key != LOG_LEVEL {
            let known = self.shell().config.settings(self.dir(), None).iter().any(|setting| setting.key == key);
            let text = if known {
                format!("{key} counts from the node's next start: write it into config.toml; live: {}", LIVE.join(", "))
            } else {
                format!("there is no key {key:?}; `prunella config show` lists them")
            };
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        let wrong =
            || Error::new(ErrorKind::InvalidInput, format!("{value:?} is no level: error, warn, info, debug or trace"));
        let level = serde_json::from_value::<LogLevel>(value.into()).map_err(|_| wrong())?;
        self.set_log(Some(level), None)
    }

    /// What is logged now.
    pub(super) fn log(&self) -> Result<Response, Error> {
        logging::current().map(|filter| Response::Log { filter })
    }

    /// Logs so from now on.
    pub(super) fn set_log(&self, level: Option<LogLevel>, target: Option<&str>) -> Result<Response, Error> {
        logging::set(level, target).map(|filter| Response::Log { filter })
    }
}

const LOG_LEVEL: &str = "log.level";
/// What may be set while the node runs.
const LIVE: &[&str] = &[LOG_LEVEL];
