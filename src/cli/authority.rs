//! `prunella authority`: what is done with the key of the mesh's authority.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::output::Output;
use super::render::authority as render;
use crate::api::authority::{self, NotTwins, PublicTwins};
use crate::api::{Error, ErrorKind, PeerId};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// The authority's key, if it is not in the node's directory.
#[derive(Debug, Args)]
struct Key {
    /// The file that holds the authority's keys [default: authority.key in the node's directory]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the authorities that this node trusts
    Show,
    /// Print the keys with which this node wants to issue certificates, as one line; `appoint` appoints them
    Request,
    /// Appoint an issuer, and print the appointment; `accept` takes it in where the key is
    Appoint {
        /// The issuing keys, as `request` printed them
        #[arg(value_name = "ISSUING_KEYS")]
        issuer: PublicTwins,
        #[command(flatten)]
        key: Key,
    },
    /// Take in an appointment, from standard input or a file
    Accept {
        /// A file; `-` or nothing: standard input
        file: Option<PathBuf>,
    },
    /// Tell the whole mesh that an issuer is one no more: what it certified counts no more
    Dismiss {
        /// The issuing keys, as `request` printed them, or what stands before the dot in them
        #[arg(value_name = "ISSUING_KEYS", value_parser = issuer)]
        issuer: PeerId,
        #[command(flatten)]
        key: Key,
    },
    /// Have another authority take the place of this one; both are trusted until `retire`
    Succeed {
        #[command(flatten)]
        key: Key,
        /// Where the new key is written [default: authority.key in the node's directory]
        #[arg(long, value_name = "FILE")]
        new_key: Option<PathBuf>,
    },
    /// Tell the whole mesh that an older authority counts no more
    Retire {
        /// The beginning of its fingerprint, as `show` lists it
        #[arg(value_name = "FINGERPRINT")]
        which: String,
        #[command(flatten)]
        key: Key,
    },
}

pub(super) async fn run(arguments: Arguments, dir: &Path, output: &mut Output) -> Result<(), Failure> {
    let failed = |doing: &'static str| move |error: Error| Failure::new(doing, error);
    match arguments.command {
        Command::Show => {
            let trusted = authority::trusted(dir).map_err(failed("list the authorities"))?;
            output.show_either(&render::json(&trusted), &render::text(&trusted))
        }
        Command::Request => {
            let keys = authority::request(dir).map_err(failed("draw issuing keys"))?;
            let json = serde_json::json!({ "issuing_key": keys.key, "issuing_keys": keys.to_string() });
            output.show_either(&json, &format!("{keys}\n"))
        }
        Command::Appoint { issuer, key } => {
            let pem = authority::appoint(dir, key.key.as_deref(), &issuer).map_err(failed("appoint an issuer"))?;
            output.show_either(&serde_json::json!({ "appointment": pem }), &pem)
        }
        Command::Accept { file } => {
            let text = read(file.as_deref()).map_err(failed("read the appointment"))?;
            let until = authority::accept(dir, &text).map_err(failed("accept the appointment"))?;
            let done = format!("this node issues certificates until {}\n", render::moment(until));
            output.show_either(&serde_json::json!({ "until_unix": until }), &done)
        }
        Command::Dismiss { issuer, key } => {
            let done = authority::dismiss(dir, key.key.as_deref(), issuer).await;
            done.map_err(failed("dismiss an issuer"))?;
            output.show_either(&serde_json::json!({ "dismissed": issuer }), "the issuer was dismissed\n")
        }
        Command::Succeed { key, new_key } => {
            let done = authority::succeed(dir, key.key.as_deref(), new_key.as_deref()).await;
            done.map_err(failed("replace the authority"))?;
            let trusted = authority::trusted(dir).map_err(failed("list the authorities"))?;
            output.show_either(&render::json(&trusted), &render::text(&trusted))
        }
        Command::Retire { which, key } => {
            let done = authority::retire(dir, key.key.as_deref(), &which).await;
            done.map_err(failed("retire an authority"))?;
            output.show_either(&serde_json::json!({ "retired": which }), "the authority has retired\n")
        }
    }
}

/// The key that names an issuer.
fn issuer(text: &str) -> Result<PeerId, NotTwins> {
    let (key, _) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    key.parse().map_err(|_| NotTwins)
}

fn read(file: Option<&Path>) -> Result<String, Error> {
    let mut text = String::new();
    let read = match file.filter(|file| *file != Path::new("-")) {
        Some(file) => {
            std::fs::File::open(file).and_then(|file| file.take(APPOINTMENT_BYTES_MAX).read_to_string(&mut text))
        }
        None => std::io::stdin().take(APPOINTMENT_BYTES_MAX).read_to_string(&mut text),
    };
    read.map(|_| text).map_err(|error| Error::new(ErrorKind::System, error.to_string()))
}

const APPOINTMENT_BYTES_MAX: u64 = 64 * 1024;
