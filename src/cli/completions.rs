//! `prunella completions`: prints a completion script for a shell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use super::failure::Failure;
use super::output::Output;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "prunella", &mut script);
    output.write(&String::from_utf8_lossy(&script))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_script_knows_every_command_and_every_option() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "prunella", &mut script);
            let script = String::from_utf8(script).unwrap();
            for (command, option) in names(&Cli::command()) {
                // Elvish, fish and PowerShell write options in their own way, but never without the name.
                assert!(script.contains(&command), "{shell}: no {command}");
                assert!(option.is_empty() || script.contains(&option), "{shell}: no --{option} of {command}");
            }
        }
    }

    /// Every command with each of its options, and those of its commands.
    fn names(command: &clap::Command) -> Vec<(String, String)> {
        let name = command.get_name();
        let options = command.get_arguments().filter_map(|argument| argument.get_long());
        let mut all: Vec<_> = options.map(|option| (name.to_owned(), option.to_owned())).collect();
        all.push((name.to_owned(), String::new()));
        all.extend(command.get_subcommands().flat_map(names));
        all
    }

    #[test]
    fn what_a_user_may_look_for_is_among_the_names() {
        let names = names(&Cli::command());
        for (command, option) in [
            ("members", ""),
            ("reputation", ""),
            ("shared", ""),
            ("set", ""),
            ("sim", "gossip"),
            ("sim", "first-seed"),
            ("sim", "minutes"),
            ("up", "rebuild"),
        ] {
            assert!(names.contains(&(command.to_owned(), option.to_owned())), "no {command} --{option}");
        }
    }
}
