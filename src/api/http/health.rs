//! Whether the node lives, and whether it is ready for work. Neither asks an actor: they answer whatever is stuck.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::Api;

/// What `/health` says: whoever can read it talks to a node that lives.
#[derive(Serialize)]
pub(super) struct Health {
    status: &'static str,
    version: &'static str,
    uptime_ms: u64,
}

/// What `/ready` says.
#[derive(Serialize)]
pub(super) struct Readiness {
    ready: bool,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    /// What is not so, or how it is.
    detail: String,
}

pub(super) async fn live(State(api): State<Arc<Api>>) -> Json<Health> {
    let uptime_ms = api.answers.shell().clock.uptime().as_millis() as u64;
    Json(Health { status: "live", version: env!("CARGO_PKG_VERSION"), uptime_ms })
}

pub(super) async fn ready(State(api): State<Arc<Api>>) -> (StatusCode, Json<Readiness>) {
    let shell = api.answers.shell();
    let actors = shell.directory.register.all();
    let is_away = |stats: &crate::actors::stats::Stats| !stats.running.load(std::sync::atomic::Ordering::Relaxed);
    let away: Vec<String> =
        actors.into_iter().filter(|(_, stats)| is_away(stats)).map(|(place, _)| place.name).collect();
    let usable = shell.port.link_stats().iter().filter(|link| link.usable).count();
    let others = shell.known.nodes().len().saturating_sub(1);
    let left_s = shell.credentials.certificate_expiry_unix().saturating_sub(shell.host.unix_time().as_secs());
    let refused = shell.policing.refused();
    let checks = vec![
        Check {
            name: "actors",
            ok: away.is_empty(),
            detail: if away.is_empty() { "all run".to_owned() } else { format!("restarting: {}", away.join(", ")) },
        },
        Check {
            name: "links",
            ok: usable > 0 || others == 0,
            detail: format!("{usable} up, {others} other nodes known"),
        },
        Check { name: "certificate", ok: left_s > 0, detail: format!("{left_s} s left") },
        Check {
            name: "policy",
            ok: refused.is_none(),
            detail: if refused.is_none() { "in force" } else { "refused; what was in force stays in force" }.to_owned(),
        },
    ];
    let ready = checks.iter().all(|check| check.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, checks }))
}
