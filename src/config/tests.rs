//! Settings and replication policies: what is read, and what is refused.

use proptest::prelude::*;

use super::*;
use crate::model::{Account, BucketName};

fn policy(text: &str) -> Result<Policy, Invalid> {
    Settings::read(|name| (name == "REPLICATION_POLICY").then(|| text.to_owned())).map(|settings| {
        match settings.policy {
            Some(PolicySource::Inline(policy)) => policy,
            other => panic!("{other:?}"),
        }
    })
}

fn rule(destination: &str, matching: &str) -> String {
    format!(
        r#"{{"Name": "dr", "Match": {matching}, "DestinationBucket": "{destination}", "ReplicaKmsKeyArn": "arn:aws:kms:us-west-2:111122223333:alias/dr"}}"#
    )
}

fn rules(rules: &[String]) -> String {
    format!(r#"{{"Rules": [{}]}}"#, rules.join(", "))
}

#[test]
fn an_empty_variable_means_not_set() {
    let settings = Settings::read(|_| Some(" ".to_owned())).unwrap();
    assert_eq!(
        settings.roles,
        RoleSettings { path: "/s3-kms-replication/".to_owned(), boundary: None, shared: None }
    );
    assert!(
        settings.policy.is_none()
            && settings.execution_role_arn.is_none()
            && !settings.loopback_endpoint
    );
}

#[test]
fn an_endpoint_is_loopback_only_on_this_machine() {
    for (url, is_loopback) in [
        ("http://127.0.0.1:4566", true),
        ("http://localhost:4566", true),
        ("http://[::1]:4566", true),
        ("https://s3.us-east-1.amazonaws.com", false),
        ("http://10.0.0.1", false),
    ] {
        let settings = Settings::read(|name| (name == "AWS_ENDPOINT_URL").then(|| url.to_owned()));
        assert_eq!(settings.unwrap().loopback_endpoint, is_loopback, "{url}");
    }
}

#[test]
fn an_invalid_environment_is_refused_with_the_place_of_the_error() {
    let everything = r#"{"BucketNames": ["*"]}"#;
    let good = rule("{bucket}-replica", everything);
    let mut errors = Vec::new();
    for (name, value) in [
        ("ROLE_PATH", "replication".to_owned()),
        ("ROLE_PERMISSIONS_BOUNDARY_ARN", "boundary".to_owned()),
        ("AWS_REGION", "nowhere".to_owned()),
        ("ROLE_SCOPE", "All".to_owned()),
        ("ROLE_SCOPE", "Policy".to_owned()),
        ("REPLICATION_POLICY", "{\"Rules\": [\n  {]\n}".to_owned()),
        ("REPLICATION_POLICY", "[]".to_owned()),
        ("REPLICATION_POLICY", r#"{"Rules": [], "Version": 1}"#.to_owned()),
        ("REPLICATION_POLICY", r#"{"Rules": [{}]}"#.to_owned()),
        ("REPLICATION_POLICY", rules(&[good.clone(), good.clone()])),
        ("REPLICATION_POLICY", rules(&[good.replace("\"Match\"", "\"Matches\"")])),
        ("REPLICATION_POLICY", rules(&[rule("{bucket}-replica", "{}")])),
        ("REPLICATION_POLICY", rules(&[rule("{bucket}-replica", r#"{"BucketName": "*"}"#)])),
        (
            "REPLICATION_POLICY",
            rules(&[rule("{bucket}-replica", r#"{"BucketTags": {"dr": true}}"#)]),
        ),
        (
            "REPLICATION_POLICY",
            rules(&[good.clone(), rule("{name}-replica", everything).replace("\"dr\"", "\"b\"")]),
        ),
        ("REPLICATION_POLICY", rules(&[rule("{bucket}", everything)])),
        ("REPLICATION_POLICY", rules(&[good.replace("us-west-2", "us_west")])),
        (
            "REPLICATION_POLICY",
            rules(&[good.replace("\"Name\"", "\"SourceBucket\": \"x\", \"Name\"")]),
        ),
        ("REPLICATION_POLICY", rules(&[good.replace("\"Name\"", "\"Priorty\": 1, \"Name\"")])),
    ] {
        errors.push(
            Settings::read(|variable| (variable == name).then(|| value.clone()))
                .unwrap_err()
                .to_string(),
        );
    }
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn a_bucket_matches_by_pattern_unless_it_is_excluded() {
    let policy = policy(&rules(&[rule(
        "backup",
        r#"{"BucketNames": ["prod-*", "a?c"], "ExcludeBucketNames": ["*-tmp"]}"#,
    )]))
    .unwrap();
    let matches =
        |name: &str| policy.rules_for_name(&BucketName::parse(name).unwrap()).count() == 1;
    assert_eq!(
        ["prod-a", "abc", "abbc", "prod-a-tmp", "test"].map(matches),
        [true, true, false, false, false]
    );
}

#[test]
fn placeholders_of_a_destination_take_the_values_of_the_source() {
    let policy = policy(&rules(&[rule(
        "arn:aws:s3:::{bucket}-{account}-{region}",
        r#"{"BucketNames": ["*"]}"#,
    )]))
    .unwrap();
    let bucket = BucketName::parse("orders").unwrap();
    let rule = policy.rules_for_name(&bucket).next().unwrap();
    let spec = rule
        .spec(
            &bucket,
            &Region::parse("eu-west-1").unwrap(),
            &Account::parse("111122223333").unwrap(),
        )
        .unwrap();
    assert_eq!(spec.destination.as_str(), "orders-111122223333-eu-west-1");
}

#[test]
fn a_destination_of_a_rule_is_recognised_through_its_placeholders() {
    let account = Account::parse("111122223333").unwrap();
    let prod = r#"{"BucketNames": ["prod-*"]}"#;
    for (destination, bucket, expected) in [
        ("backup", "backup", true),
        ("backup", "backups", false),
        ("arn:aws:s3:::backup", "backup", true),
        ("{bucket}-replica", "prod-a-replica", true),
        ("{bucket}-replica", "test-a-replica", false),
        ("{bucket}-replica", "prod-a", false),
        ("dr-{region}-{bucket}", "dr-eu-west-1-prod-a", true),
        ("dr-{region}-{bucket}", "dr-europe-prod-a", false),
        ("dr-{account}", "dr-111122223333", true),
        ("dr-{account}", "dr-444455556666", false),
        ("{bucket}.{bucket}", "prod-a.prod-a", true),
        ("{bucket}.{bucket}", "prod-a.prod-b", false),
        ("{bucket}{region}", "prod-aus-east-1", true),
        ("{bucket}{region}", "prod-a", false),
    ] {
        let policy = policy(&rules(&[rule(destination, prod)])).unwrap();
        assert_eq!(
            policy.has_destination(&BucketName::parse(bucket).unwrap(), &account),
            expected,
            "{destination}, {bucket}"
        );
    }
}

/// A rule for the property test of [`Policy::has_destination`].
#[derive(Debug)]
struct SampleRule {
    template: String,
    names: Vec<&'static str>,
    excluded_names: Vec<&'static str>,
}

impl SampleRule {
    fn policy(&self) -> Result<Policy, Invalid> {
        let matching = serde_json::json!({"BucketNames": self.names, "ExcludeBucketNames": self.excluded_names});
        policy(&rules(&[rule(&self.template, &matching.to_string())]))
    }

    /// Whether the rule replicates to `bucket`, found by trying every substring of `bucket` for every placeholder.
    fn has_destination_by_brute_force(&self, bucket: &str, account: &Account) -> bool {
        let substrings = |placeholder: &str| -> Vec<&str> {
            if !self.template.contains(placeholder) {
                return vec![""];
            }
            let starts = 0..bucket.len();
            starts
                .flat_map(|start| (start + 1..=bucket.len()).map(move |end| &bucket[start..end]))
                .collect()
        };
        let any = |patterns: &[&str], name: &str| {
            patterns.iter().any(|pattern| wildmatch::WildMatch::new(pattern).matches(name))
        };
        let is_source = |source: &&str| {
            let is_matched = any(&self.names, source) && !any(&self.excluded_names, source);
            *source != bucket && (source.is_empty() || is_matched)
        };
        let is_region = |region: &&str| region.is_empty() || Region::parse(region).is_ok();
        let regions: Vec<&str> = substrings("{region}").into_iter().filter(is_region).collect();
        substrings("{bucket}").into_iter().filter(is_source).any(|source| {
            regions.iter().any(|region| {
                let filled = self.template.replace("{bucket}", source).replace("{region}", region);
                filled.replace("{account}", account.as_str()) == bucket
            })
        })
    }
}

/// A template of few letters, so that placeholders and literals can often stand for the same part of a name.
fn sample_rule() -> impl Strategy<Value = SampleRule> {
    let segment =
        prop::sample::select(vec!["{bucket}", "{region}", "{account}", "a", "b", "-", "1"]);
    let template = prop::collection::vec(segment, 1..5).prop_map(|segments| segments.concat());
    let names = prop::sample::select(vec![vec!["*"], vec!["a*"], vec!["a?", "*b"]]);
    let excluded_names = prop::sample::select(vec![vec![], vec!["*-b"], vec!["a-a*", "b"]]);
    (template, names, excluded_names).prop_map(|(template, names, excluded_names)| SampleRule {
        template,
        names,
        excluded_names,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn a_destination_is_recognised_as_brute_force_recognises_it(
        rule in sample_rule(),
        source in "[ab-]{1,4}",
        region in "[ab]{1,2}-[ab]-1{1,2}",
        name in prop::option::of("[ab1-]{3,12}"),
    ) {
        let account = Account::parse("111111111111").unwrap();
        // Most names that are made from the template have a source; most other names have none.
        let name = name.unwrap_or_else(|| {
            let filled = rule.template.replace("{bucket}", &source).replace("{region}", &region);
            filled.replace("{account}", account.as_str())
        });
        let (Ok(policy), Ok(bucket)) = (rule.policy(), BucketName::parse(&name)) else {
            return Err(TestCaseError::reject("the name or the template is not valid"));
        };
        prop_assert_eq!(
            policy.has_destination(&bucket, &account),
            rule.has_destination_by_brute_force(&name, &account)
        );
    }
}
