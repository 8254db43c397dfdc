//! Shows how a record spreads over up to a million simulated nodes: `cargo run --release -p prunella-sim --example scale
//! -- PRESET [SEED]`. Without a preset it lists them.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::process::ExitCode;

use prunella_sim::scale;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(mut options) = arguments.next().and_then(|name| scale::Options::preset(&name)) else {
        for preset in scale::presets() {
            println!("{:<12} {}", preset.name, preset.what);
        }
        return ExitCode::from(2);
    };
    if let Some(seed) = arguments.next().and_then(|seed| seed.parse().ok()) {
        options.seed = seed;
    }
    let mut told = None;
    let report = scale::run(&options, |progress| {
        let scale::Progress { sent, of, reached, wall } = progress;
        if told.replace(sent) != Some(sent) {
            println!("{:7.1} s  {sent:>2} of {of} messages sent, the last one to {reached} nodes", wall.as_secs_f64());
        }
        true
    });
    println!("{report}");
    ExitCode::SUCCESS
}
