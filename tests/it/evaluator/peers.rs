//! The policies of other projects, rewritten from facts that are public: each is denied exactly the calls that it names.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::case::{Case, ROLE, SERVICE, SESSION};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Peer {
    #[serde(rename = "Peer")]
    _name: String,
    #[serde(rename = "Page")]
    _page: String,
    #[serde(rename = "Facts")]
    _facts: String,
    bucket_keys: BucketKeys,
    trust_policy: Value,
    role_policy: Value,
    denied: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct BucketKeys {
    source: bool,
    destination: bool,
}

const SOURCE_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/source";
const REPLICA_KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/replica";

/// The text of a file with the names that stand for its placeholders.
fn named(text: &str) -> String {
    let names = BTreeMap::from([
        ("account", "111122223333"),
        ("src_bkt", "source"),
        ("dest_bkt", "destination"),
        ("src_kms_region", "us-east-1"),
        ("dest_kms_region", "us-west-2"),
        ("src_kms_arn", SOURCE_KEY),
        ("dest_kms_arn", REPLICA_KEY),
    ]);
    names
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}

impl Peer {
    fn case(&self, action: &str, resource: &str, context: Value) -> Case {
        let is_trust = action == "sts:AssumeRole";
        let key_policy = json!({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"}});
        let resource_policy = match action.split(':').next().unwrap() {
            "kms" => key_policy,
            "sts" => self.trust_policy.clone(),
            _ => Value::Null,
        };
        let identity = if is_trust { json!([]) } else { json!([self.role_policy]) };
        serde_json::from_value(json!({
            "principal": if is_trust { SERVICE } else { SESSION }, "action": action, "resource": resource, "account": "111122223333",
            "context": context, "identity": identity, "resource_policy": resource_policy}))
        .unwrap()
    }

    /// S3's calls for one object with its names for the resources.
    fn calls(&self) -> Vec<(&'static str, &'static str, Case)> {
        let (source, replica) = ("arn:aws:s3:::source/a/b", "arn:aws:s3:::destination/a/b");
        let source_context = if self.bucket_keys.source { "arn:aws:s3:::source" } else { source };
        let replica_context =
            if self.bucket_keys.destination { "arn:aws:s3:::destination" } else { replica };
        let through = |region: &str, context: &str| json!({"kms:ViaService": format!("s3.{region}.amazonaws.com"), "kms:EncryptionContext:aws:s3:arn": context});
        let mut calls = vec![("sts:AssumeRole", "role", ROLE, json!({}))];
        for action in ["s3:GetReplicationConfiguration", "s3:ListBucket"] {
            calls.push((action, "source", "arn:aws:s3:::source", json!({})));
        }
        for action in [
            "s3:GetObjectVersionForReplication",
            "s3:GetObjectVersionAcl",
            "s3:GetObjectVersionTagging",
        ] {
            calls.push((action, "source object", source, json!({})));
        }
        let encryption = json!({
            "s3:x-amz-server-side-encryption": "aws:kms", "s3:x-amz-server-side-encryption-aws-kms-key-id": REPLICA_KEY});
        calls.push(("s3:ReplicateObject", "replica", replica, encryption));
        for action in ["s3:ReplicateDelete", "s3:ReplicateTags"] {
            calls.push((action, "replica", replica, json!({})));
        }
        calls.push(("kms:Decrypt", "source key", SOURCE_KEY, through("us-east-1", source_context)));
        for action in ["kms:Encrypt", "kms:GenerateDataKey"] {
            calls.push((action, "replica key", REPLICA_KEY, through("us-west-2", replica_context)));
        }
        if self.bucket_keys.destination {
            calls.push((
                "kms:Decrypt",
                "replica key",
                REPLICA_KEY,
                through("us-west-2", replica_context),
            ));
        }
        let case = |(action, name, resource, context)| {
            (action, name, self.case(action, resource, context))
        };
        calls.into_iter().map(case).collect()
    }
}

#[test]
fn policies_of_other_projects_are_denied_exactly_the_calls_that_they_lack() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 10, "{}", files.len());
    for file in files {
        let peer: Peer = serde_json::from_str(&named(&fs::read_to_string(&file).unwrap())).unwrap();
        let denied: Vec<String> = peer
            .calls()
            .iter()
            .filter(|(_, _, case)| case.outcome() == "ImplicitlyDenied")
            .map(|(action, name, _)| format!("{action} {name}"))
            .collect();
        assert_eq!(denied, peer.denied, "{}", file.display());
    }
}
