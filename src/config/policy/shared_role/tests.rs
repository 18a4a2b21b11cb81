//! Which policies one role can serve, and what it grants for each rule.

use super::*;

const KEY: &str = "arn:aws:kms:us-west-2:111122223333:alias/dr";

fn rule(name: &str, matching: &str, destination: &str, others: &str) -> String {
    format!(
        r#"{{"Name": "{name}", "Match": {matching}, "DestinationBucket": "{destination}", "ReplicaKmsKeyArn": "{KEY}"{others}}}"#
    )
}

fn policy(rules: &[String]) -> Policy {
    Policy::parse(&format!(r#"{{"Rules": [{}]}}"#, rules.join(", "))).unwrap()
}

fn region() -> Region {
    Region::parse("us-east-1").unwrap()
}

fn grants(rules: &[String]) -> Vec<SharedGrants> {
    let account = Account::parse("111122223333").unwrap();
    policy(rules).shared_grants(&region(), &Identity { account, partition: Partition::Aws })
}

fn check(rules: &[String]) -> Result<(), Invalid> {
    policy(rules).check_shared_role(&region(), Partition::Aws)
}

#[test]
fn sources_and_destinations_of_a_rule_are_patterns() {
    let patterns = |patterns: &[BucketPattern]| {
        let arns: Vec<String> = patterns.iter().map(|one| one.arn(Partition::Aws)).collect();
        arns.join(" ").replace("arn:aws:s3:::", "")
    };
    for (names, destination, sources, destinations) in [
        (r#"["prod-*"]"#, "copy-{bucket}", "prod-*", "copy-prod-*"),
        (r#"["*"]"#, "arn:aws:s3:::{account}-{region}.{bucket}", "*", "111122223333-us-east-1.*"),
        (
            r#"["prod-*", "prod-a", "bills"]"#,
            "copy-{bucket}",
            "bills prod-*",
            "copy-bills copy-prod-*",
        ),
        (
            r#"["prod-*", "bills"]"#,
            "backup-{destination_region}",
            "bills prod-*",
            "backup-us-west-2",
        ),
        (r#"["bills", "tax"]"#, "{bucket}-copy", "bills tax", "bills-copy tax-copy"),
        (r#"["backup", "bills"]"#, "backup", "bills", "backup"),
    ] {
        let matching = format!(r#"{{"BucketNames": {names}}}"#);
        let rules = [rule("dr", &matching, destination, "")];
        check(&rules).unwrap();
        let [of_rule] = grants(&rules).try_into().unwrap();
        let SharedGrants { sources: found, destinations: found_destinations, .. } = of_rule;
        assert_eq!(
            (patterns(&found).as_str(), patterns(&found_destinations).as_str()),
            (sources, destinations),
            "{names} {destination}"
        );
    }
}

#[test]
fn a_rule_without_a_bucket_in_the_region_has_no_grants() {
    let elsewhere = rule(
        "dr",
        r#"{"BucketNames": ["prod-*"]}"#,
        "backup",
        r#", "DestinationRegion": {"eu-west-1": "us-west-2"}"#,
    );
    assert_eq!(grants(&[elsewhere]), []);
}

#[test]
fn the_grants_have_what_the_rule_says() {
    let others = r#", "DestinationAccount": "444455556666", "ReplicaOwner": "Destination", "Prefix": "Tax", "SourceKmsKeyArns": ["arn:aws:kms:us-east-1:111122223333:key/a"]"#;
    let matching = r#"{"BucketNames": ["bills"], "ExcludeBucketNames": ["*-tmp"]}"#;
    insta::assert_debug_snapshot!(grants(&[rule("dr", matching, "backup", others)]));
}

#[test]
fn policies_to_which_one_role_cannot_be_confined_are_refused() {
    let of_names =
        |names: &str| rule("dr", &format!(r#"{{"BucketNames": {names}}}"#), "backup", "");
    let other = |matching: &str| rule("other", matching, "backup", "");
    let many: Vec<String> = (0..130)
        .map(|number| format!(r#""a-bucket-with-a-rather-long-name-{number:03}""#))
        .collect();
    let excluding = rule(
        "dr",
        r#"{"BucketNames": ["prod-*"], "ExcludeBucketNames": ["prod-tmp-*"]}"#,
        "backup",
        "",
    );
    let refused: Vec<String> = [
        vec![of_names(r#"["*-prod"]"#)],
        vec![of_names(r#"["prod-a", "prod-?"]"#)],
        vec![of_names(r#"["p*d*"]"#)],
        vec![of_names(r#"["prod_*"]"#)],
        vec![rule("dr", r#"{"BucketTags": {"dr": "true"}}"#, "backup", "")],
        vec![rule("dr", r#"{"BucketNames": ["prod-*"]}"#, "{bucket}-replica", "")],
        vec![rule("dr", r#"{"BucketNames": ["prod-*"]}"#, "copy-{bucket_prefix}", "")],
        vec![rule(
            "dr",
            r#"{"BucketNames": ["prod-*"], "ExcludeBucketNames": ["${x}"]}"#,
            "backup",
            "",
        )],
        vec![excluding.clone(), other(r#"{"BucketNames": ["prod-*"]}"#)],
        vec![other(r#"{"BucketNames": ["prod-tmp-1"]}"#), excluding.clone()],
        vec![of_names(&format!("[{}]", many.join(", ")))],
    ]
    .iter()
    .map(|rules| check(rules).unwrap_err().to_string())
    .collect();
    insta::assert_snapshot!(refused.join("\n"));
    for accepted in [
        vec![excluding.clone(), other(r#"{"BucketNames": ["test-*"]}"#)],
        vec![
            excluding,
            other(r#"{"BucketNames": ["prod-*"], "ExcludeBucketNames": ["prod-tmp-*"]}"#),
        ],
        vec![rule("dr", r#"{"BucketNames": ["prod-a"]}"#, "{bucket}-replica", "")],
    ] {
        check(&accepted).unwrap();
    }
}
