//! The HTTP API of a running node: who may ask what, errors that name the field, events with resume, and health whatever is
//! stuck.

use std::net::SocketAddr;
use std::time::Duration;

use prunella::api::vocabulary::EventInfo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::mesh::{Mesh, Node, PATIENCE, Plan, until};

/// An answer to a request.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut told = Vec::new();
    stream.read_to_end(&mut told).await.unwrap();
    let told = String::from_utf8(told).unwrap();
    let (head, body) = told.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {told:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

fn request(line: &str, headers: &[&str], body: &str) -> String {
    let length = format!("Content-Length: {}", body.len());
    let own = ["Host: localhost", "Connection: close", length.as_str()];
    let headers: Vec<&str> = own.iter().chain(headers).copied().collect();
    format!("{line} HTTP/1.1\r\n{}\r\n\r\n{body}", headers.join("\r\n"))
}

/// A node's API over TCP, with a token.
struct Web {
    address: SocketAddr,
    token: String,
}

impl Web {
    async fn of(node: &Node, scopes: &[&str]) -> Self {
        let address = until("an address of the API", PATIENCE, async || {
            node.status().await?.http.ok_or_else(|| "none yet".to_owned())
        })
        .await;
        let name = format!("test-{}", scopes.join("-"));
        let mut words = vec!["token", "create", &name];
        scopes.iter().for_each(|scope| words.extend(["--scope", scope]));
        let token = node.run(&words).await.ok().trim().to_owned();
        Self { address: address.strip_prefix("http://").unwrap().parse().unwrap(), token }
    }

    async fn ask(&self, line: &str, headers: &[&str], body: &str) -> Answer {
        exchange(TcpStream::connect(self.address).await.unwrap(), &request(line, headers, body)).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[&format!("Authorization: Bearer {}", self.token)], "").await
    }

    async fn send(&self, line: &str, body: Value) -> Answer {
        let authorization = format!("Authorization: Bearer {}", self.token);
        self.ask(line, &[&authorization, "Content-Type: application/json"], &body.to_string()).await
    }

    /// The event stream, as a browser opens it.
    async fn follow(&self, query: &str) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
        let mut request = format!("ws://{}/v1/events/stream{query}", self.address).into_client_request().unwrap();
        let offered = format!("prunella.events.v1, bearer.{}", self.token);
        request.headers_mut().insert("Sec-WebSocket-Protocol", offered.parse().unwrap());
        let (socket, answer) = connect_async(request).await.unwrap();
        assert_eq!(answer.headers()["Sec-WebSocket-Protocol"], "prunella.events.v1");
        socket
    }
}

/// The next message that tells something.
async fn next(socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>) -> Message {
    use futures_core::Stream;
    let next = std::future::poll_fn(|context| std::pin::Pin::new(&mut *socket).poll_next(context));
    let message = tokio::time::timeout(PATIENCE, next).await.expect("no message in time");
    message.expect("the stream has ended").unwrap()
}

/// The next event that fits, and all that came before it.
async fn until_event(
    socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>,
    fits: impl Fn(&EventInfo) -> bool,
) -> Vec<EventInfo> {
    let mut seen = Vec::new();
    loop {
        let Message::Text(text) = next(socket).await else { continue };
        seen.push(serde_json::from_str::<EventInfo>(&text).unwrap_or_else(|error| panic!("{error}: {text}")));
        if seen.last().is_some_and(&fits) {
            return seen;
        }
    }
}

fn is_about(event: &EventInfo, word: &str) -> bool {
    serde_json::to_string(event).unwrap().contains(word)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_as_at_the_socket_is_told_over_http_to_whoever_may_ask() {
    let mesh = Mesh::found(Plan::pair()).await;
    let node = &mesh.nodes[0];
    let web = Web::of(node, &["read"]).await;
    let status = web.get("/v1/status").await;
    assert_eq!((status.status, status.json()["peer"].as_str()), (200, Some(node.peer.as_str())), "{status:?}");
    assert!(status.head.contains("cache-control: no-store") && status.head.contains("nosniff"), "{}", status.head);
    for path in ["/v1/peers", "/v1/links", "/v1/topology", "/v1/actors", "/v1/actors/gossip", "/v1/incidents"] {
        let answer = web.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    let ping = web.send("POST /v1/ping", json!({"destination": "n1", "timeout_ms": 2000})).await;
    assert_eq!((ping.status, ping.json()["response"].as_str()), (200, Some("ping")), "{ping:?}");

    // Nobody without a token, nothing beyond its scopes, and what is only for the socket not at all.
    let nobody = web.ask("GET /v1/status", &[], "").await;
    assert_eq!(nobody.status, 401);
    assert!(nobody.head.contains("www-authenticate: bearer"), "{nobody:?}");
    let guessed = web.ask("GET /v1/status", &["Authorization: Bearer prunella_guess"], "").await;
    assert_eq!(guessed.status, 401);
    let denied = web.send("PUT /v1/services/web", json!({"target": "tcp://127.0.0.1:1"})).await;
    assert_eq!(denied.status, 403, "{denied:?}");
    assert!(denied.body.contains("needs the scope \\\"grave\\\""), "{denied:?}");
    let all = Web::of(node, &["read", "change", "grave"]).await;
    assert_eq!(all.send("POST /v1/actors/kill", json!({"actor": "gossip", "how": "kill"})).await.status, 403);
    let exposed = all.send("PUT /v1/services/web", json!({"target": "tcp://127.0.0.1:1"})).await;
    assert_eq!(exposed.status, 200, "{exposed:?}");
    let ledger = node.run(&["ledger", "show", "--last", "50"]).await.ok();
    assert!(ledger.contains("token test-read-change-grave") && ledger.contains("expose web"), "{ledger}");
    node.run(&["token", "revoke", "test-read"]).await.ok();
    assert_eq!(web.get("/v1/status").await.status, 401);

    // The node's own user needs no token, and may do everything.
    let own = async |line: &str, body: &str| {
        let stream = UnixStream::connect(node.dir.join("http.sock")).await.unwrap();
        exchange(stream, &request(line, &["Content-Type: application/json"], body)).await
    };
    assert_eq!(own("GET /v1/status", "").await.status, 200);
    assert_eq!(own("POST /v1/actors/kill", "{\"actor\": \"planner\", \"how\": \"kill\"}").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_refused_with_the_field_and_never_hurts() {
    let mesh = Mesh::found(Plan::alone()).await;
    let web = Web::of(&mesh.nodes[0], &["read", "change", "grave"]).await;
    let wrong = async |line: &str, body: Value, status: u16, field: &str| {
        let answer = web.send(line, body).await;
        assert_eq!(answer.status, status, "{line}: {answer:?}");
        assert!(answer.head.contains("application/problem+json"), "{answer:?}");
        assert_eq!(answer.json()["field"].as_str().unwrap_or_default(), field, "{answer:?}");
    };
    wrong("POST /v1/ping", json!({"destination": "n1"}), 400, "timeout_ms").await;
    wrong("POST /v1/ping", json!({"destination": "n1", "timeout_ms": "soon"}), 400, "timeout_ms").await;
    wrong("POST /v1/ping", json!({"destination": "n1", "timeout_ms": 1, "loud": true}), 400, "loud").await;
    wrong("POST /v1/ping", json!({"destination": "nobody", "timeout_ms": 100}), 404, "").await;
    wrong("POST /v1/ping", json!([1]), 400, "").await;
    wrong("GET /v1/nothing", Value::Null, 404, "").await;
    wrong("DELETE /v1/status", Value::Null, 405, "").await;
    wrong("GET /v1/incidents/4711", json!({}), 400, "").await;
    for (path, status, field) in [
        ("/v1/incidents/4711", 404, Value::Null),
        ("/v1/incidents/first", 400, json!("id")),
        ("/v1/paths/n1?why=perhaps", 400, json!("why")),
        ("/v1/events?after=yesterday", 400, json!("after")),
        ("/v1/ledger?last=3&kind=rumor", 400, json!("kind")),
    ] {
        let answer = web.get(path).await;
        assert_eq!((answer.status, &answer.json()["field"]), (status, &field), "{path}: {answer:?}");
    }
    let authorization = format!("Authorization: Bearer {}", web.token);
    let form = web.ask("POST /v1/ping", &[&authorization, "Content-Type: text/plain"], "{}").await;
    assert_eq!(form.status, 415, "{form:?}");
    let long = format!("{{\"destination\": \"{}\"}}", "x".repeat(300 * 1024));
    let long = web.ask("POST /v1/ping", &[&authorization, "Content-Type: application/json"], &long).await;
    assert_eq!(long.status, 413, "{long:?}");
    assert_eq!(exchange(TcpStream::connect(web.address).await.unwrap(), "dance\r\n\r\n").await.status, 400);

    // A caller that asks too often waits a second; the others do not.
    let mut refused = None;
    for _ in 0..200 {
        let answer = web.get("/v1/status").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    assert!(refused.expect("200 requests were not too many").head.contains("retry-after: 1"));
    assert_eq!(Web::of(&mesh.nodes[0], &["read"]).await.get("/v1/status").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_describes_what_is_served() {
    let mesh = Mesh::found(Plan::alone()).await;
    let web = Web::of(&mesh.nodes[0], &["read"]).await;
    let document = web.ask("GET /openapi.json", &[], "").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 30, "{}", paths.len());
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            // Without a token every path that is there asks for one, or is open to all; none is unknown.
            let path = path.replace('{', "x").replace('}', "");
            let answer = web.ask(&format!("{} {path}", method.to_uppercase()), &[], "").await;
            assert!(matches!(answer.status, 200 | 401 | 429), "{method} {path}: {answer:?}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
    let metrics = web.ask("GET /metrics", &[], "").await;
    assert!(metrics.head.contains("text/plain; version=0.0.4"), "{metrics:?}");
    assert!(metrics.body.contains("# TYPE prunella_") && metrics.body.contains("process_resident_memory_bytes"));
    let page = web.ask("GET /", &[], "").await;
    assert!(page.status == 200 && page.head.contains("content-security-policy: default-src 'none'"), "{page:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_come_over_a_websocket_and_go_on_after_a_gap() {
    let mesh = Mesh::found(Plan::pair()).await;
    let node = &mesh.nodes[0];
    let web = Web::of(node, &["read"]).await;
    let mut socket = web.follow("").await;
    node.run(&["expose", "first", "tcp://127.0.0.1:1"]).await.ok();
    let seen = until_event(&mut socket, |event| is_about(event, "\"first\"")).await;
    let left_at = seen.last().unwrap().cursor;
    drop(socket);

    // What happens while nobody listens is there afterwards, once and in its order.
    node.run(&["expose", "second", "tcp://127.0.0.1:1"]).await.ok();
    node.run(&["kill", "planner"]).await.ok();
    let mut socket = web.follow(&format!("?after={left_at}")).await;
    let seen = until_event(&mut socket, |event| is_about(event, "actor-restarted")).await;
    // The topology may change in between as well.
    assert!(seen.iter().any(|event| is_about(event, "\"second\"")), "{seen:?}");
    let numbers: Vec<u64> = seen.iter().map(|event| event.cursor.number).collect();
    let expected: Vec<u64> = (left_at.number + 1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected);

    // A place that this run of the node does not know is told as a gap.
    let mut elsewhere = web.follow("?after=0000000000000000-7").await;
    let Message::Text(first) = next(&mut elsewhere).await else { panic!("no text") };
    assert_eq!(serde_json::from_str::<Value>(&first).unwrap()["missed"], true, "{first}");

    // A token that is revoked ends its streams with the next event.
    node.run(&["token", "revoke", "test-read"]).await.ok();
    node.run(&["expose", "third", "tcp://127.0.0.1:1"]).await.ok();
    let closed = loop {
        match next(&mut socket).await {
            Message::Close(Some(frame)) => break frame,
            Message::Text(text) => assert!(!text.contains("third"), "{text}"),
            _ => {}
        }
    };
    assert!(closed.reason.contains("does not count any more"), "{closed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_events_are_told_while_actors_are_stuck_and_readiness_says_what_is_wrong() {
    let mesh = Mesh::found(Plan::pair()).await;
    let node = &mesh.nodes[0];
    let web = Web::of(node, &["read"]).await;
    until("a node that is ready", PATIENCE, async || match web.ask("GET /ready", &[], "").await {
        Answer { status: 200, .. } => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    // A stuck actor is started anew by and by, and all that stands on it: whoever asks meanwhile waits for that.
    for actor in ["gossip", "pathfinder", "ledger"] {
        node.run(&["chaos", "actor", actor, "--how", "stall", "--for", "60s"]).await.ok();
    }
    node.run(&["chaos", "disk", "--slow", "2s", "--for", "60s"]).await.ok();
    for path in ["/health", "/ready", "/metrics", "/v1/events", "/v1/topology", "/v1/incidents", "/v1/actors"] {
        let since = std::time::Instant::now();
        let answer = web.get(path).await;
        // Whether it is ready depends on what is being started anew just now; that it is told does not.
        assert!(answer.status == 200 || path == "/ready" && answer.status == 503, "{path}: {answer:?}");
        assert!(since.elapsed() < Duration::from_secs(1), "{path} took {:?}", since.elapsed());
    }
    node.run(&["chaos", "clear"]).await.ok();
    let mut mesh = mesh;
    mesh.nodes[1].kill();
    until("a node that is not ready for want of links", PATIENCE, async || {
        let told = web.ask("GET /ready", &[], "").await;
        let checks = told.json()["checks"].clone();
        let links = checks.as_array().unwrap().iter().find(|check| check["name"] == "links").unwrap();
        if told.status == 503 && links["ok"] == false { Ok(()) } else { Err(format!("{told:?}")) }
    })
    .await;
}
