//! Several nodes in one process, over real loopback sockets.

mod admission;
mod door;
mod links;
mod messages;
mod services;
mod sessions;
mod testbed;
mod tunnels;
