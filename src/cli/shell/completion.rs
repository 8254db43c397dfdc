//! What may stand at the cursor, read off the parser itself, so that a new command completes without a word here.

use clap::{Arg, Command};

/// What may stand at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// One of these words.
    Words(Vec<String>),
    /// A node's name.
    Node,
    /// An actor's name.
    Actor,
    /// A service's name.
    Service,
    /// A shared key.
    Key,
    /// Something that cannot be guessed.
    Anything,
}

/// Where the word at the end of `line` begins, and what may stand there; `shell` is the built parser.
pub(super) fn wanted(shell: &Command, line: &str) -> (usize, Wanted) {
    let start = line.rfind(char::is_whitespace).map_or(0, |blank| blank + blank_len(line, blank));
    let (before, current) = line.split_at(start);
    let mut before = before.split_whitespace();
    let Some(name) = before.next() else { return (start, Wanted::Words(commands(shell))) };
    if name == "help" {
        return (start, Wanted::Words(commands(shell)));
    }
    let Some(mut command) = shell.find_subcommand(name) else { return (start, Wanted::Anything) };
    if command.has_subcommands() {
        let Some(name) = before.next() else { return (start, Wanted::Words(commands(command))) };
        let Some(inner) = command.find_subcommand(name) else { return (start, Wanted::Anything) };
        command = inner;
    }
    let (mut positionals, mut open) = (command.get_positionals(), None);
    for word in before {
        open = match (open.take(), word.strip_prefix("--")) {
            (Some(_), _) => None,
            (None, Some(option)) => {
                command.get_arguments().find(|arg| arg.get_long() == Some(option) && takes_value(arg))
            }
            (None, None) => {
                positionals.next();
                None
            }
        };
    }
    let wanted = match open {
        None if current.starts_with('-') => Wanted::Words(options(command)),
        Some(option) => value(option),
        None => positionals.next().map_or_else(|| Wanted::Words(options(command)), value),
    };
    (start, wanted)
}

/// What follows the command on `line`, for somebody who has typed just its name and a blank.
pub(super) fn usage(shell: &Command, line: &str) -> Option<String> {
    let typed = line.strip_suffix(' ').filter(|typed| !typed.is_empty() && !typed.ends_with(' '))?;
    let command = typed.split(' ').try_fold(shell, |command, name| command.find_subcommand(name))?;
    if command.has_subcommands() {
        return Some(commands(command).join("|"));
    }
    let of_positional = |arg: &Arg| format!("{}", arg).replace(['<', '>', '[', ']'], "");
    let positionals = command.get_positionals().map(of_positional);
    let options = command.get_arguments().filter(|arg| !arg.is_positional() && !is_general(arg));
    let options = options.map(|arg| format!("[{arg}]"));
    let usage = positionals.chain(options).collect::<Vec<_>>().join(" ");
    (!usage.is_empty()).then_some(usage)
}

fn commands(shell: &Command) -> Vec<String> {
    let visible = shell.get_subcommands().filter(|command| !command.is_hide_set());
    let mut names: Vec<String> = visible.map(|command| command.get_name().to_owned()).collect();
    names.sort();
    names
}

fn options(command: &Command) -> Vec<String> {
    let mut names: Vec<String> = command.get_arguments().filter_map(Arg::get_long).map(|n| format!("--{n}")).collect();
    names.sort();
    names
}

/// The parser's names of values say what kind of thing they are.
fn value(arg: &Arg) -> Wanted {
    let fixed: Vec<String> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if !fixed.is_empty() {
        return Wanted::Words(fixed);
    }
    match arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str()) {
        Some("NODE") => Wanted::Node,
        Some("ACTOR") => Wanted::Actor,
        Some("SERVICE") => Wanted::Service,
        Some("KEY") => Wanted::Key,
        _ => Wanted::Anything,
    }
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

/// Whether every command has it.
fn is_general(arg: &Arg) -> bool {
    matches!(arg.get_id().as_str(), "help" | "json" | "all")
}

fn blank_len(line: &str, blank: usize) -> usize {
    line[blank..].chars().next().map_or(0, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::super::Line;
    use super::*;

    fn built() -> Command {
        let mut shell = Line::command();
        shell.build();
        shell
    }

    fn at(line: &str) -> Wanted {
        wanted(&built(), line).1
    }

    #[test]
    fn the_first_word_is_a_command() {
        let Wanted::Words(words) = at("pi") else { panic!("no words") };
        assert!(words.contains(&"ping".to_owned()) && words.contains(&"exit".to_owned()));
        assert_eq!(at("help p"), at(""));
    }

    #[test]
    fn arguments_are_told_apart_by_their_kind() {
        assert_eq!(at("ping "), Wanted::Node);
        assert_eq!(at("ping --count 3 b"), Wanted::Node);
        assert_eq!(at("ping --count "), Wanted::Anything);
        assert_eq!(at("kill "), Wanted::Actor);
        assert_eq!(at("chaos link "), Wanted::Node);
        assert_eq!(at("chaos actor "), Wanted::Actor);
        assert_eq!(at("forward "), Wanted::Service);
        assert_eq!(at("forward web "), Wanted::Anything);
        assert_eq!(at("expose --remove "), Wanted::Service);
        let hows = ["panic", "error", "stall", "slow"].map(str::to_owned);
        assert_eq!(at("chaos actor x --how "), Wanted::Words(hows.to_vec()));
        assert_eq!(at("dance "), Wanted::Anything);
        assert_eq!(at("shared get "), Wanted::Key);
        assert_eq!(at("shared set color "), Wanted::Anything);
        assert_eq!(at("shared dance "), Wanted::Anything);
        let Wanted::Words(words) = at("shared ") else { panic!("no words") };
        assert!(["get", "list", "remove", "set"].iter().all(|word| words.contains(&(*word).to_owned())), "{words:?}");
    }

    #[test]
    fn options_are_offered_where_one_begins_or_nothing_else_is_left() {
        let Wanted::Words(words) = at("ping b --c") else { panic!("no words") };
        assert!(words.contains(&"--count".to_owned()) && words.contains(&"--json".to_owned()));
        assert_eq!(at("ping b "), Wanted::Words(words));
    }

    #[test]
    fn the_word_at_the_cursor_is_the_one_replaced() {
        assert_eq!(wanted(&built(), "ping be").0, 5);
        assert_eq!(wanted(&built(), "pi").0, 0);
    }

    #[test]
    fn a_hint_shows_what_a_command_takes() {
        assert_eq!(usage(&built(), "kill ").as_deref(), Some("ACTOR"));
        assert_eq!(usage(&built(), "status "), None);
        assert_eq!(usage(&built(), "kill x "), None);
        assert_eq!(usage(&built(), "shared set ").as_deref(), Some("KEY VALUE"));
        let words = usage(&built(), "shared ").unwrap();
        assert!(words.contains("get|") && words.contains("set"), "{words}");
        assert_eq!(usage(&built(), "ki"), None);
    }
}
