//! Whatever a policy file holds: it is read or refused with a place, and a policy that was read means what it says.

use prunella::policy::policy_file::Form;
use prunella::policy::{Action, Command, Engine, NodeFacts, PolicyFile, Request, SameFacts};
use prunella_core::PeerId;

/// How many rules the bytes hold, in each of the forms that a policy has.
pub(crate) fn read(bytes: &[u8]) -> [usize; 3] {
    let text = String::from_utf8_lossy(bytes);
    [Form::Toml, Form::Yaml, Form::Cedar].map(|form| match PolicyFile::parse(&text, "fuzz", form) {
        Ok(policy) => asked(policy),
        Err(refused) => {
            assert!(refused.line >= 1 && refused.column >= 1 && refused.caret <= refused.text.chars().count());
            assert_eq!(refused.to_string().lines().count(), 1, "{refused}");
            assert_eq!(refused.picture().to_string().lines().count(), 5, "{refused}");
            0
        }
    })
}

/// Asks a policy that was read: without a rule that allows there is no yes, and what a rule is in Cedar is one policy.
fn asked(policy: PolicyFile) -> usize {
    let rules = policy.rules.len();
    let allows = policy.rules.iter().any(|rule| rule.allows);
    for rule in &policy.rules {
        let again = PolicyFile::parse(&rule.cedar, "again", Form::Cedar).expect("a rule in Cedar is a policy");
        assert_eq!(again.rules.iter().map(|rule| rule.allows).collect::<Vec<_>>(), [rule.allows]);
    }
    let from = PeerId::from_public_key([1; 32]);
    let engine = Engine::new(policy, PeerId::from_public_key([2; 32]));
    for case in [Action::Ping, Action::Connect { service: "web" }, Action::Command { command: Command::Status }] {
        let request = Request { from, action: case };
        let explained = engine.explain(&request, &SameFacts(NodeFacts::sound()));
        assert!(allows || !explained.verdict.allowed);
        assert_eq!(*engine.decide(&request, &SameFacts(NodeFacts::sound())), explained.verdict);
    }
    rules
}
