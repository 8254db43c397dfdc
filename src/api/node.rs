//! Running a node.

use std::path::Path;

use super::error::{Error, ErrorKind};

/// Runs the node in `dir` until it is asked to stop.
///
/// # Errors
///
/// Always, so far.
pub async fn run(_dir: &Path, _config_file: Option<&Path>, _rebuild: bool) -> Result<(), Error> {
    Err(Error::new(ErrorKind::Internal, "this part of the program is not there yet"))
}
