//! Which request each path is: the one table of the API.

use crate::policy::Command;

/// A path and what it asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    /// How it is asked.
    pub(super) method: Method,
    /// The path; what is in braces is a field of the request, with a star up to the end.
    pub(super) path: &'static str,
    /// The request, as the vocabulary's JSON names it.
    pub(super) request: &'static str,
    /// The command that it is, which says what scope it needs.
    pub(super) command: Command,
    /// The response, as the vocabulary's JSON names it.
    pub(super) response: &'static str,
}

/// How a path is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    /// Its name in lower case, as OpenAPI has it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Method::Get => "get",
            Method::Post => "post",
            Method::Put => "put",
            Method::Delete => "delete",
        }
    }

    /// Whether what is not in the path comes in a body; otherwise in the query.
    pub(super) const fn has_body(self) -> bool {
        matches!(self, Method::Post | Method::Put)
    }
}

/// Every path, ordered by what it is about.
pub(super) const TABLE: &[Route] = &[
    get("/v1/status", "status", Command::Status, "status"),
    get("/v1/vitals", "vitals", Command::Vitals, "vitals"),
    get("/v1/peers", "peers", Command::Peers, "peers"),
    get("/v1/members", "members", Command::Members, "members"),
    get("/v1/members/{peer}/reputation", "reputation", Command::Reputation, "reputation"),
    get("/v1/links", "links", Command::Links, "links"),
    get("/v1/gossip", "gossip", Command::Gossip, "gossip"),
    get("/v1/records", "records", Command::Records, "records"),
    get("/v1/records/{*id}", "record", Command::Record, "record"),
    get("/v1/store", "store", Command::Store, "store"),
    get("/v1/tun", "tun", Command::Tun, "tun"),
    get("/v1/kernel", "kernel", Command::Kernel, "kernel"),
    get("/v1/journal", "journal", Command::Journal, "journal"),
    get("/v1/regions", "regions", Command::Regions, "regions"),
    get("/v1/configuration", "configuration", Command::Config, "configuration"),
    post("/v1/configuration", "configure", Command::ConfigSet, "log"),
    get("/v1/log", "log", Command::Log, "log"),
    put("/v1/log", "log-set", Command::LogSet, "log"),
    get("/v1/topology", "topology", Command::Topology, "topology"),
    get("/v1/events", "events", Command::Events, "events"),
    get("/v1/paths/{destination}", "paths", Command::Paths, "paths"),
    post("/v1/ping", "ping", Command::Ping, "ping"),
    post("/v1/trace", "trace", Command::Trace, "trace"),
    get("/v1/actors", "actors", Command::Actors, "actors"),
    get("/v1/actors/{*name}", "actor", Command::Actor, "actor"),
    post("/v1/actors/tap", "tap", Command::Tap, "tapped"),
    post("/v1/actors/restart", "restart-actor", Command::Restart, "done"),
    post("/v1/actors/suspend", "suspend-actor", Command::Suspend, "done"),
    post("/v1/actors/resume", "resume-actor", Command::Resume, "done"),
    post("/v1/actors/kill", "kill-actor", Command::Kill, "done"),
    get("/v1/incidents", "incidents", Command::Incidents, "incidents"),
    get("/v1/incidents/{id}", "incident", Command::Incident, "incident"),
    get("/v1/services", "services", Command::Services, "services"),
    put("/v1/services/{name}", "expose", Command::Expose, "done"),
    delete("/v1/services/{name}", "unexpose", Command::Unexpose, "done"),
    post("/v1/forwards", "forward", Command::Forward, "forwarding"),
    delete("/v1/forwards/{listen}", "unforward", Command::Unforward, "done"),
    get("/v1/shared", "shared-list", Command::SharedList, "shared-list"),
    get("/v1/shared/{*key}", "shared-get", Command::SharedGet, "shared"),
    put("/v1/shared/{*key}", "shared-set", Command::SharedSet, "done"),
    delete("/v1/shared/{*key}", "shared-remove", Command::SharedRemove, "done"),
    get("/v1/policy", "policy", Command::Policy, "policy"),
    put("/v1/policy", "policy-set", Command::PolicySet, "done"),
    post("/v1/policy/reload", "policy-reload", Command::PolicyReload, "done"),
    post("/v1/policy/explain", "policy-explain", Command::PolicyExplain, "policy-explained"),
    get("/v1/certificates", "certificates", Command::Cert, "certificates"),
    post("/v1/certificates/rotate", "rotate-certificate", Command::CertRotate, "certificates"),
    post("/v1/certificates/smoke", "smoke", Command::CertSmoke, "smoke"),
    post("/v1/certificates/revoke", "revoke", Command::CertRevoke, "done"),
    post("/v1/certificates/reinstate", "reinstate", Command::CertReinstate, "done"),
    post("/v1/statements", "tell", Command::Tell, "done"),
    get("/v1/ledger", "ledger", Command::Ledger, "ledger"),
    get("/v1/ledger/entries", "ledger-lines", Command::LedgerExport, "ledger-lines"),
    get("/v1/ledger/entries/{index}/proof", "ledger-prove", Command::LedgerProve, "ledger-proof"),
    post("/v1/ledger/verify", "ledger-verify", Command::LedgerVerify, "ledger-verified"),
    post("/v1/shutdown", "shutdown", Command::Down, "done"),
];

/// Requests that HTTP does not have, and why.
#[cfg(test)]
pub(super) const ABSENT: &[(&str, &str)] = &[
    ("connect", "a conversation with another node is a connection to the control socket"),
    ("chaos", "who breaks a node on purpose is at its control socket"),
];

const fn get(path: &'static str, request: &'static str, command: Command, response: &'static str) -> Route {
    Route { method: Method::Get, path, request, command, response }
}

const fn post(path: &'static str, request: &'static str, command: Command, response: &'static str) -> Route {
    Route { method: Method::Post, path, request, command, response }
}

const fn put(path: &'static str, request: &'static str, command: Command, response: &'static str) -> Route {
    Route { method: Method::Put, path, request, command, response }
}

const fn delete(path: &'static str, request: &'static str, command: Command, response: &'static str) -> Route {
    Route { method: Method::Delete, path, request, command, response }
}
