//! Setups that others describe or publish: two walk-throughs, and the peers of `tests/peers`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use s3_kms_replication::model::Encryption;

use super::*;

/// What the templates of walk-throughs and peers leave open.
const VALUES: [(&str, &str); 7] = [
    ("${src_bkt}", "demo-source"),
    ("${dest_bkt}", "demo-destination"),
    ("${src_kms_arn}", SOURCE_KEY),
    ("${dest_kms_arn}", REPLICA_KEY),
    ("${src_kms_region}", "us-east-1"),
    ("${dest_kms_region}", "us-west-2"),
    ("${account}", ACCOUNT),
];

fn filled(template: &str) -> String {
    VALUES.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value))
}

/// A working setup, with the policies and the Bucket Keys of a peer.
async fn setup(role_policy: &str, trust: Option<&str>, [source, destination]: [bool; 2]) -> State {
    let mut state = working_with(json!({"DeleteMarkerReplication": true})).await;
    *inline_policy(&mut state) = filled(role_policy);
    if let Some(trust) = trust {
        state.role_mut(OWN_ROLE_NAME).trust = filled(trust);
    }
    let kms = |key: &str, bucket_key| Encryption::Kms {
        key: Some(key.to_owned()),
        bucket_key,
        dual_layer: false,
    };
    state.bucket_mut("demo-destination").encryption = kms(REPLICA_KEY, destination);
    let bucket = state.bucket_mut("demo-source");
    bucket.encryption = kms(SOURCE_KEY, source);
    bucket.samples =
        vec![(ACCOUNT.to_owned(), SampledObject { bucket_key: source, ..object("a") })];
    state
}

fn folder(name: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

fn findings(diagnosis: &Diagnosis) -> String {
    let line = |finding: &s3_kms_replication::diagnose::Finding| {
        format!("{} {:?}: {}", finding.code, finding.severity, finding.message)
    };
    let rule = &diagnosis.rules[0];
    let unread = rule.unread.iter().filter(|unread| unread.decides);
    let unread = unread.map(|unread| format!("not known: {unread}"));
    let lines: Vec<String> = rule.findings.iter().map(line).chain(unread).collect();
    format!("{:?}\n{}", diagnosis.verdict.unwrap(), lines.join("\n"))
}

/// The actions that a diagnosis says are denied for the objects that are written now. The peers are older than annotations.
fn denied_actions(diagnosis: &Diagnosis) -> BTreeSet<&str> {
    let findings = diagnosis.rules[0].findings.iter();
    let findings = findings.filter(|finding| finding.code != Code::AnnotationsNotReplicated);
    let messages = findings.map(|finding| finding.message.as_str());
    let parts = messages.flat_map(|message| message.split(", `").flat_map(|part| part.split(" `")));
    let actions = parts.filter(|part| !part.contains("an S3 Bucket Key"));
    let actions = actions.filter_map(|part| part.trim_start_matches('`').split('`').next());
    actions.filter(|action| action.starts_with("s3:") || action.starts_with("kms:")).collect()
}

#[tokio::test]
async fn public_walkthroughs_are_diagnosed_with_their_faults() {
    let mut found = Table::default();
    for (name, policy) in folder("local/walkthroughs") {
        let mut state = setup(&policy, None, [false, false]).await;
        if name == "s3-crr-with-kms-encryption" {
            // Its rule is of the first version.
            for element in ["DeleteMarkerReplication", "Priority", "Metrics"] {
                state.remove_element("demo-source", element);
            }
            state.edit_replication("demo-source", "<Filter/>", "<Prefix></Prefix>");
        }
        let diagnosis = diagnosed(state, &Access::Own).await;
        assert_eq!(diagnosis.verdict, Some(Verdict::Fails), "{}", diagnosis.text);
        found.add(&name, &findings(&diagnosis));
    }
    insta::assert_snapshot!(found.text());
}

#[tokio::test]
async fn peers_are_diagnosed_with_their_faults() {
    let peers = folder("peers");
    assert!(peers.len() >= 8);
    let mut found = Table::default();
    for (name, text) in peers {
        let peer: Value = serde_json::from_str(&text).unwrap();
        let bucket_keys = ["Source", "Destination"].map(|side| peer["BucketKeys"][side] == true);
        let (policy, trust) = (peer["RolePolicy"].to_string(), peer["TrustPolicy"].to_string());
        let state = setup(&policy, Some(&trust), bucket_keys).await;
        let diagnosis = diagnosed(state, &Access::Own).await;
        assert_ne!(diagnosis.verdict, Some(Verdict::Works), "{name}: {}", diagnosis.text);
        let denied = peer["Denied"].as_array().unwrap().iter().map(|call| call.as_str().unwrap());
        let denied: BTreeSet<&str> = denied
            .map(|call| call.split(' ').next().unwrap())
            .filter(|it| *it != "sts:AssumeRole")
            .collect();
        assert_eq!(denied_actions(&diagnosis), denied, "{name}: {}", diagnosis.text);
        found.add(&name, &findings(&diagnosis));
    }
    insta::assert_snapshot!(found.text());
}
