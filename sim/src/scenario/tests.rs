//! What a script may say, what is said of one that cannot be read, and what a story must be.

use super::*;

const SCRIPT: &str = "# A story.
nodes a b c
link a-c 1ms
link a-b b-c 2ms   # the long way
traffic a>c
tell routes traffic

at 2s cut a-c for 1s
end 5s
";

/// The script with one line more before its end.
fn with(line: &str) -> String {
    SCRIPT.replace("end 5s", &format!("{line}\nend 5s"))
}

fn mistake(script: &str) -> String {
    Scenario::parse(script).expect_err("it cannot be read").to_string()
}

#[test]
fn every_deed_is_understood() {
    let deeds = [
        "cut a-c",
        "cut a>c for 1s",
        "clog c>b",
        "partition a b for 1s",
        "pause b for 1s every 2s times 3",
        "kill b",
        "kill-torn b for 1s",
        "kill-corrupt b",
        "lose-disk b for 1m",
        "fail-write c",
        "crash b gossip",
        "jump c back 1h for 1s",
        "set a color dark red",
        "remove a color",
        "equivocate b",
        "flood b>c for 250ms",
    ];
    for deed in deeds {
        let scenario = Scenario::parse(&with(&format!("at 3s {deed}"))).unwrap_or_else(|m| panic!("{deed}: {m}"));
        assert_eq!(scenario.acts.len(), 2, "{deed}");
    }
}

#[test]
fn what_is_not_understood_is_named_with_its_line_and_what_was_expected() {
    let wrong = [
        ("at 3s cut a-d", "line 9: expected one of a, b, c, found \"d\""),
        ("at 3s cut a", "line 9: expected two nodes like a-b, found \"a\""),
        ("at 3s flood a>b", "line 9: expected `flood A>B for TIME`"),
        ("at 1s kill b", "line 9: 1s is before the line above: a story is told in order"),
        ("at 3x kill b", "line 9: expected a time like 250ms, 3s, 2m or 1h, a day at most, found \"3x\""),
        ("at 99h kill b", "line 9: expected a time like 250ms, 3s, 2m or 1h, a day at most, found \"99h\""),
        ("at 3s kill b until 4s", "line 9: expected one of cut A-B, "),
        ("at 3s kill b for 1s twice", "line 9: expected `for TIME` or `every TIME times NUMBER` behind the deed"),
        ("at 3s kill b for 1s every 1s times 2", "line 9: it begins again before it is over"),
        ("at 3s set a k v for 1s", "line 9: \"set a k v\" takes no time: no `for`"),
        ("at 3s crash b heart", "line 9: expected a role (policy, gossip, "),
        ("tell lies", "line 9: expected topics (links, routes, "),
        ("link a-b 1ms", "line 9: a and b are linked already"),
        ("nodes x y z", "line 9: the nodes are named already"),
        ("sed 3", "line 9: expected one of nodes, link, "),
        ("at 5s kill b", "line 10: \"kill b\" happens when the story is over"),
        ("end 4s", "line 10: \"end\" stands behind `end`, which is the last line of a script"),
    ];
    for (line, expected) in wrong {
        let said = mistake(&with(line));
        assert!(said.starts_with(expected), "{line:?}: {said}");
    }
    assert_eq!(mistake(""), "line 1: expected `end TIME` as the last line");
    assert_eq!(mistake("link a-b 1ms"), "line 1: expected `nodes NAME ...` before \"link\"");
    assert_eq!(mistake("nodes a b"), "line 1: expected 3 to 26 names, found 2");
    assert_eq!(mistake("nodes a b c\nend 1s"), "line 2: expected `link A-B TIME` or `mesh TIME`: no node has a wire");
}

#[test]
fn a_story_depends_on_its_script_alone_and_names_nodes_as_it_does() {
    let scenario = Scenario::parse(SCRIPT).expect("it is a script");
    let story = scenario.play();
    assert_eq!(story, scenario.play());
    assert_eq!(story.failures, Vec::<String>::new());
    let text = story.to_string();
    let told = ["0.00  -- 3 nodes are one mesh; requests go a>c", "2.00  -- cut a-c", "a: sends to c over a>b>c"];
    assert!(told.iter().all(|line| text.contains(line)), "{text}");
    assert!(text.ends_with("5.00  -- all is well\n"), "{text}");
}

#[test]
fn a_story_that_does_not_end_well_says_so() {
    let scenario = Scenario::parse(&SCRIPT.replace(" for 1s", "")).expect("it is a script");
    let story = scenario.play();
    assert!(story.failures.contains(&"not all is well: the link between a and c is not up".to_owned()), "{story:?}");
}

#[test]
fn a_story_is_no_longer_than_anybody_reads() {
    let script = SCRIPT.replace("tell routes traffic\n", "").replace("for 1s", "for 500ms every 4s times 20");
    let story = Scenario::parse(&script.replace("end 5s", "end 90s")).expect("it is a script").play();
    assert!(story.left_out > 0);
    assert!(story.to_string().ends_with(&format!("... and {} more lines\n", story.left_out)));
}

#[test]
fn a_file_is_a_script_and_its_transcript() {
    let (script, transcript) = split("a\nb\n\n----\nc\n----\n");
    assert_eq!((script, transcript), ("a\nb\n\n", "c\n----\n"));
    assert_eq!(join(script, transcript), "a\nb\n\n----\nc\n----\n");
    assert_eq!(split("a\n"), ("a\n", ""));
    assert!(Scenario::parse(&join(SCRIPT, "not a script")).is_ok());
}
