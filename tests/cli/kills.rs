//! The program is killed at each of its requests: no later run takes an old canary for a proof, forgets a verification, or leaves a canary.

use std::io::Write;

use crate::account::{Account, REPLICA_KEY};
use crate::policy_file;

fn options() -> String {
    format!(
        "--source-bucket orders --destination-bucket copy --replica-kms-key-arn {REPLICA_KEY} --yes --lock-table leases"
    )
}

const VERIFY: &str = "verify --source-bucket orders --destination-bucket copy";

/// An account whose rule is applied.
fn applied() -> Account {
    let account = Account::new();
    let (code, said) = account.run(&format!("apply {}", options()));
    assert_eq!(code, 0, "{said}");
    account
}

/// How many requests a command sends.
fn length(account: &Account, command: &str) -> usize {
    let (code, said) = account.run(command);
    assert_eq!(code, 0, "{said}");
    account.requests()
}

fn print_count(number: usize, what: &str) {
    std::io::stderr().write_all(format!("{number} {what}\n").as_bytes()).unwrap();
}

#[test]
fn invariant_11_no_canary_of_a_killed_verify_is_a_proof_a_day_later() {
    let mut points = 0;
    for index in 1..=length(&applied(), VERIFY) {
        let account = applied();
        assert_eq!(account.run_and_kill(VERIFY, Some(index)).0, -1, "request {index}");
        account.state().is_broken = true;
        let (code, said) = account.run(VERIFY);
        assert_ne!(code, 0, "killed at request {index}: {said}");
        assert_eq!(account.state().versions, [], "killed at request {index}: {said}");
        points += 1;
    }
    print_count(points, "kills of verify, a day before the next one");
}

#[test]
fn no_canary_stays_after_a_killed_verification_and_the_next_request() {
    let verified = format!("apply {} --verify", options());
    let delete = "delete --source-bucket orders --name copy --yes --lock-table leases".to_owned();
    let mut points = 0;
    for next in [delete, format!("apply {}", options())] {
        for index in 1..=length(&Account::new(), &verified) {
            let account = Account::new();
            assert_eq!(account.run_and_kill(&verified, Some(index)).0, -1, "request {index}");
            let (_, said) = account.run(&next);
            assert_eq!(account.state().versions, [], "killed at request {index}, {next}: {said}");
            points += 1;
        }
    }
    print_count(points, "kills of apply with a verification");
}

#[test]
fn verification_of_a_killed_walk_is_made_by_the_next_one() {
    let policy = format!(
        r#"{{"Rules": [{{"Name": "copy", "Match": {{"BucketNames": ["orders"]}}, "DestinationBucket": "copy", "Verify": true,
            "ReplicaKmsKeyArn": "{REPLICA_KEY}"}}]}}"#
    );
    let file = policy_file("kills.json", &policy);
    let walk = format!("apply --all --policy {file} --yes --lock-table leases");
    let mut points = 0;
    for index in 1..=length(&Account::new(), &walk) {
        let account = Account::new();
        assert_eq!(account.run_and_kill(&walk, Some(index)).0, -1, "request {index}");
        let number = account.verification_number();
        let has_ended = number > 0 && number.is_multiple_of(2);
        account.state().judged = 0;
        let (code, said) = account.run(&walk);
        assert_eq!(code, 0, "killed at request {index}: {said}");
        assert!(has_ended || account.state().judged > 0, "killed at request {index}: {said}");
        assert_eq!(account.state().versions, [], "killed at request {index}: {said}");
        assert_eq!(account.verification_number() % 2, 0, "killed at request {index}: {said}");
        points += 1;
    }
    print_count(points, "kills of a walk with a verification");
}
