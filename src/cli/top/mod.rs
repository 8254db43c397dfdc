//! `prunella top`: the node as it is now, again and again, until a key ends it.

mod input;
mod keyboard;
mod known;
mod map;
mod model;
mod polling;
mod rows;
mod screen;
mod story;
mod views;

#[cfg(test)]
pub(in crate::cli) mod fixture;

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use self::keyboard::Keyboard;
use self::model::Model;
use self::polling::Polling;
use self::screen::Screen;
use self::views::Theme;
use super::failure::Failure;
use super::output::unix_ms_now;
use super::parse;
use super::session::Session;
use crate::api::{Error, ErrorKind};

#[derive(Clone, Debug, Args)]
pub(super) struct Arguments {
    /// Seconds from one question to the next, 0.2 to 3600
    #[arg(long, default_value = "1", value_name = "S", value_parser = parse::interval)]
    interval: Duration,
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    if session.output.is_json() || !session.output.is_terminal() || !io::stdin().is_terminal() {
        let text = "that needs a terminal, for the picture and for keys; `prunella actors --sort time`, `links` and \
                    `incidents` print once, with --json for programs";
        return Err(failed(Error::new(ErrorKind::InvalidInput, text)));
    }
    session.output.flush()?;
    look(arguments.interval, session).await
}

/// Draws until it is told to end. It waits for keys, answers and signals together: none holds up another.
async fn look(interval: Duration, session: &Session<'_>) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut model = Model::default();
    (model.far, model.now_unix_ms) = (session.client.far().map(str::to_owned), unix_ms_now());
    let mut resized = signal(SignalKind::window_change()).map_err(system)?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(system)?;
    let mut polling = Polling::begin(&session.client, interval, model.wanted());
    let theme = Theme::of_environment();
    let mut screen = Screen::open().map_err(system)?;
    let keyboard = Keyboard::open().map_err(system)?;
    loop {
        screen.draw(|frame| views::draw(frame, &model, theme)).map_err(system)?;
        tokio::select! {
            pressed = keyboard.pressed() => {
                for key in pressed.map_err(system)? {
                    if input::action(key, model.typing).is_some_and(|action| model.act(action)) {
                        return Ok(());
                    }
                }
                polling.want(model.wanted());
            }
            heard = polling.next() => {
                (model.now, model.now_unix_ms) = (begun.elapsed(), unix_ms_now());
                heard.into_iter().for_each(|heard| model.hear(heard));
                polling.want(model.wanted());
            }
            _ = resized.recv() => {}
            _ = interrupted.recv() => return Err(Failure::Interrupted),
        }
    }
}

fn system(error: io::Error) -> Failure {
    failed(Error::new(ErrorKind::System, format!("the terminal does not do what it should: {error}")))
}

fn failed(error: Error) -> Failure {
    Failure::new("open the live view", error)
}
