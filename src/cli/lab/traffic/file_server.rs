//! A small HTTP/1.1 file server (RFC 9112): GET and HEAD of files in memory, one request per connection.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::super::draw::Draw;

/// The files, by path; each path begins with a slash.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// Files whose content `seed` determines: a small page and a few files of up to 64 KiB.
pub(super) fn seeded_files(seed: u64) -> Files {
    let mut draw = Draw::new(seed, "files");
    let mut files = Files::from([("/".to_owned(), INDEX.as_bytes().to_vec())]);
    for (name, length) in [("/small.bin", 512), ("/medium.bin", 8 * 1024), ("/large.bin", 64 * 1024)] {
        let mut content = vec![0; length];
        draw.fill(&mut content);
        files.insert(name.to_owned(), content);
    }
    files
}

/// Serves `files` on every connection that `listener` accepts.
pub(super) async fn serve(listener: TcpListener, files: Arc<Files>) {
    super::task::serve(listener, |mut stream: TcpStream| {
        let files = files.clone();
        async move {
            // A client that goes away or says nothing is no concern of the server.
            let _ = timeout(CONNECTION_TIMEOUT, converse(&mut stream, &files)).await;
        }
    })
    .await;
}

async fn converse(stream: &mut TcpStream, files: &Files) -> std::io::Result<()> {
    let answer = match read_head(stream).await? {
        Some(head) => answer(&head, files),
        None => Answer { status: "431 Request Header Fields Too Large", body: &[], told: 0 },
    };
    stream.write_all(answer.head().as_bytes()).await?;
    stream.write_all(answer.body).await?;
    stream.shutdown().await
}

/// Reads until the empty line that ends the head; `None` if there is none within the limit.
async fn read_head(stream: &mut TcpStream) -> std::io::Result<Option<String>> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 1024]);
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&buffer[..read]);
        if bytes.len() > HEAD_BYTES_MAX {
            return Ok(None);
        }
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

struct Answer<'a> {
    status: &'static str,
    body: &'a [u8],
    /// The length told in the head: that of the body that a GET would have.
    told: usize,
}

impl Answer<'_> {
    fn head(&self) -> String {
        let Answer { status, told, .. } = self;
        format!("HTTP/1.1 {status}\r\ncontent-length: {told}\r\nconnection: close\r\n\r\n")
    }
}

fn answer<'a>(head: &str, files: &'a Files) -> Answer<'a> {
    let failure = |status| Answer { status, body: &[], told: 0 };
    let Some((method, path)) = request_line(head) else { return failure("400 Bad Request") };
    if !["GET", "HEAD"].contains(&method) {
        return failure("405 Method Not Allowed");
    }
    match files.get(path) {
        Some(content) if method == "GET" => Answer { status: "200 OK", body: content, told: content.len() },
        Some(content) => Answer { status: "200 OK", body: &[], told: content.len() },
        None => failure("404 Not Found"),
    }
}

/// Method and path of a request line `METHOD SP TARGET SP HTTP/1.x`; the query is not part of the path.
fn request_line(head: &str) -> Option<(&str, &str)> {
    let mut words = head.split("\r\n").next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let is_sound = words.next().is_none() && target.starts_with('/') && version.starts_with("HTTP/1.");
    let path = target.split(['?', '#']).next()?;
    (is_sound && !method.is_empty()).then_some((method, path))
}

const INDEX: &str = "<!doctype html><title>prunella lab</title><p>This page came through the mesh.\n";
const HEAD_BYTES_MAX: usize = 8 * 1024;
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_line_is_a_method_a_path_and_a_version() {
        assert_eq!(request_line("GET /a?b=c HTTP/1.1\r\nhost: x\r\n\r\n"), Some(("GET", "/a")));
        assert_eq!(request_line("HEAD / HTTP/1.0\r\n\r\n"), Some(("HEAD", "/")));
        for wrong in [
            "",
            "GET\r\n",
            "GET /\r\n",
            "GET / HTTP/2\r\n",
            "GET x HTTP/1.1\r\n",
            "GET / HTTP/1.1 x\r\n",
            " / HTTP/1.1",
        ] {
            assert_eq!(request_line(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn what_is_not_there_or_not_allowed_is_refused() {
        let files = seeded_files(7);
        let status = |head| answer(head, &files).status;
        assert_eq!(status("GET /small.bin HTTP/1.1\r\n\r\n"), "200 OK");
        assert_eq!(status("GET /../etc/passwd HTTP/1.1\r\n\r\n"), "404 Not Found");
        assert_eq!(status("POST / HTTP/1.1\r\n\r\n"), "405 Method Not Allowed");
        assert_eq!(status("nonsense\r\n\r\n"), "400 Bad Request");
    }

    #[test]
    fn a_head_request_tells_the_length_without_the_body() {
        let files = seeded_files(7);
        let answer = answer("HEAD /medium.bin HTTP/1.1\r\n\r\n", &files);
        assert!(answer.body.is_empty());
        assert!(answer.head().contains("content-length: 8192\r\n"));
    }

    #[tokio::test]
    async fn an_endless_head_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let _server = super::super::task::Task::start(serve(listener, Arc::new(seeded_files(7))));
        client.write_all(&vec![b'a'; HEAD_BYTES_MAX + 1]).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
}
