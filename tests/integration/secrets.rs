//! What a node keeps to itself: no secret in what it prints of itself, in its logs, or in what it leaves when it dies.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use prunella::api::setup::JoinOptions;
use prunella::security::postquantum::{HybridKeys, X25519Secret};
use prunella::security::{Authority, CERTIFICATE_LIFE, Credentials, IssuingKey, Token};
use prunella_core::door::Door;
use prunella_core::frame::FrameKey;
use prunella_core::identity::Identity;
use prunella_core::signer::Signer;
use prunella_core::wire::Admission;

use super::mesh::{Mesh, PATIENCE, Plan, invite, until};
use super::process::{Process, run};

/// A byte that a secret is made of here, so that it is known in whatever form it is printed.
const BYTE: u8 = 0xab;

#[test]
fn nothing_that_holds_a_secret_prints_it() {
    let now = 1_800_000_000;
    let secret = || Identity::from_secret(&[BYTE; 32]);
    let authority = Authority::found(&"test".parse().unwrap(), now).unwrap();
    let issuing = IssuingKey::appointed_by(&authority, now).unwrap();
    let chain = issuing.issue(secret().peer(), now, CERTIFICATE_LIFE).unwrap();
    let credentials = Credentials::new(secret(), chain, &authority.certificate_ders()).unwrap();
    let token = "prunella1-abababababababab".to_owned();
    let join = Admission::Join { token: vec![BYTE; 40], public_key: [1; 32], mldsa_key: vec![], proof: vec![BYTE; 64] };
    let hybrid = HybridKeys::generate(secret());
    let shown = [
        ("identity", format!("{:?}", secret())),
        ("signer", format!("{:?}", Signer::from(secret()))),
        ("frame key", format!("{:?}", FrameKey::from_bytes([BYTE; 16]))),
        ("door", format!("{:?}", Door::new(u64::from_le_bytes([BYTE; 8])))),
        ("authority", format!("{authority:?}")),
        ("issuing key", format!("{issuing:?}")),
        ("credentials", format!("{credentials:?} {credentials:#?}")),
        ("server configuration", format!("{:?}", credentials.link_server())),
        ("client configuration", format!("{:?}", credentials.client(b"x"))),
        ("X25519 secret", format!("{:?}", X25519Secret::from_bytes(&[BYTE; 32]))),
        ("hybrid keys", format!("{hybrid:?}")),
        ("request to join", format!("{join:?} {join:#?}")),
        ("options to join", format!("{:?}", JoinOptions { token, name: None, listen: None, advertise: vec![] })),
    ];
    for (what, text) in shown {
        let text = text.to_lowercase();
        assert!(!text.is_empty());
        for form in ["171, 171", "171,\n", "ababab", "0xab", "q6urq6ur"] {
            assert!(!text.contains(form), "{what} shows its secret as {form:?}: {text}");
        }
    }
}

/// A node whose whole process logs all that there is, QUIC and TLS included, admits a host, makes a link and carries a
/// session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_of_a_whole_node_holds_a_token_or_a_key() {
    let mut mesh = Mesh::found(Plan::pair()).await;
    for node in &mut mesh.nodes {
        node.stop().await;
        let process = Process::up_logging(&node.dir, &node.log_file(), "trace");
        node.process = Some(process);
        node.answers().await;
    }
    mesh.whole().await;
    let home = tempfile::tempdir().unwrap();
    let token = invite(&mesh.nodes[0].dir).await;
    run(&home.path().join("third"), &["join", &token]).await.ok();
    run(&home.path().join("fourth"), &["join", &token]).await.fails(1, &["already used"]);
    mesh.nodes[0].run(&["ping", "n1"]).await.ok();
    let decoded: Token = token.parse().unwrap();
    let mut secrets = vec![
        ("the token's text".to_owned(), token.as_bytes()["prunella1-".len()..][..40].to_vec()),
        ("the token's signature".to_owned(), decoded.to_bytes()[decoded.to_bytes().len() - 32..].to_vec()),
    ];
    for node in &mesh.nodes {
        let identity = Credentials::load(&node.dir).unwrap().identity().signing_key().to_bytes().to_vec();
        secrets.push((format!("the key of {}", node.name), identity));
        for file in ["issuing.key", "authority.key", "identity.key", "postquantum.key"] {
            secrets.extend(key_text(&node.dir.join(file)).map(|text| (format!("{file} of {}", node.name), text)));
        }
    }
    assert!(secrets.len() >= 7, "{secrets:?}");
    for node in &mut mesh.nodes {
        node.stop().await;
        let log = node.log();
        assert!(log.contains("TRACE") && log.len() > 100_000, "{} bytes of a log that says all", log.len());
        println!("{}: {} KiB of log", node.name, log.len() >> 10);
        for (what, secret) in &secrets {
            for form in forms(secret) {
                assert!(!log.contains(&form), "{what} stands in the log of {}", node.name);
            }
        }
    }
}

/// A process that holds keys leaves no core dump, and other processes of the same user cannot read its memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg(target_os = "linux")]
async fn a_node_leaves_no_memory_behind() {
    let mut mesh = Mesh::found(Plan::alone()).await;
    let node = &mut mesh.nodes[0];
    assert_eq!(core_limit(node.pid()), "0 0");
    node.stop().await;
    // Without a parent that watches over it, as an operator starts it.
    let mut command = Command::new(env!("CARGO_BIN_EXE_prunella"));
    command.arg("--dir").arg(&node.dir).arg("up").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let pid = child.id();
    let seen = async {
        until("the node answers", PATIENCE, async || node.status().await.map(drop)).await;
        // A process that can be dumped has these files as its user; of one that cannot, they are root's and nobody else's.
        let is_hidden = fs::read(format!("/proc/{pid}/environ")).is_err() || rustix::process::getuid().is_root();
        (core_limit(pid), is_hidden)
    };
    let seen = tokio::time::timeout(Duration::from_secs(30), seen).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(seen.unwrap(), ("0 0".to_owned(), true));
}

/// The limits of a process for core dumps, in bytes.
fn core_limit(pid: u32) -> String {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// The text of a key file, without its frame; `None` if there is none.
fn key_text(file: &Path) -> Option<Vec<u8>> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| !line.starts_with("---") && !line.is_empty() && line.len() > 40)?;
    Some(line.as_bytes()[8..48].to_vec())
}

/// The forms in which bytes could be printed.
fn forms(bytes: &[u8]) -> Vec<String> {
    let numbers: Vec<String> = bytes.iter().take(8).map(u8::to_string).collect();
    let escaped: String =
        bytes.iter().take(8).flat_map(|byte| std::ascii::escape_default(*byte)).map(char::from).collect();
    let mut forms = vec![
        data_encoding::HEXLOWER.encode(&bytes[..8]),
        data_encoding::HEXUPPER.encode(&bytes[..8]),
        data_encoding::BASE64.encode(&bytes[..9]),
        data_encoding::BASE64URL_NOPAD.encode(&bytes[..9]),
        numbers.join(", "),
        numbers.join(","),
        escaped,
    ];
    forms.extend(String::from_utf8(bytes.to_vec()).ok());
    forms
}
