//! Compares Prunella with others of its kind: the same work, in the same run, round by round.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod compare;
mod quic;
mod tunnel;

/// Compares Prunella with others of its kind.
#[derive(Debug, Parser)]
#[command(name = "prunella-bench")]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Do the same work through each system and tell how they did. Needs root, `ip`, `nft`, `ping` and `iperf3`
    Compare(compare::Arguments),
    /// Carry TCP connections over plain QUIC: the far end
    #[command(hide = true)]
    QuicServer(quic::ServerArguments),
    /// Carry TCP connections over plain QUIC: the near end
    #[command(hide = true)]
    QuicClient(quic::ClientArguments),
    /// Carry a TUN device's packets, and do nothing else
    #[command(hide = true)]
    Tunnel(tunnel::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Program::parse().command {
        Command::Compare(arguments) => compare::run(&arguments).map_err(|error| error.to_string()),
        Command::QuicServer(arguments) => quic::serve(&arguments).map_err(|error| error.to_string()),
        Command::QuicClient(arguments) => quic::carry(&arguments).map_err(|error| error.to_string()),
        Command::Tunnel(arguments) => tunnel::carry(&arguments).map_err(|error| error.to_string()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            compare::progress::say(format_args!("prunella-bench: failed: {error}"));
            ExitCode::FAILURE
        }
    }
}
