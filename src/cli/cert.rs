//! `prunella cert`: certificates, and who is a member no more.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::session::Session;
use crate::api::{Request, Response};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the certificates that this node sees, and what the authority has said
    List,
    /// Show one certificate in full
    Show {
        /// A node's name, the beginning of its peer id, or of a fingerprint [default: this node's]
        #[arg(value_name = "WHICH")]
        which: Option<String>,
    },
    /// Renew this node's certificate now; no connection notices
    Rotate,
    /// Look for certificates that are expired, about to expire, or not renewed; exit code 1 if there are any
    Audit,
    /// Shake hands with a node in every way that a member may, and in one that must be refused; exit code 1 if one of them
    /// does not go as it must
    Smoke {
        /// A node's name, its peer id, or a beginning of it
        #[arg(value_name = "NODE")]
        peer: String,
    },
    /// Revoke a node, everywhere: its certificates count no more, and nobody deals with it (on an issuer)
    Revoke {
        /// A node's name, its peer id, or a beginning of it
        #[arg(value_name = "NODE")]
        peer: String,
        /// Why, for people; at most 200 bytes
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Take a revocation back (on an issuer)
    Reinstate {
        /// The peer id, or a beginning of it: `cert list` tells it
        #[arg(value_name = "PEER")]
        peer: String,
    },
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    match arguments.command {
        Command::List => session.show("list the certificates", &Request::Certificates).await,
        Command::Show { which } => show(which, session).await,
        Command::Rotate => session.show("renew the certificate", &Request::RotateCertificate).await,
        Command::Audit => audit(session).await,
        Command::Smoke { peer } => {
            let response = session.ask(&format!("shake hands with {peer}"), &Request::Smoke { peer }).await?;
            session.output.show(&response)?;
            let is_right = matches!(&response, Response::Smoke(info) if info.ok);
            if is_right { Ok(()) } else { Err(Failure::Told) }
        }
        Command::Revoke { peer, reason } => {
            let (doing, done) = (format!("revoke {peer}"), format!("{peer} was revoked\n"));
            session.order(&doing, &Request::Revoke { peer, reason }, &done).await
        }
        Command::Reinstate { peer } => {
            let (doing, done) = (format!("reinstate {peer}"), format!("{peer} was reinstated\n"));
            session.order(&doing, &Request::Reinstate { peer }, &done).await
        }
    }
}

async fn show(which: Option<String>, session: &mut Session<'_>) -> Result<(), Failure> {
    let response = session.ask("show a certificate", &Request::Certificates).await?;
    let Response::Certificates(mut info) = response else { return session.output.show(&response) };
    match &which {
        // The first is this node's own.
        None => info.certificates.truncate(1),
        Some(which) => info.certificates.retain(|certificate| {
            certificate.name == *which
                || certificate.peer.is_some_and(|peer| peer.to_string().starts_with(which))
                || certificate.fingerprint.starts_with(which)
        }),
    }
    if info.certificates.is_empty() {
        let text =
            format!("no certificate of {:?} is seen here; `cert list` tells which are", which.unwrap_or_default());
        return Err(Failure::new(
            "show a certificate",
            crate::api::Error::new(crate::api::ErrorKind::PeerNotFound, text),
        ));
    }
    session.output.show(&Response::Certificate { certificates: info.certificates })
}

async fn audit(session: &mut Session<'_>) -> Result<(), Failure> {
    let response = session.ask("audit the certificates", &Request::Certificates).await?;
    let Response::Certificates(info) = response else { return session.output.show(&response) };
    let well = info.problems.is_empty();
    session.output.show(&Response::Problems { problems: info.problems })?;
    if well { Ok(()) } else { Err(Failure::Told) }
}
