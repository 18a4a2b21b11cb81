//! The truth table of the documents, for buckets inside and outside the patterns.

use serde_json::{Value, json};
use wildmatch::WildMatch;

use super::*;

const ACCOUNT: &str = "111122223333";
const REPLICA_KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/replica";
const AT_SOURCE: &str = "s3.us-east-1.amazonaws.com";
const AT_DESTINATION: &str = "s3.us-west-2.amazonaws.com";
const READ: [&str; 6] = [
    "s3:GetObjectVersionForReplication",
    "s3:GetObjectVersionAcl",
    "s3:GetObjectVersionAnnotationForReplication",
    "s3:GetObjectVersionTagging",
    "s3:GetObjectRetention",
    "s3:GetObjectLegalHold",
];
const WRITE: [&str; 3] = ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"];
const ENCRYPT: [&str; 3] = ["kms:Encrypt", "kms:GenerateDataKey", "kms:Decrypt"];

fn grants() -> SharedGrants {
    let pattern = |text| BucketPattern::parse(text).unwrap();
    SharedGrants {
        rule: RuleId::named("dr").unwrap(),
        partition: Partition::Aws,
        account: Account::parse(ACCOUNT).unwrap(),
        region: Region::parse("us-east-1").unwrap(),
        sources: vec![pattern("bills"), pattern("prod-*")],
        excluded: ["prod-scratch", "*-tmp"].map(str::to_owned).into(),
        destinations: vec![pattern("copy-bills"), pattern("copy-prod-*")],
        destination_region: Region::parse("us-west-2").unwrap(),
        destination_account: Account::parse(ACCOUNT).unwrap(),
        prefix: "Tax".to_owned(),
        source_keys: BTreeSet::new(),
        replica_key: REPLICA_KEY.to_owned(),
        owner_override: false,
    }
}

/// A call to AWS: its action, resource and condition keys.
#[derive(Debug, Clone)]
struct Call {
    action: &'static str,
    resource: String,
    context: Vec<(&'static str, String)>,
}

fn on<const N: usize>(resource: &str, actions: [&'static str; N]) -> Vec<Call> {
    calls(resource, actions, &[("aws:ResourceAccount", ACCOUNT)])
}

fn calls<const N: usize>(
    resource: &str,
    actions: [&'static str; N],
    context: &[(&'static str, &str)],
) -> Vec<Call> {
    let resource = if resource.starts_with("arn:") {
        resource.to_owned()
    } else {
        format!("arn:aws:s3:::{resource}")
    };
    let context: Vec<_> = context.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    actions
        .map(|action| Call { action, resource: resource.clone(), context: context.clone() })
        .into()
}

fn write(object: &str, encryption: &str, key: &str) -> Vec<Call> {
    let context = [
        ("aws:ResourceAccount", ACCOUNT),
        ("s3:x-amz-server-side-encryption", encryption),
        ("s3:x-amz-server-side-encryption-aws-kms-key-id", key),
    ];
    calls(object, ["s3:ReplicateObject"], &context)
}

fn with_key<const N: usize>(
    key: &str,
    context: &str,
    service: &str,
    actions: [&'static str; N],
) -> Vec<Call> {
    let context = format!("arn:aws:s3:::{context}");
    let context =
        [("kms:EncryptionContext:aws:s3:arn", context.as_str()), ("kms:ViaService", service)];
    calls(key, actions, &context)
}

/// A key of the account in the sources' Region.
const ANY_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/any";

/// What is attempted, whether all or none of the calls are allowed, and the calls.
fn table() -> Vec<(&'static str, bool, Vec<Call>)> {
    let decrypt = ["kms:Decrypt"];
    vec![
        ("read a matching bucket", true, on("prod-a", BUCKET_ACTIONS)),
        ("read a bucket that is named", true, on("bills", BUCKET_ACTIONS)),
        ("read a matching bucket's objects, whatever the prefix", true, on("prod-a/x/y", READ)),
        ("read a named bucket's objects with the prefix", true, on("bills/Tax/1", READ)),
        ("decrypt an object", true, with_key(ANY_KEY, "prod-a/x", AT_SOURCE, decrypt)),
        ("... with a Bucket Key", true, with_key(ANY_KEY, "prod-a", AT_SOURCE, decrypt)),
        ("... of a named bucket", true, with_key(ANY_KEY, "bills/Tax1", AT_SOURCE, decrypt)),
        ("... with a Bucket Key", true, with_key(ANY_KEY, "bills", AT_SOURCE, decrypt)),
        ("write a replica", true, write("copy-prod-a/x", "aws:kms", REPLICA_KEY)),
        ("... with DSSE-KMS", true, write("copy-prod-a/x", "aws:kms:dsse", REPLICA_KEY)),
        ("... with SSE-S3", true, write("copy-prod-a/x", "AES256", REPLICA_KEY)),
        ("write tags and delete markers", true, on("copy-prod-a/x", WRITE)),
        ("... of a named bucket", true, on("copy-bills/Tax1", WRITE)),
        ("encrypt", true, with_key(REPLICA_KEY, "copy-prod-a/x", AT_DESTINATION, ENCRYPT)),
        ("... Bucket Key", true, with_key(REPLICA_KEY, "copy-prod-a", AT_DESTINATION, ENCRYPT)),
        (
            "... of a named one",
            true,
            with_key(REPLICA_KEY, "copy-bills/Tax1", AT_DESTINATION, ENCRYPT),
        ),
        ("... Bucket Key", true, with_key(REPLICA_KEY, "copy-bills", AT_DESTINATION, ENCRYPT)),
        // S3 does not begin, since it cannot read the bucket's configuration.
        ("read an object of an excluded bucket", true, on("prod-scratch/x", READ)),
        ("read an excluded bucket", false, on("prod-scratch", BUCKET_ACTIONS)),
        ("read a bucket that a pattern excludes", false, on("prod-a-tmp", BUCKET_ACTIONS)),
        ("read another bucket", false, on("test-a", BUCKET_ACTIONS)),
        ("read a bucket whose name begins as a named one's", false, on("bills-2", BUCKET_ACTIONS)),
        ("read another bucket's objects", false, on("test-a/prod-a/x", READ)),
        ("read objects outside the prefix of a named bucket", false, on("bills/Payroll", READ)),
        ("read a bucket of another account", false, {
            let other = [("aws:ResourceAccount", "444455556666")];
            [calls("prod-a", BUCKET_ACTIONS, &other), calls("prod-a/x", READ, &other)].concat()
        }),
        ("write to a bucket of another account", false, {
            calls("copy-prod-a/x", WRITE, &[("aws:ResourceAccount", "444455556666")])
        }),
        ("write to another bucket", false, on("test-a/copy-prod-a/x", WRITE)),
        ("write to a source", false, [on("prod-a/x", WRITE), on("bills/Tax1", WRITE)].concat()),
        ("write outside the prefix", false, on("copy-bills/Payroll", WRITE)),
        ("write with another key", false, write("copy-prod-a/x", "aws:kms", ANY_KEY)),
        ("write encrypted otherwise", false, write("copy-prod-a/x", "aws:fsx", REPLICA_KEY)),
        ("decrypt for another bucket", false, {
            let contexts = ["test-a", "test-a/prod-a/x", "bills-2", "bills/Payroll"];
            contexts.map(|context| with_key(ANY_KEY, context, AT_SOURCE, decrypt)).concat()
        }),
        ("decrypt in another Region", false, with_key(ANY_KEY, "prod-a", AT_DESTINATION, decrypt)),
        ("decrypt with a key of another account", false, {
            let key = "arn:aws:kms:us-east-1:444455556666:key/any";
            with_key(key, "prod-a", AT_SOURCE, decrypt)
        }),
        ("decrypt with a key of another Region", false, {
            with_key(REPLICA_KEY, "prod-a", AT_SOURCE, decrypt)
        }),
        ("decrypt directly", false, calls(ANY_KEY, decrypt, &[])),
        ("encrypt for a source", false, {
            let contexts = ["prod-a", "prod-a/x", "copy-bills/Payroll", "copy-bills-2"];
            contexts.map(|at| with_key(REPLICA_KEY, at, AT_DESTINATION, ENCRYPT)).concat()
        }),
        (
            "encrypt in another Region",
            false,
            with_key(REPLICA_KEY, "copy-prod-a", AT_SOURCE, ENCRYPT),
        ),
        (
            "encrypt with another key",
            false,
            with_key(ANY_KEY, "copy-prod-a", AT_DESTINATION, ENCRYPT),
        ),
        ("encrypt directly", false, calls(REPLICA_KEY, ENCRYPT, &[])),
        ("read and write as a normal client", false, {
            let plain = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject"];
            [on("prod-a/x", plain), on("copy-prod-a/x", plain)].concat()
        }),
        ("change a bucket or an owner", false, {
            let change = ["s3:PutReplicationConfiguration", "s3:PutBucketVersioning"];
            let owner = ["s3:ObjectOwnerOverrideToBucketOwner"];
            [on("prod-a", change), on("copy-prod-a", change), on("copy-prod-a/x", owner)].concat()
        }),
    ]
}

fn values(value: &Value) -> Vec<&str> {
    value.as_str().map_or_else(
        || value.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
        |one| vec![one],
    )
}

/// Whether the conditions hold. Equality is matched as a pattern, too: no value in the table has a wildcard.
fn conditions_hold(statement: &Value, call: &Call) -> bool {
    let operators = statement["Condition"].as_object().into_iter().flatten();
    let mut conditions = operators.flat_map(|(operator, keys)| {
        keys.as_object().into_iter().flatten().map(move |(key, allowed)| (operator, key, allowed))
    });
    conditions.all(|(operator, key, allowed)| {
        let given = call.context.iter().find(|(name, _)| name == key).map(|(_, value)| value);
        match given {
            None => operator.ends_with("IfExists"),
            Some(given) => {
                values(allowed).iter().any(|pattern| WildMatch::new(pattern).matches(given))
            }
        }
    })
}

/// Whether the document allows the call. Knows no IAM beyond the elements of our documents.
fn allows(document: &Value, call: &Call) -> bool {
    let applies = |statement: &&Value| {
        values(&statement["Action"]).contains(&call.action)
            && values(&statement["Resource"])
                .iter()
                .any(|pattern| WildMatch::new(pattern).matches(&call.resource))
            && conditions_hold(statement, call)
    };
    let statements = document["Statement"].as_array().unwrap();
    let effects: Vec<&Value> =
        statements.iter().filter(applies).map(|statement| &statement["Effect"]).collect();
    effects.contains(&&json!("Allow")) && !effects.contains(&&json!("Deny"))
}

#[test]
fn the_role_can_do_what_replication_of_matching_buckets_needs_and_nothing_else() {
    let document = json!(grants().document());
    for (what, expected, calls) in table() {
        for call in calls {
            assert_eq!(allows(&document, &call), expected, "{what}: {call:?}");
        }
    }
}

/// Each statement, action, resource, condition and value that can be taken out, with the document that remains.
fn without_each_part(value: &Value) -> Vec<(String, Value)> {
    let mut rests = Vec::new();
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let mut rest = items.clone();
                rest.remove(index);
                rests.push((item.to_string(), Value::Array(rest)));
                for (part, changed) in without_each_part(item) {
                    let mut rest = items.clone();
                    rest[index] = changed;
                    rests.push((part, Value::Array(rest)));
                }
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                if name.contains(':') {
                    let mut rest = members.clone();
                    rest.remove(name);
                    rests.push((name.clone(), Value::Object(rest)));
                }
                for (part, changed) in without_each_part(member) {
                    let mut rest = members.clone();
                    rest.insert(name.clone(), changed);
                    rests.push((part, Value::Object(rest)));
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    rests
}

#[test]
fn taking_out_any_part_of_the_document_changes_a_decision() {
    let document = json!(grants().document());
    let calls: Vec<Call> = table().into_iter().flat_map(|(_, _, calls)| calls).collect();
    let decide = |document: &Value| -> Vec<bool> {
        calls.iter().map(|call| allows(document, call)).collect()
    };
    let whole = decide(&document);
    let rests = without_each_part(&document);
    assert!(rests.len() > 40, "{}", rests.len());
    for (part, rest) in rests {
        assert_ne!(decide(&rest), whole, "nothing depends on {part}");
    }
}

#[test]
fn given_source_keys_replace_every_key_of_the_account() {
    let given = "arn:aws:kms:us-east-1:444455556666:key/given".to_owned();
    let grants = SharedGrants { source_keys: [given.clone()].into(), ..grants() };
    let document = json!(grants.document());
    for (key, expected) in [(given.as_str(), true), (ANY_KEY, false)] {
        for call in with_key(key, "prod-a/x", AT_SOURCE, ["kms:Decrypt"]) {
            assert_eq!(allows(&document, &call), expected, "{key}");
        }
    }
}

#[test]
fn an_override_of_the_owner_is_granted_only_with_it() {
    let grants = SharedGrants { owner_override: true, ..grants() };
    let document = json!(grants.document());
    for call in on("copy-prod-a/x", ["s3:ObjectOwnerOverrideToBucketOwner"]) {
        assert!(allows(&document, &call));
    }
}

#[test]
fn a_policy_for_every_bucket_and_the_statements_of_another_account_match_their_snapshots() {
    let everything = SharedGrants {
        sources: vec![BucketPattern::parse("*").unwrap()],
        excluded: BTreeSet::new(),
        destinations: vec![BucketPattern::parse("backup").unwrap()],
        destination_account: Account::parse("444455556666").unwrap(),
        ..grants()
    };
    insta::assert_json_snapshot!("every_bucket", everything.document());
    let destination = BucketName::parse("backup").unwrap();
    let statements = everything.statements("Own", "arn:aws:iam::111122223333:role/x", &destination);
    insta::assert_json_snapshot!("statements", [statements.bucket, statements.key]);
}
