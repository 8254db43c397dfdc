//! Files that are sealed on one host and opened on another, by the program itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/bodies/sealed.rs"]
mod sealed;

use crate::mesh::{Mesh, Plan};
use crate::process::run;

/// Two nodes that were founded, each with its public key in a file, and something to seal.
struct Hosts {
    home: tempfile::TempDir,
}

impl Hosts {
    async fn found() -> Self {
        let hosts = Self { home: tempfile::tempdir().unwrap() };
        for name in ["a", "b", "c"] {
            run(&hosts.path(name), &["init"]).await.ok();
            let key = run(&hosts.path(name), &["key", "export"]).await.ok();
            assert_eq!(key.lines().count(), 1, "{key}");
            fs::write(hosts.path(&format!("{name}.key")), key).unwrap();
        }
        fs::write(hosts.path("in"), vec![b'x'; 200_000]).unwrap();
        hosts
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The names of the files beside the nodes' directories.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.home.path()).unwrap().map(Result::unwrap);
        let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
        let mut names: Vec<String> = files.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn what_one_host_seals_another_opens_and_knows_who_sealed_it() {
    let hosts = Hosts::found().await;
    let [a_key, b_key, input, sealed, out] = ["a.key", "b.key", "in", "sealed", "out"].map(|name| hosts.text(name));
    let (a, b) = (hosts.path("a"), hosts.path("b"));
    assert_eq!(mode(&a.join("postquantum.key")), 0o600);
    let told = run(&a, &["seal", "--to", &b_key, &input, "-o", &sealed]).await.ok();
    assert!(told.starts_with("sealed 200000 bytes for ") && told.ends_with(", signed by this node\n"), "{told}");

    let told = run(&b, &["open", &sealed, "--from", &a_key, "-o", &out, "--json"]).await.ok();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["bytes"], told["output"].as_str()), (&200_000.into(), Some(out.as_str())));
    let exported = run(&a, &["key", "export", "--json"]).await.ok();
    let exported: serde_json::Value = serde_json::from_str(&exported).unwrap();
    assert_eq!(told["sender"], exported["peer"]);
    assert_eq!(fs::read(hosts.path("out")).unwrap(), fs::read(hosts.path("in")).unwrap());
    assert_eq!(mode(&hosts.path("out")), 0o600);

    // To standard output, whoever sealed it.
    let told = run(&b, &["open", &sealed]).await;
    let peer = exported["peer"].as_str().unwrap();
    assert!(told.stderr.contains("opened 200000 bytes, sealed by ") && told.stderr.contains(peer), "{}", told.stderr);
    assert!(told.ok() == "x".repeat(200_000));
}

#[tokio::test]
async fn what_must_not_be_opened_is_refused_by_name_and_writes_nothing() {
    let hosts = Hosts::found().await;
    let [a_key, b_key, c_key, input] = ["a.key", "b.key", "c.key", "in"].map(|name| hosts.text(name));
    let [sealed, cut, bent, out, unsigned] = ["sealed", "cut", "bent", "out", "unsigned"].map(|name| hosts.text(name));
    let (a, b, c) = (hosts.path("a"), hosts.path("b"), hosts.path("c"));
    run(&a, &["seal", "--to", &b_key, &input, "-o", &sealed]).await.ok();
    run(&hosts.path("nobody"), &["seal", "--to", &b_key, "--anonymous", &input, "-o", &unsigned]).await.ok();
    let whole = fs::read(&sealed).unwrap();
    fs::write(&cut, &whole[..100_000]).unwrap();
    let mut changed = whole.clone();
    changed[150_000] ^= 1;
    fs::write(&bent, changed).unwrap();
    let before = hosts.files();

    for (dir, arguments, code, text) in [
        (&b, vec!["open", &cut], 1, "damaged"),
        (&b, vec!["open", &bent], 1, "damaged (in its chunk 3)"),
        (&b, vec!["open", &sealed, "--from", &c_key], 1, "not by the sender that was asked for"),
        (&b, vec!["open", &unsigned, "--from", &a_key], 1, "is not signed"),
        (&c, vec!["open", &sealed], 1, "sealed for another node"),
        (&b, vec!["open", &input], 2, "this is not sealed data"),
        (&b, vec!["open", &sealed, "--from", &input], 2, "not a hybrid public key"),
        (&b, vec!["open", "/nowhere"], 1, "cannot read /nowhere"),
    ] {
        let to_file = [arguments.clone(), vec!["-o", &out]].concat();
        run(dir, &to_file).await.fails(code, &[text]);
        assert_eq!(hosts.files(), before, "{arguments:?} left something behind");
        let told = run(dir, &arguments).await;
        assert_eq!((told.code, told.stdout.as_str()), (code, ""), "{arguments:?} to standard output");
    }
    run(&b, &["open", &sealed, "--json"]).await.fails(2, &["-o FILE"]);
    run(&hosts.path("nobody"), &["seal", "--to", &b_key, &input, "-o", &out])
        .await
        .fails(1, &["postquantum.key", "--anonymous"]);
    let told = run(&b, &["open", &unsigned, "-o", &out]).await.ok();
    assert_eq!(told, "opened 200000 bytes, not signed: anybody may have sealed it\n");
}

#[tokio::test]
async fn a_node_without_hybrid_keys_is_given_some_when_it_starts_and_keeps_them() {
    let mut mesh = Mesh::found(Plan::alone()).await;
    let node = &mut mesh.nodes[0];
    let file = node.dir.join("postquantum.key");
    node.stop().await;
    fs::remove_file(&file).unwrap();
    node.run(&["key", "export"]).await.fails(1, &["postquantum.key does not exist", "`up`"]);
    node.start().await;
    let made = fs::read(&file).unwrap();
    assert_eq!(mode(&file), 0o600);
    node.stop().await;
    node.start().await;
    assert!(fs::read(&file).unwrap() == made);
    let (one, two) = (node.run(&["key", "export"]).await.ok(), node.run(&["key", "export"]).await.ok());
    assert_eq!(one, two, "what is exported stays the same");
}

/// `REWRITE=1` writes the corpus anew, for when a format has changed.
#[tokio::test]
async fn the_header_and_the_key_answer_to_the_whole_corpus_and_to_bent_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/sealed");
    if std::env::var_os("REWRITE").is_some() {
        let hosts = Hosts::found().await;
        let [b_key, input, sealed] = ["b.key", "in", "sealed"].map(|name| hosts.text(name));
        fs::write(&input, "short").unwrap();
        run(&hosts.path("a"), &["seal", "--to", &b_key, &input, "-o", &sealed]).await.ok();
        fs::copy(&sealed, folder.join("signed")).unwrap();
        run(&hosts.path("a"), &["seal", "--to", &b_key, "--anonymous", &input, "-o", &sealed]).await.ok();
        fs::copy(&sealed, folder.join("unsigned")).unwrap();
        fs::write(folder.join("header-cut-off"), &fs::read(&sealed).unwrap()[..500]).unwrap();
        fs::copy(&b_key, folder.join("key")).unwrap();
    }
    let mut files: Vec<Vec<u8>> =
        fs::read_dir(&folder).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    files.sort();
    let read: Vec<sealed::Read> = files.iter().map(|bytes| sealed::read(bytes)).collect();
    let (headers, keys) = (read.iter().filter(|read| read.header).count(), read.iter().filter(|read| read.key).count());
    assert!(files.len() >= 4 && headers == 2 && keys == 1, "{} files, {headers} headers, {keys} keys", files.len());
    for bytes in &files {
        for at in (0..bytes.len()).step_by(bytes.len() / 200 + 1) {
            let mut bent = bytes.clone();
            bent[at] ^= 1 << (at % 8);
            let read = sealed::read(&bent);
            assert!(!read.key, "byte {at}");
            sealed::read(&bent[..at]);
        }
    }
}
