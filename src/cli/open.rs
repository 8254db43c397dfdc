//! `prunella open`: opens what was sealed for this node.

use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::Failure;
use super::output::Output;
use super::seal::{Paths, Shown, check_output, tell};
use crate::api::sealing::{self, NodeKeys, PublicKey};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Who must have sealed it: a file with the public key that `prunella key export` printed there
    #[arg(long, value_name = "SENDER")]
    from: Option<PathBuf>,
    #[command(flatten)]
    paths: Paths,
}

pub(super) fn run(arguments: Arguments, dir: &Path, output: &mut Output) -> Result<(), Failure> {
    let doing = |error| Failure::new("open the sealed data", error);
    let files = arguments.paths.files();
    check_output(&files, output).map_err(doing)?;
    let from = arguments.from.as_deref().map(PublicKey::read).transpose().map_err(doing)?;
    let keys = NodeKeys::load(dir).map_err(doing)?;
    let mut shown = Shown::begin("opened", &files);
    let report = sealing::open_file(files, &keys, from.as_ref(), &mut |bytes| shown.tell(bytes)).map_err(doing)?;
    shown.progress.clear();
    let sender = match (report.sender, from.is_some()) {
        (Some(peer), true) => format!("sealed by {peer}"),
        (Some(peer), false) => format!("sealed by {peer}, whose post-quantum key nobody vouched for: see --from"),
        (None, _) => "not signed: anybody may have sealed it".to_owned(),
    };
    tell(&report, &format!("opened {} bytes, {sender}", report.bytes), output)
}
