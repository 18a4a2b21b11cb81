//! Tests of the command-line program without AWS: what it prints, and how it ends.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

#[cfg(unix)]
mod account;
mod delete;
mod diagnose;
mod fake_aws;
#[cfg(unix)]
mod interrupt;
#[cfg(unix)]
mod kills;
#[cfg(unix)]
mod policies_abroad;

use std::collections::BTreeSet;

use assert_cmd::Command;
use insta::assert_snapshot;
use s3_kms_replication::model::{Partition, Region};
use s3_kms_replication::request::{self, Environment};
use serde_json::{Value, json};

const SOURCE_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/source";
const REPLICA_KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/replica";

/// The program, in an environment where nothing answers and nobody is at a terminal.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("s3-kms-replication").unwrap();
    command
        .env_clear()
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .args(arguments);
    command
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_MAX_ATTEMPTS", "1");
    command
}

/// The exit code, and all that was printed.
fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    format!("{out}{err}exit code {}", output.status.code().unwrap())
}

fn run(arguments: &str) -> String {
    printed(&mut program(&arguments.split_whitespace().collect::<Vec<_>>()))
}

/// A rule's options, and more.
fn rule(action: &str, more: &str) -> String {
    run(&format!(
        "{action} --source-bucket orders --destination-bucket orders-replica --replica-kms-key-arn {REPLICA_KEY} {more}"
    ))
}

#[test]
fn help_of_every_command_is_as_recorded() {
    assert_snapshot!("help", run("--help"));
    for command in [
        "plan",
        "apply",
        "delete",
        "verify",
        "diagnose",
        "replay",
        "policies",
        "completions",
        "man",
    ] {
        assert_snapshot!(format!("help_{command}"), run(&format!("{command} --help")));
    }
}

#[test]
fn invariant_9_invalid_arguments_are_refused_with_the_option_name() {
    let orders = "plan --source-bucket orders";
    let cases = [
        "plan".to_owned(),
        "plan --source-bucket No_Bucket".to_owned(),
        format!("{orders} --name dr"),
        format!("{orders} --destination-bucket orders --replica-kms-key-arn {REPLICA_KEY}"),
        format!("{orders} --destination-bucket copy"),
        format!("{orders} --destination-bucket copy --replica-kms-key-arn alias/dr"),
        format!(
            "{orders} --destination-bucket copy --replica-kms-key-arn {REPLICA_KEY} --destination-region eu-west-1"
        ),
        format!(
            "{orders} --destination-bucket copy --replica-kms-key-arn {REPLICA_KEY} --tags a=b a=c"
        ),
        format!(
            "{orders} --destination-bucket copy --replica-kms-key-arn {REPLICA_KEY} --tags a=b --delete-marker-replication"
        ),
        format!(
            "{orders} --destination-bucket copy --replica-kms-key-arn {REPLICA_KEY} --priority -1"
        ),
        format!(
            "{orders} --destination-bucket copy --replica-kms-key-arn {REPLICA_KEY} --existing-role Take"
        ),
        format!(
            "{orders} --destination-bucket copy --replica-kms-key-arn {REPLICA_KEY} --metrics=false --alarm-topic-arn arn:aws:sns:us-east-1:111122223333:t"
        ),
        format!("{orders} --tags a"),
        format!(
            "{orders} --destination-profile other --destination-role-arn arn:aws:iam::444455556666:role/replication"
        ),
        format!("{orders} --region nowhere"),
        format!("{orders} --role-path here"),
        format!("{orders} --all"),
        "plan --policy nowhere.json --all --prefix Tax".to_owned(),
        "plan --policy nowhere.json --all --source-bucket orders".to_owned(),
        "plan --policy nowhere.json --all --documents".to_owned(),
        "plan --policy nowhere.json --all".to_owned(),
        "delete --source-bucket orders --yes".to_owned(),
        "delete".to_owned(),
        "delete --source-bucket orders --name dr --tag Tax".to_owned(),
        "verify".to_owned(),
        format!("{orders} --priority high"),
        format!("{orders} --create-destination-bucket maybe"),
        format!("{orders} --storage-class COLD"),
        format!("{orders} --tags a=b,c"),
        "man nothing".to_owned(),
        "aply".to_owned(),
        "aply --output json".to_owned(),
        "plan --output=json --source-buckets orders".to_owned(),
    ];
    let said = cases.iter().map(|case| format!("$ s3-kms-replication {case}\n{}\n", run(case)));
    assert_snapshot!(said.collect::<Vec<_>>().join("\n"));
}

#[test]
#[cfg(unix)]
fn argument_that_is_not_utf8_is_refused_without_a_panic() {
    use std::os::unix::ffi::OsStrExt;
    let mut command = program(&["plan", "--output", "json", "--name"]);
    let said = printed(command.arg(std::ffi::OsStr::from_bytes(b"\xff")));
    assert!(said.contains("invalid UTF-8") && said.ends_with("exit code 2"), "{said}");
}

#[test]
fn invariant_9_unconfirmed_change_is_refused_before_any_call() {
    let file = policy_file("empty.json", r#"{"Rules": []}"#);
    let walk = run(&format!("apply --all --policy {file}"));
    assert_snapshot!(
        [
            rule("apply", ""),
            rule("apply", "--output json"),
            run("delete --source-bucket orders --name dr"),
            walk
        ]
        .join("\n")
    );
}

#[test]
fn invalid_policy_file_is_refused_with_the_property_path() {
    let policies = [r#"{"Rules": [{"Name": "dr", "Match": {"BucketName": ["*"]}}]}"#, ""];
    let said = policies.map(|policy| {
        let file = policy_file("wrong.json", policy);
        run(&format!("plan --all --policy {file}")).replace(&file, "policy.json")
    });
    assert_snapshot!(said.join("\n"));
}

#[test]
fn invariant_11_unreachable_aws_fails_in_text_and_json() {
    let file = policy_file(
        "one-rule.json",
        &format!(
            r#"{{"Rules": [{{"Name": "dr", "Match": {{"BucketNames": ["*"]}}, "DestinationBucket": "copy", "ReplicaKmsKeyArn": "{REPLICA_KEY}"}}]}}"#
        ),
    );
    let said = ["", "--output json", "--profile nobody"]
        .map(|options| run(&format!("plan --all --policy {file} {options}")));
    let mut without_credentials = program(&["plan", "--all", "--policy", &file]);
    without_credentials.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    assert_snapshot!(
        [
            said.join("\n"),
            rule("plan", "--destination-profile nobody"),
            printed(&mut without_credentials)
        ]
        .join("\n")
    );
}

#[test]
fn delete_and_verify_accept_every_option_of_apply() {
    let given = format!(
        "--destination-account 444455556666 --replica-owner Destination --destination-region us-west-2 \
         --source-kms-key-arns {SOURCE_KEY},{SOURCE_KEY}2 --prefix Tax --tags a=b,c=d --priority 1 \
         --delete-marker-replication --replica-modifications true --replication-time-control --metrics true \
         --storage-class GLACIER --create-destination-bucket --existing-destination Use --existing-role Extend \
         --alarm-topic-arn arn:aws:sns:us-east-1:111122223333:t --replicate-existing-objects --report-bucket reports \
         --report-prefix a --verify --documents --role-path /a/ --allowed-destinations a,b --lock-table t \
         --role-permissions-boundary-arn arn:aws:iam::111122223333:policy/bound --role-scope Policy \
         --stack-id arn:aws:cloudformation:us-east-1:111122223333:stack/crr/1 --name dr"
    );
    let options: BTreeSet<&str> =
        given.split_whitespace().filter(|word| word.starts_with("--")).collect();
    let help = run("apply --help");
    let others =
        ["all", "policy", "concurrency", "yes", "profile", "region", "output", "color", "help"];
    let missing: Vec<&str> = help
        .split_whitespace()
        .filter(|word| word.starts_with("--") && word.len() > 2 && !options.contains(word))
        .filter(|word| !given_by_rule(word) && !others.contains(&word.trim_start_matches('-')))
        .collect();
    assert_eq!(
        missing,
        ["--destination-profile", "--destination-role-arn", "--destination-role-external-id"]
    );
    assert!(rule("delete", &given).contains("pass --yes"));
    assert!(rule("verify", &format!("{given} --yes")).contains("Connection refused"));
}

fn given_by_rule(option: &str) -> bool {
    ["--source-bucket", "--destination-bucket", "--replica-kms-key-arn"].contains(&option)
}

#[test]
fn values_that_shells_complete_are_accepted() {
    let script = run("completions bash");
    for (option, values) in [
        ("existing-destination", "Use Refuse"),
        ("existing-role", "Refuse Extend"),
        ("replica-owner", "Source Destination"),
        (
            "storage-class",
            "STANDARD STANDARD_IA ONEZONE_IA INTELLIGENT_TIERING GLACIER_IR GLACIER DEEP_ARCHIVE REDUCED_REDUNDANCY",
        ),
        ("create-destination-bucket", "true false"),
    ] {
        for value in values.split(' ') {
            let said = rule(
                "policies",
                &format!(
                    "--source-kms-key-arns {SOURCE_KEY} --destination-account 444455556666 --{option} {value}"
                ),
            );
            assert!(said.ends_with("exit code 0"), "--{option} {value}: {said}");
        }
        assert!(script.contains(&format!("compgen -W \"{values}\"")), "--{option}: {values}");
    }
}

#[test]
fn policy_without_rules_is_refused_for_the_walk() {
    let file = policy_file("no-rules.json", r#"{"Rules": []}"#);
    let said = run(&format!("plan --all --policy {file}")).replace(&file, "policy.json");
    assert_snapshot!(said, @r"
    error: --policy policy.json: `Rules` is empty, so the policy applies to no bucket
    exit code 2
    ");
}

#[test]
fn manual_page_keeps_the_lines_of_its_examples() {
    let page = run("man apply");
    let (_, examples) = page.split_once(".SH EXAMPLES\n.nf\n").unwrap();
    let (examples, _) = examples.split_once(".fi\n").unwrap();
    assert!(examples.contains(" orders\\-replica \\\\\n    \\-\\-replica\\-kms"), "{examples}");
}

#[test]
fn policies_are_printed_without_a_call() {
    assert_snapshot!(
        "policies",
        rule("policies", &format!("--source-kms-key-arns {SOURCE_KEY} --prefix Tax"))
    );
    let options = "--object-lock --role-path /audit/ --role-permissions-boundary-arn arn:aws:iam::111122223333:policy/bound --output json";
    assert_snapshot!(
        "policies_json",
        rule("policies", &format!("--source-kms-key-arns {SOURCE_KEY} --name dr {options}"))
    );
}

#[test]
fn policies_include_those_of_the_destination_account() {
    assert_snapshot!(rule(
        "policies",
        &format!(
            "--source-kms-key-arns {SOURCE_KEY} --destination-account 444455556666 --output json"
        )
    ));
}

#[test]
fn policies_name_what_is_unknown_without_a_call() {
    let alias = "arn:aws:kms:us-east-1:111122223333:alias/orders";
    let elsewhere = "arn:aws:kms:eu-west-1:111122223333:key/other";
    let keys = [
        String::new(),
        format!("--source-kms-key-arns {alias}"),
        format!("--source-kms-key-arns {SOURCE_KEY},{elsewhere}"),
    ];
    assert_snapshot!(keys.map(|keys| rule("policies", &keys)).join("\n"));
}

#[test]
fn colours_are_printed_only_on_request_without_a_terminal() {
    let options = format!("--source-kms-key-arns {SOURCE_KEY}");
    assert!(!rule("policies", &options).contains('\x1b'));
    assert!(rule("policies", &format!("{options} --color always")).contains('\x1b'));
    assert!(!rule("policies", &format!("{options} --color never")).contains('\x1b'));
}

#[test]
fn closed_pipe_ends_without_a_panic() {
    for arguments in ["completions bash", "man", "man plan", "--help"] {
        let mut child =
            std::process::Command::new(assert_cmd::cargo::cargo_bin("s3-kms-replication"));
        let mut child = child
            .args(arguments.split(' '))
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert_eq!(
            (ended.status.code(), String::from_utf8(ended.stderr).unwrap()),
            (Some(0), String::new()),
            "{arguments}"
        );
    }
}

#[test]
fn every_shell_has_a_completion_and_every_command_a_manual_page() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(run(&format!("completions {shell}")).contains("replica-kms-key-arn"), "{shell}");
    }
    assert!(run("man").starts_with(".ie"));
    assert!(run("man apply").contains("create\\-destination\\-bucket"));
}

#[test]
fn bash_completes_options_and_their_values() {
    let script = run("completions bash");
    let completed = |words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        let [.., previous, last] = words.as_slice() else { unreachable!() };
        let (all, at) = (
            words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
            words.len() - 1,
        );
        let ask = format!(
            "COMP_WORDS=({all}); COMP_CWORD={at}; _s3-kms-replication s3-kms-replication '{last}' '{previous}'"
        );
        let script = format!(
            "{}\n{ask}; echo \"${{COMPREPLY[*]}}\"",
            script.trim_end_matches("exit code 0")
        );
        printed(Command::new("bash").args(["-c", &script]))
    };
    assert_eq!(
        completed("s3-kms-replication plan --so"),
        "--source-bucket --source-kms-key-arns\nexit code 0"
    );
    assert_eq!(completed("s3-kms-replication apply --output "), "text json\nexit code 0");
}

#[test]
fn every_property_is_an_option() {
    let region = Region::parse("us-east-1").unwrap();
    let environment = Environment {
        region: &region,
        partition: Partition::Aws,
        execution_role_arn: None,
        allows_loopback: false,
    };
    let refused = request::read(&json!({"Action": "Plan", "Unknown": 1}), environment)
        .unwrap_err()
        .to_string();
    let known = refused
        .split_once("allowed are ")
        .unwrap()
        .1
        .split(", ")
        .filter(|name| !["Action", "DryRun"].contains(name));
    let kebab = |name: &str| {
        name.chars()
            .flat_map(|c| c.is_uppercase().then_some('-').into_iter().chain(c.to_lowercase()))
            .collect::<String>()
    };
    let expected: BTreeSet<String> = known.map(|name| format!("-{}", kebab(name))).collect();
    let help = run("plan --help");
    let offered: BTreeSet<String> = help
        .split_whitespace()
        .map(|word| word.split(['[', '=']).next().unwrap().to_owned())
        .collect();
    assert_eq!(expected.difference(&offered).collect::<Vec<_>>(), Vec::<&String>::new());
}

fn policy_file(name: &str, text: &str) -> String {
    let file = format!("{}/{name}", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&file, text).unwrap();
    file
}

/// The documents that are printed are those that a plan writes.
#[test]
fn printed_policies_are_valid_iam_json() {
    let printed = rule("policies", &format!("--source-kms-key-arns {SOURCE_KEY} --output json"));
    let documents: Value =
        serde_json::from_str(printed.strip_suffix("exit code 0").unwrap()).unwrap();
    assert_eq!(documents["RoleName"], "s3-crr-orders");
    assert_eq!(documents["AssumeRolePolicyDocument"]["Version"], "2012-10-17");
    assert_eq!(documents["Policies"]["s3-kms-replication.orders-replica"]["Version"], "2012-10-17");
}
