//! `prunella sim --attacks`: what is delivered while members with good certificates attack gossip.

use serde_json::Value;

use super::failure::Failure;
use super::interruption::Interruption;
use super::output::Output;

/// What came of one attack.
#[derive(Clone, Debug, PartialEq)]
pub struct AttackOutcome {
    /// For people: a line of a table.
    pub text: String,
    /// For programs.
    pub json: Value,
    /// Whether every record reached every honest node in time.
    pub held: bool,
}

/// Runs every attack with so many honest nodes and attackers and this seed. The head of the table is told first, without an
/// outcome, then each outcome as soon as it is there; the answer says whether to go on.
pub type RunAttacks = fn([u16; 2], u64, &mut dyn FnMut(&str, Option<AttackOutcome>) -> bool);

/// Runs them and prints the table.
pub(super) fn run(size: [u16; 2], seed: u64, attack: RunAttacks, output: &mut Output) -> Result<(), Failure> {
    let interruption = Interruption::listen();
    let (mut told, mut all_held, mut shown) = (Vec::new(), true, Ok(()));
    attack(size, seed, &mut |head, outcome| {
        let line = match outcome {
            None => head.to_owned(),
            Some(AttackOutcome { text, json, held }) => {
                all_held &= held;
                told.push(json);
                text
            }
        };
        if shown.is_ok() && !output.is_json() {
            shown = output.write(&format!("{line}\n")).and_then(|()| output.flush());
        }
        shown.is_ok() && !interruption.happened()
    });
    shown?;
    let interrupted = interruption.happened();
    let [honest, attackers] = size;
    let replay = format!("prunella sim --attacks {honest} --attackers {attackers} --seed {seed}");
    let json = serde_json::json!({
        "simulated": true, "honest": honest, "attackers": attackers, "seed": seed, "held": all_held,
        "interrupted": interrupted, "attacks": told, "replay": replay,
    });
    let verdict =
        if all_held { "every record reached every honest node in time" } else { "not everything arrived in time" };
    output.show_either(&json, &format!("{verdict}; replay: {replay}\n"))?;
    match (interrupted, all_held) {
        (true, _) => Err(Failure::Interrupted),
        (false, true) => Ok(()),
        (false, false) => Err(Failure::Told),
    }
}
