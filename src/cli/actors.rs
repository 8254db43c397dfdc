//! `prunella actors`: the tree of actors, or those that cost most.

use std::cmp::Reverse;

use clap::{Args, ValueEnum};

use super::failure::Failure;
use super::render;
use super::session::Session;
use crate::api::vocabulary::ActorInfo;
use crate::api::{Request, Response};

#[derive(Clone, Debug, Default, Args)]
pub(super) struct Arguments {
    /// List those first that have most of this, and how long they were busy, instead of the tree
    #[arg(long, value_enum)]
    sort: Option<Order>,
    /// How many at most
    #[arg(long, value_name = "N", requires = "sort", value_parser = clap::value_parser!(u16).range(1..))]
    most: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Order {
    /// Messages waiting
    Mailbox,
    /// Time spent on messages since the node started
    Time,
    /// Restarts since the node started
    Restarts,
    /// Messages handled since the node started
    Handled,
}

impl Arguments {
    /// Those that are busiest.
    pub(super) fn by_time() -> Self {
        Self { sort: Some(Order::Time), most: None }
    }
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let response = session.ask("list the actors", &Request::Actors).await?;
    let (Response::Actors { mut actors }, Some(order)) = (response.clone(), arguments.sort) else {
        return session.output.show(&response);
    };
    sort(&mut actors, order);
    actors.truncate(arguments.most.map_or(usize::MAX, usize::from));
    let text = render::actor_ranking(&actors);
    session.output.show_either(&Response::Actors { actors }, &text)
}

/// Most first; equal ones stay as they stand in the tree.
fn sort(actors: &mut [ActorInfo], order: Order) {
    actors.sort_by_key(|actor| {
        Reverse(match order {
            Order::Mailbox => actor.mailbox,
            Order::Time => actor.busy_us,
            Order::Restarts => actor.restarts,
            Order::Handled => actor.handled,
        })
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::fixture;

    #[test]
    fn those_with_most_come_first() {
        let first = |order| {
            let mut actors = fixture::actors();
            sort(&mut actors, order);
            actors[0].name.clone()
        };
        let firsts = [Order::Mailbox, Order::Time, Order::Restarts, Order::Handled].map(first);
        assert_eq!(firsts, ["monitor", "monitor", "planner", "monitor"]);
    }
}
