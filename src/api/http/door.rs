//! Who asks, what that one may do, and how often.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use prunella_core::limits::{HTTP_CALLERS_MAX, HTTP_REQUESTS_PER_SECOND};

use super::problem::Problem;
use crate::actors::clock::Clock;
use crate::api::ErrorKind;
use crate::api::rates::Rates;
use crate::api::server::{Caller, User};
use crate::api::tokens::Tokens;
use crate::config::{Http, Scope};
use crate::policy::{Command, CommandKind};

/// The other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// The node's own user, at the Unix socket.
    User(User),
    /// A host.
    Host {
        /// Where it is.
        from: SocketAddr,
        /// By which name its certificate goes, if it has shown one.
        certificate: Option<Arc<str>>,
    },
}

/// Somebody who has shown who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guest {
    /// Who, for the ledger.
    pub(super) caller: Caller,
    /// What it may do; `None`: everything that the node's own user may.
    scopes: Option<Vec<Scope>>,
}

/// Lets callers in.
pub(super) struct Door {
    tokens: Tokens,
    client_scopes: Vec<Scope>,
    open_metrics: bool,
    origins: Vec<String>,
    clock: Clock,
    rates: Rates<String>,
}

impl Door {
    pub(super) fn new(dir: &Path, config: &Http, clock: Clock) -> Self {
        Self {
            tokens: Tokens::of(dir),
            client_scopes: config.client_scopes.clone(),
            open_metrics: config.open_metrics,
            origins: config.origins.clone(),
            clock,
            rates: Rates::new(HTTP_REQUESTS_PER_SECOND, HTTP_CALLERS_MAX),
        }
    }

    /// Who asks.
    ///
    /// # Errors
    /// Unauthorized, if it has shown nothing that counts.
    pub(super) fn guest(&self, peer: &Peer, headers: &HeaderMap) -> Result<Guest, Problem> {
        let (from, certificate) = match peer {
            Peer::User(user) => return Ok(Guest { caller: Caller::User(*user), scopes: None }),
            Peer::Host { from, certificate } => (*from, certificate),
        };
        let unauthorized = |text: &str| Problem::new(StatusCode::UNAUTHORIZED, ErrorKind::AuthenticationFailed, text);
        if let Some(token) = token(headers) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let known = self.tokens.find(token, now);
            let known = known.ok_or_else(|| unauthorized("this token is not known here, has ended, or was revoked"))?;
            let who = format!("token {}", known.name).into();
            return Ok(Guest { caller: Caller::Web { who, from }, scopes: Some(known.scopes) });
        }
        if let Some(name) = certificate {
            let who = format!("certificate {name}").into();
            return Ok(Guest { caller: Caller::Web { who, from }, scopes: Some(self.client_scopes.clone()) });
        }
        Err(unauthorized("show a token: `Authorization: Bearer TOKEN`; `prunella token create` makes one"))
    }

    /// Whether this caller may ask once more now. One whose token is wrong counts by its address.
    ///
    /// # Errors
    /// Too many requests.
    pub(super) fn take(&self, peer: &Peer, guest: Option<&Guest>) -> Result<(), Problem> {
        let who = match (guest, peer) {
            (Some(guest), _) => guest.caller.who(),
            (None, Peer::Host { from, .. }) => from.ip().to_string(),
            (None, Peer::User(user)) => user.who(),
        };
        if self.rates.take(who, self.clock.now()) {
            return Ok(());
        }
        let text = format!("more than {HTTP_REQUESTS_PER_SECOND} requests a second; ask again a second later");
        Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, ErrorKind::OverLimit, text))
    }

    /// Whether metrics are shown to whoever asks.
    pub(super) fn opens_metrics(&self) -> bool {
        self.open_metrics
    }

    /// What is to be added to an answer for a script of another origin; nothing if that is not one of those allowed.
    pub(super) fn shared_with(&self, headers: &HeaderMap, method: &Method) -> Vec<(header::HeaderName, HeaderValue)> {
        let origin = headers.get(header::ORIGIN);
        let Some(origin) =
            origin.filter(|origin| self.origins.iter().any(|known| known.as_bytes() == origin.as_bytes()))
        else {
            return Vec::new();
        };
        let mut added = vec![
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()),
            (header::VARY, HeaderValue::from_static("origin")),
        ];
        if *method == Method::OPTIONS {
            let of = HeaderValue::from_static;
            added.push((header::ACCESS_CONTROL_ALLOW_METHODS, of("GET, POST, PUT, DELETE")));
            added.push((header::ACCESS_CONTROL_ALLOW_HEADERS, of("authorization, content-type")));
            added.push((header::ACCESS_CONTROL_MAX_AGE, of("600")));
        }
        added
    }
}

impl Guest {
    /// Whether it may give this command.
    ///
    /// # Errors
    /// Forbidden, and which scope it lacks.
    pub(super) fn may(&self, command: Command) -> Result<(), Problem> {
        let Some(scopes) = &self.scopes else { return Ok(()) };
        let forbidden = |text: String| Err(Problem::new(StatusCode::FORBIDDEN, ErrorKind::Denied, text));
        match command.from_afar() {
            Ok(kind) if scopes.contains(&scope(kind)) => Ok(()),
            Ok(kind) => forbidden(format!("the command {command} needs the scope {:?}", scope(kind).name())),
            Err(_) => forbidden(format!("the command {command} is only for the node's own user, at its socket")),
        }
    }
}

/// The scope that a command of this kind needs.
pub(super) const fn scope(kind: CommandKind) -> Scope {
    match kind {
        CommandKind::Read => Scope::Read,
        CommandKind::Change => Scope::Change,
        CommandKind::Grave => Scope::Grave,
    }
}

/// The token that was shown: in the header for it, or, as a browser cannot set that for a WebSocket, among the protocols.
fn token(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
    bearer.map(str::trim).or_else(|| {
        let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
        offered.split(',').find_map(|protocol| protocol.trim().strip_prefix(TOKEN_PROTOCOL))
    })
}

/// Before a token that is offered as a protocol of a WebSocket.
const TOKEN_PROTOCOL: &str = "bearer.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tokens;
    use crate::config::MeshConfig;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    fn host(certificate: Option<&str>) -> Peer {
        Peer::Host { from: "127.0.0.1:9".parse().unwrap(), certificate: certificate.map(Arc::from) }
    }

    #[test]
    fn a_guest_is_its_user_its_token_or_its_certificate_and_may_what_that_allows() {
        let dir = tempfile::tempdir().unwrap();
        let door = Door::new(dir.path(), &MeshConfig::default().http, Clock::start());
        let token = tokens::create(dir.path(), "ops", &[Scope::Change], None, 0).unwrap();
        let user = door.guest(&Peer::User(User { uid: 0, pid: None }), &HeaderMap::new()).unwrap();
        assert!(user.may(Command::Kill).is_ok());
        for shown in [
            headers(header::AUTHORIZATION, &format!("Bearer {token}")),
            headers(header::SEC_WEBSOCKET_PROTOCOL, &format!("prunella.events.v1, bearer.{token}")),
        ] {
            let guest = door.guest(&host(None), &shown).unwrap();
            assert_eq!(guest.caller.who(), "token ops");
            assert!(guest.may(Command::Tap).is_ok());
            assert!(guest.may(Command::Status).is_err() && guest.may(Command::Kill).is_err());
        }
        let certified = door.guest(&host(Some("ops.example")), &HeaderMap::new()).unwrap();
        assert_eq!(certified.caller.who(), "certificate ops.example");
        assert!(certified.may(Command::Status).is_ok() && certified.may(Command::Down).is_err());
        assert!(door.guest(&host(None), &HeaderMap::new()).is_err());
        // A wrong token is not made good by a certificate.
        let wrong = headers(header::AUTHORIZATION, "Bearer prunella_guess");
        assert!(door.guest(&host(Some("ops.example")), &wrong).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_asks_more_often_than_it_may() {
        let dir = tempfile::tempdir().unwrap();
        let door = Door::new(dir.path(), &MeshConfig::default().http, Clock::start());
        let taken = (0..1000).filter(|_| door.take(&host(None), None).is_ok()).count();
        assert_eq!(taken, HTTP_REQUESTS_PER_SECOND as usize);
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert!(door.take(&host(None), None).is_ok());
    }

    #[test]
    fn only_listed_origins_hear_anything() {
        let mut config = MeshConfig::default().http;
        config.origins = vec!["https://ops.example".to_owned()];
        let dir = tempfile::tempdir().unwrap();
        let door = Door::new(dir.path(), &config, Clock::start());
        let heard = |origin: &str| door.shared_with(&headers(header::ORIGIN, origin), &Method::GET).len();
        assert_eq!((heard("https://ops.example"), heard("https://other.example")), (2, 0));
        let closed = Door::new(dir.path(), &MeshConfig::default().http, Clock::start());
        assert!(closed.shared_with(&headers(header::ORIGIN, "https://ops.example"), &Method::GET).is_empty());
    }
}
