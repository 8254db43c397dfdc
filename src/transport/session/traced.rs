//! What is told of a stream in distributed traces.

use prunella_core::PeerId;
use prunella_core::wire::StreamOpen;

use crate::spans::Span;

/// Says what a stream is for, and who is at its other end.
pub(in crate::transport) fn describe(span: &mut Span, peer: PeerId, request: &StreamOpen) {
    span.text("network.protocol.name", || "prunella");
    span.text("network.peer.address", || peer.to_string());
    span.text("prunella.stream.purpose", || match request {
        StreamOpen::Service { .. } => "service",
        StreamOpen::Message => "message",
        StreamOpen::Ping => "ping",
        StreamOpen::Command { .. } => "command",
        StreamOpen::Shell { .. } => "shell",
        StreamOpen::Network => "network",
    });
    match request {
        StreamOpen::Service { name } => span.text("prunella.service", || name.clone()),
        StreamOpen::Command { command, .. } => span.text("rpc.method", || command.clone()),
        StreamOpen::Message | StreamOpen::Ping | StreamOpen::Network | StreamOpen::Shell { .. } => {}
    }
}
