//! `prunella dashboard`: an address that opens in a browser.

use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::failure::{Failure, complain};
use super::output::{Output, unix_ms_now};
use crate::api::client::Client;
use crate::api::server::SOCKET_NAME;
use crate::api::tokens::{self, Scope};
use crate::api::{Error, ErrorKind, Request, Response};

#[derive(Debug, Args)]
#[command(
    after_help = "The address holds a token for reading that is good for twelve hours; `prunella token list` shows it.
From another host, forward the port: ssh -L 9090:127.0.0.1:9090 HOST"
)]
pub(super) struct Arguments {}

pub(super) async fn run(_: Arguments, dir: &Path, output: &mut Output) -> Result<(), Failure> {
    let failed = |error| Failure::new("open the dashboard", error);
    let status = match Client::to(&dir.join(SOCKET_NAME)).request(&Request::Status).await.map_err(failed)? {
        Response::Status(status) => status,
        Response::Error { error } => return Err(failed(error)),
        other => return Err(Failure::unexpected("open the dashboard", &other)),
    };
    let Some(address) = status.http else {
        let text = "the node does not serve HTTP over TCP: `listen` under [http] in config.toml, or its log, says why";
        return Err(failed(Error::new(ErrorKind::NotRunning, text)));
    };
    let now_ms = unix_ms_now();
    let name = format!("dashboard-{now_ms}");
    let token = tokens::create(dir, &name, &[Scope::Read], Some(LIFE), now_ms / 1000).map_err(failed)?;
    // Behind the hash: a browser keeps that to itself.
    let url = format!("{address}/#token={token}");
    output.show_either(&serde_json::json!({ "url": url, "token": name }), &format!("{url}\n"))?;
    output.flush()?;
    if output.is_terminal() && !output.is_json() {
        complain("Whoever has this address can read what the node knows, for twelve hours.");
    }
    Ok(())
}

/// How long the token in the address is good.
const LIFE: Duration = Duration::from_secs(12 * 3600);
