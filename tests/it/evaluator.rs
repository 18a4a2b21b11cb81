//! The evaluation of policies: AWS's documented answers, generated cases for the IAM simulator, what unknown keys may change, and hostile
//! input.

mod case;
mod documented;
mod generator;
mod hostile;
mod monotone;
mod peers;

use std::fs;

use case::Case;
use generator::Generator;
use serde_json::{Value, json};

/// The number of generated cases that `tests/local/test_evaluator.py` has judged by the simulator.
const GENERATED: usize = 10_000;

/// Writes cases with the evaluator's decisions for the simulator, which runs under Node.js: generated ones, and those of the file that
/// `EVALUATOR_CASES` names.
#[test]
fn decisions_are_written_for_the_simulator() {
    let mut generator = Generator::new(19);
    let generated: Vec<Value> = (0..GENERATED).map(|_| judged(&generator.case())).collect();
    let given: Vec<Case> = std::env::var("EVALUATOR_CASES")
        .map(|file| serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap())
        .unwrap_or_default();
    for decision in ["Allowed", "ImplicitlyDenied", "ExplicitlyDenied"] {
        let count = generated.iter().filter(|judged| judged["decision"] == decision).count();
        assert!(count > GENERATED / 10, "{decision}: {count}");
    }
    let given: Vec<Value> = given.iter().map(judged).collect();
    let written = json!({"generated": generated, "given": given}).to_string();
    fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/evaluator-decisions.json"), written).unwrap();
}

fn judged(case: &Case) -> Value {
    json!({"case": case, "decision": case.outcome()})
}
