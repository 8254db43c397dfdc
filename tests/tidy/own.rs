//! That each rule still finds what breaks it.

use crate::rules::{
    BANNED_WORDS, another_test_binary, banned_words, dead_links, empty_name, headless, layering, long_file,
    long_functions, loud_frames, named_tests, undocumented,
};
use crate::tree::{Finding, Source};

fn lines(findings: impl IntoIterator<Item = Finding>) -> Vec<String> {
    findings.into_iter().map(|finding| finding.to_string()).collect()
}

#[test]
fn an_import_that_points_up_is_found_with_its_line() {
    let source =
        Source::new("src/transport/link.rs", "//! Links.\n\nuse crate::{datapath, actors::{peer, shell::Shell}};\n");
    assert_eq!(
        lines(layering(&source)),
        [
            "src/transport/link.rs:3: layering: transport::link may not import actors::peer",
            "src/transport/link.rs:3: layering: transport::link may not import actors::shell::Shell",
        ]
    );
}

#[test]
fn a_path_in_the_middle_of_code_is_an_import_too() {
    let source = Source::new("src/cli/up.rs", "fn run() {\n    crate::actors::surfaces::start();\n}\n");
    assert_eq!(lines(layering(&source)), ["src/cli/up.rs:2: layering: cli::up may not import actors::surfaces::start"]);
}

#[test]
fn supers_are_followed_to_where_they_lead() {
    let text = "use super::super::actors::gossip;\nmod tests { use super::*; use super::super::super::api; }\n";
    let source = Source::new("src/security/tls.rs", text);
    assert_eq!(
        lines(layering(&source)),
        [
            "src/security/tls.rs:1: layering: security::tls may not import actors::gossip",
            "src/security/tls.rs:2: layering: security::tls may not import api",
        ]
    );
}

#[test]
fn an_actor_may_import_the_driver_but_no_other_actor() {
    let text = "use super::driver::Role;\nuse super::gossip::Gossip;\nuse crate::actors::{clock, planner};\n";
    let source = Source::new("src/actors/peer.rs", text);
    assert_eq!(
        lines(layering(&source)),
        [
            "src/actors/peer.rs:2: layering: actors::peer may not import actors::gossip::Gossip",
            "src/actors/peer.rs:3: layering: actors::peer may not import actors::planner",
        ]
    );
}

#[test]
fn sister_crates_obey_the_layers() {
    let refused = |path: &str, text: &str| lines(layering(&Source::new(path, text))).len();
    assert_eq!(refused("core/src/peer.rs", "use prunella_storage::Store;"), 1);
    assert_eq!(refused("core/src/peer.rs", "use prunella::api;"), 1);
    assert_eq!(refused("core/src/peer.rs", "use crate::ids::PeerId;"), 0);
    assert_eq!(refused("sim/src/mesh.rs", "use prunella_core::peer; use prunella_storage as store;"), 1);
    assert_eq!(refused("bench/src/mesh.rs", "use prunella::api;"), 1);
    assert_eq!(refused("src/cli/lab.rs", "use prunella_core::PeerId;"), 1);
    assert_eq!(refused("src/messages/mod.rs", "use prunella_storage::Batch; use prunella_core::peer;"), 0);
    assert_eq!(refused("src/main.rs", "fn main() { prunella::cli::main(prunella_sim::run); }"), 0);
    assert_eq!(refused("src/cli/sim.rs", "use prunella_sim::Report;"), 1);
    assert_eq!(refused("src/main.rs", "use prunella::transport::Links;"), 1);
}

#[test]
fn a_new_folder_needs_a_place_in_the_order() {
    let source = Source::new("src/gadgets/mod.rs", "//! Gadgets.\n");
    assert_eq!(
        lines(layering(&source)),
        ["src/gadgets/mod.rs:1: layering: `gadgets` has no place in the order of layers"]
    );
}

#[test]
fn comments_and_strings_import_nothing() {
    let text = r##"
// use crate::actors::peer;
/* crate::api /* nested */ crate::cli */
const A: &str = "crate::api::node"; const B: &str = r#"use crate::cli; "quoted" "#; const C: char = '"';
fn f<'a>(x: &'a str) -> char { '\'' }
use crate::cli;
"##;
    let found = lines(layering(&Source::new("src/config/mod.rs", text)));
    assert_eq!(found, ["src/config/mod.rs:6: layering: config may not import cli"]);
}

#[test]
fn a_function_one_line_too_long_is_found() {
    let function = |lines: usize| {
        let body = "    let brace = '{';\n".repeat(lines - 2);
        Source::new(
            "src/api/node.rs",
            &format!("//! Node.\nfn long(list: [u8; 2]) -> [u8; 2] {{\n{body}}}\nfn short();\n"),
        )
    };
    assert_eq!(lines(long_functions(&function(70))), Vec::<String>::new());
    let found = lines(long_functions(&function(71)));
    assert_eq!(found, ["src/api/node.rs:2: function length: `long` has 71 lines, at most 70"]);
}

#[test]
fn tests_do_not_count_towards_a_files_length() {
    let file = |lines: usize| {
        let code = "const A: u8 = 1;\n".repeat(lines);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    // a line\n".repeat(400));
        Source::new("src/api/node.rs", &format!("{code}{tests}"))
    };
    assert!(long_file(&file(500)).is_none());
    let found = long_file(&file(501)).map(|finding| finding.to_string());
    assert_eq!(found.as_deref(), Some("src/api/node.rs:1: file length: 501 lines without its tests, at most 500"));
}

#[test]
fn banned_words_are_found_in_code_and_prose_but_not_inside_other_words() {
    let found = |text: &str| banned_words(&Source::new("docs/page.md", text)).len();
    for (word, _) in BANNED_WORDS {
        assert_eq!(found(&format!("before {word} after")), 1, "{word}");
        assert_eq!(found(&format!("before x{word} after")), 0, "{word}");
    }
    assert_eq!(found(&format!("{}, it works", concat!("Sim", "ply"))), 1);
    assert_eq!(found(&format!("{}(value)", concat!("db", "g!"))), 1);
}

#[test]
fn a_message_above_trace_is_found_where_frames_pass() {
    let found = |path: &str, text: &str| loud_frames(&Source::new(path, text)).len();
    assert_eq!(
        found("src/datapath/reader.rs", "tracing::trace!(at, \"a frame\");\ntracing::debug!(at, \"a frame\");"),
        1
    );
    assert_eq!(found("core/src/frame/view.rs", "tracing::warn!(at, \"a frame\");"), 1);
    assert_eq!(found("src/actors/shell/pump.rs", "tracing::info!(at, \"a link\");"), 0);
}

#[test]
fn a_name_that_says_nothing_is_found() {
    let found = |path: &str| empty_name(&Source::new(path, "")).is_some();
    assert!(found("src/actors/util.rs"));
    assert!(found("src/misc/mod.rs"));
    assert!(found("src/actors/path_manager.rs"));
    assert!(!found("src/actors/utility_bill.rs"));
    assert!(!found("ebpf/common/src/lib.rs"));
    assert!(found("ebpf/common/src/common.rs"));
}

#[test]
fn a_module_without_a_heading_is_found() {
    assert!(headless(&Source::new("core/src/peer.rs", "use std::fmt;\n")).is_some());
    assert!(headless(&Source::new("src/lib.rs", "")).is_some());
    assert!(headless(&Source::new("src/lib.rs", "//! Prunella.\n")).is_none());
}

#[test]
fn a_public_item_without_documentation_is_found() {
    let text = "pub fn bare() {}\n/// Said.\n#[derive(\n    Debug,\n)]\npub struct Said {\n    pub bare: u8,\n    /// Said.\n    pub said: u8,\n}\n\
                pub use said::Said;\npub mod child;\npub(crate) fn inner() {}\n/// Said.\npub struct Tag(pub u64);\n#[cfg(test)]\nmod tests {\n    pub fn free() {}\n}\n";
    assert_eq!(
        lines(undocumented(&Source::new("src/api/node.rs", text))),
        [
            "src/api/node.rs:1: documentation: `pub fn bare` has none",
            "src/api/node.rs:7: documentation: `pub bare` has none",
        ]
    );
}

#[test]
fn a_second_test_binary_is_found() {
    assert!(another_test_binary("tests/forwarding.rs"));
    assert!(!another_test_binary("tests/integration/main.rs"));
    assert!(!another_test_binary("tests/sim.rs"));
}

#[test]
fn a_dead_link_is_found() {
    let text = "[a](../README.md) [b](gone.md#part) [c](https://example.org/x) [d](#here)\n";
    let found = dead_links(&Source::new("docs/page.md", text), |path| path == "README.md");
    assert_eq!(lines(found), ["docs/page.md:1: link: `gone.md` does not exist"]);
}

#[test]
fn only_the_invariants_name_tests() {
    let text = "## Code map\n`not_a_test`\n## Invariants\n`a_test_with_a_name` and `PeerId` in `core/src/ids.rs`\n## End\n`nor_this_one`\n";
    assert_eq!(named_tests(text), [(4, "a_test_with_a_name".to_owned())]);
}
