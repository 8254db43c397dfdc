//! `prunella chaos link`: impairs the link to a neighbor.

use std::time::Duration;

use clap::{ArgGroup, Args};

use super::Lasting;
use crate::api::Request;
use crate::api::chaos::{LinkImpairment, Order};
use crate::cli::failure::Failure;
use crate::cli::parse;
use crate::cli::session::Session;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).multiple(true)
    .args(["drop", "delay", "jitter", "duplicate", "reorder", "throttle", "gray"])))]
#[command(
    after_help = "Without --sent and --received both directions are struck. QUIC and frames are struck alike, except
by --gray: then probes and the link's own connection pass, and only packets of sessions are lost."
)]
pub(super) struct Arguments {
    /// The neighbor: its name, its peer id, or a beginning of it
    #[arg(value_name = "NODE")]
    neighbor: String,
    /// Strike only what is sent to it
    #[arg(long)]
    sent: bool,
    /// Strike only what comes from it
    #[arg(long)]
    received: bool,
    /// Lose this share of the datagrams, such as 100% or 0.5%
    #[arg(long, value_name = "SHARE", value_parser = parse::share, default_value = "0%", hide_default_value = true)]
    drop: u16,
    /// Hold each datagram back for so long, such as 50ms
    #[arg(long, value_name = "TIME", value_parser = parse::time)]
    delay: Option<Duration>,
    /// Hold each back by up to so much longer, at random; the order stays
    #[arg(long, value_name = "TIME", value_parser = parse::time)]
    jitter: Option<Duration>,
    /// Send or take this share of the datagrams twice
    #[arg(long, value_name = "SHARE", value_parser = parse::share, default_value = "0%", hide_default_value = true)]
    duplicate: u16,
    /// Let later datagrams overtake this share of them, by 10 ms
    #[arg(long, value_name = "SHARE", value_parser = parse::share, default_value = "0%", hide_default_value = true)]
    reorder: u16,
    /// Let only so many bytes pass in a second; what would wait longer than 200 ms is lost
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    throttle: Option<u64>,
    /// Lose packets of sessions only: the link looks well and carries nothing
    #[arg(long)]
    gray: bool,
    /// Repeats which datagrams are struck [default: random]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    #[command(flatten)]
    lasting: Lasting,
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let ms = |time: Option<Duration>| time.map_or(0, |time| u32::try_from(time.as_millis()).unwrap_or(u32::MAX));
    let impairment = LinkImpairment {
        drop_permille: arguments.drop,
        duplicate_permille: arguments.duplicate,
        reorder_permille: arguments.reorder,
        delay_ms: ms(arguments.delay),
        jitter_ms: ms(arguments.jitter),
        bytes_per_second: arguments.throttle.unwrap_or(0),
        gray: arguments.gray,
    };
    let both = arguments.sent == arguments.received;
    let (neighbor, for_ms, seed) = (arguments.neighbor, arguments.lasting.ms(), arguments.seed);
    let doing = format!("impair the link to {neighbor}");
    let done = format!("the link to {neighbor} is impaired; `chaos status` shows until when\n");
    let (sent, received) = (both || arguments.sent, both || arguments.received);
    let order = Order::Link { neighbor, sent, received, impairment, seed, for_ms };
    session.order(&doing, &Request::Chaos(order), &done).await
}
