//! Faults of the encryption context under which the role may use a key: the bucket's ARN with an S3 Bucket Key, else the object's.

use super::*;

/// Leaves only one form of the ARN in the encryption context for a bucket.
fn only_form(state: &mut State, bucket: &str, form: &str) {
    let both = format!(r#"["arn:aws:s3:::{bucket}","arn:aws:s3:::{bucket}/*"]"#);
    edit_policy(state, &both, &format!(r#""arn:aws:s3:::{bucket}{form}""#));
}

const BUCKET: &str = "";
const OBJECT: &str = "/*";

pub fn faults() -> Vec<Case> {
    vec![
        fails("encryption context of the source has the object form only, with a Bucket Key", |state| {
            bucket_key(state, "demo-source", SOURCE_KEY);
            state.bucket_mut("demo-source").samples.clear();
            only_form(state, "demo-source", OBJECT);
        })
        .finding(EncryptionContextNotGranted, FailsNow),
        fails("encryption context of the source has the bucket form only", |state| {
            only_form(state, "demo-source", BUCKET);
        })
        .finding(EncryptionContextNotGranted, FailsNow),
        works("encryption context of the source has the object form only", |state| {
            only_form(state, "demo-source", OBJECT);
        })
        .finding(EncryptionContextNotGranted, WillFail),
        fails(
            "encryption context of the source has the object form only, and an object has a Bucket Key",
            |state| {
                only_form(state, "demo-source", OBJECT);
                sample(state, SampledObject { bucket_key: true, ..pending() });
            },
        )
        .finding(EncryptionContextNotGranted, FailsForSome),
        fails(
            "encryption context of the destination has the object form only, with a Bucket Key",
            |state| {
                bucket_key(state, "demo-destination", REPLICA_KEY);
                only_form(state, "demo-destination", OBJECT);
            },
        )
        .finding(EncryptionContextNotGranted, FailsNow),
    ]
}
