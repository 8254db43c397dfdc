//! The configuration as the surfaces see it.

use super::error::{Error, ErrorKind};

pub use crate::config::{Bootstrap, ConfigError, MeshConfig, is_device_name, is_node_name, load};

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Error::new(ErrorKind::Configuration, error.to_string())
    }
}
