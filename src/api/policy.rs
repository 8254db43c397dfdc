//! Policy files without a running node: what one holds, what it says to a request, and whether its tests pass.

use std::path::Path;

use serde::Serialize;

use super::{Error, ErrorKind, PeerId};
use crate::policy::request::About;
pub use crate::policy::{
    ActionName, Command, CommandKind, Difference, Explanation, NearRule, NodeFacts, Refused, RuleRef, Verdict,
};
use crate::policy::{Engine, PolicyFile, Request, SameFacts};

/// What a policy file holds, or why it is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyCheck {
    /// The file.
    pub file: String,
    /// Why nothing of it counts; `None`: it is good.
    pub refused: Option<Refused>,
    /// Its rules, in the order in which they are written.
    pub rules: Vec<PolicyRule>,
    /// Its limits, as sentences.
    pub limits: Vec<String>,
    /// How many tests it holds.
    pub tests: usize,
    /// What is odd but no error.
    pub warnings: Vec<Refused>,
}

/// One rule of a policy file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyRule {
    /// Its name.
    pub name: String,
    /// Its line, from 1.
    pub line: usize,
    /// Whether it allows; otherwise it denies.
    pub allows: bool,
    /// What it says: a sentence for a plain rule, otherwise its text.
    pub text: String,
    /// It in Cedar.
    pub cedar: String,
}

/// A question to a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyQuestion {
    /// Who asks.
    pub from: PeerId,
    /// For what.
    pub action: ActionName,
    /// About which service.
    pub service: Option<String>,
    /// About which agent.
    pub agent: Option<String>,
    /// About which flow: `tcp/22`, say.
    pub flow: Option<String>,
    /// About which network: `10.20.0.0/16`, say.
    pub route: Option<String>,
    /// About which command.
    pub command: Option<String>,
    /// What is known of whoever asks, as keys and values; what is left out is as of a sound node.
    pub facts: Vec<(String, String)>,
}

/// What the tests of a policy have come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyTest {
    /// The file with the tests.
    pub file: String,
    /// The file with the policy that they are about.
    pub policy: String,
    /// How many came out as they must.
    pub passed: usize,
    /// Those that did not.
    pub differences: Vec<Difference>,
}

/// Reads a policy file and says what it holds.
pub fn check(file: &Path) -> PolicyCheck {
    let (policy, refused) = match PolicyFile::read(file) {
        Ok(policy) => (policy, None),
        Err(refused) => (PolicyFile::default(), Some(refused)),
    };
    let rules = policy.rules.iter().map(|rule| PolicyRule {
        name: rule.name.to_string(),
        line: rule.line,
        allows: rule.allows,
        text: rule.text.clone(),
        cedar: rule.cedar.clone(),
    });
    PolicyCheck {
        file: file.display().to_string(),
        refused,
        rules: rules.collect(),
        limits: policy.limits.sentences(),
        tests: policy.cases.len(),
        warnings: policy.warnings,
    }
}

/// What a policy file holds, letter by letter.
///
/// # Errors
/// [`ErrorKind::Configuration`] if it cannot be read or is no text.
pub fn text(file: &Path) -> Result<String, Error> {
    let refused = |refused: Refused| Error::new(ErrorKind::Configuration, refused.to_string());
    let bytes = PolicyFile::bytes(file).map_err(refused)?;
    String::from_utf8(bytes)
        .map_err(|_| Error::new(ErrorKind::Configuration, format!("{}: this is not UTF-8", file.display())))
}

/// What a policy file says to a request, and why.
///
/// # Errors
/// [`ErrorKind::Configuration`] if the file is refused: where and why; [`ErrorKind::InvalidInput`] if the question
/// cannot be asked.
pub fn explain(file: &Path, question: &PolicyQuestion) -> Result<Explanation, Error> {
    let invalid = |reason| Error::new(ErrorKind::InvalidInput, reason);
    let PolicyQuestion { from, action, service, agent, command, flow, route, facts } = question;
    let (service, agent, command) = (service.as_deref(), agent.as_deref(), command.as_deref());
    let about = About { service, agent, command, flow: flow.as_deref(), route: route.as_deref() };
    let request = Request { from: *from, action: action.on(about).map_err(invalid)? };
    let mut known = NodeFacts::sound();
    for (key, value) in facts {
        known.set(key, value).map_err(invalid)?;
    }
    Ok(Engine::new(read(file)?, NOBODY).explain(&request, &SameFacts(known)))
}

/// Runs the tests in a file: of the policy in the same file, or of the one that its key `policy` names.
///
/// # Errors
/// [`ErrorKind::Configuration`] if a file is refused, or holds no tests.
pub fn test(file: &Path) -> Result<PolicyTest, Error> {
    let tests = read(file)?;
    let of = tests.tested.as_ref().map_or_else(|| file.to_owned(), |name| file.with_file_name(name));
    let (cases, policy) = match &tests.tested {
        None => (tests.cases.clone(), tests),
        Some(_) if !tests.rules.is_empty() => {
            let reason = format!("{}: it names another policy, and has rules itself", file.display());
            return Err(Error::new(ErrorKind::Configuration, reason));
        }
        Some(_) => (tests.cases, read(&of)?),
    };
    if cases.is_empty() {
        return Err(Error::new(ErrorKind::Configuration, format!("{}: there is no [[test]] in it", file.display())));
    }
    let engine = Engine::new(policy, NOBODY);
    let differences: Vec<Difference> = cases.iter().filter_map(|case| case.differs(&engine)).collect();
    Ok(PolicyTest {
        file: file.display().to_string(),
        policy: of.display().to_string(),
        passed: cases.len() - differences.len(),
        differences,
    })
}

fn read(file: &Path) -> Result<PolicyFile, Error> {
    PolicyFile::read(file).map_err(|refused| Error::new(ErrorKind::Configuration, refused.to_string()))
}

/// The node that is asked when no node runs; no key has this id.
const NOBODY: PeerId = PeerId::from_public_key([0; 32]);

#[cfg(test)]
mod tests {
    use super::*;

    fn written(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    const ID: &str = "lentaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    #[test]
    fn tests_may_stand_in_a_file_of_their_own() {
        let tests = format!("policy = 'p.cedar'\n[[test]]\nfrom = '{ID}'\naction = 'ping'\nexpect = 'allow'\n");
        let dir = written(&[("p.cedar", "permit (principal, action, resource);"), ("t.toml", &tests)]);
        let report = test(&dir.path().join("t.toml")).unwrap();
        assert_eq!((report.passed, report.differences.len()), (1, 0));
        assert!(report.policy.ends_with("p.cedar"), "{}", report.policy);
        let kinds = ["p.cedar", "nowhere.toml"].map(|name| test(&dir.path().join(name)).unwrap_err().kind());
        assert_eq!(kinds, [ErrorKind::Configuration; 2], "no tests, no file");
    }

    #[test]
    fn a_question_that_cannot_be_asked_is_refused() {
        let dir = written(&[("p.toml", "")]);
        let ask = |action, facts: &[(&str, &str)]| {
            let facts = facts.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
            let from = ID.parse().unwrap();
            let question = PolicyQuestion {
                from,
                action,
                service: None,
                agent: None,
                command: None,
                flow: None,
                route: None,
                facts,
            };
            explain(&dir.path().join("p.toml"), &question)
        };
        assert!(!ask(ActionName::Ping, &[("region", "eu")]).unwrap().verdict.allowed);
        for (action, facts) in [(ActionName::Connect, [].as_slice()), (ActionName::Ping, &[("color", "red")])] {
            assert_eq!(ask(action, facts).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}
