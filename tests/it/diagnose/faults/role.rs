//! Faults of the role: its trust, its rights in the buckets, denials and its boundary.

use super::*;

/// Replaces the resource of the role's rights on the objects of a bucket.
fn objects(state: &mut State, bucket: &str, resource: &str) {
    let resource = format!(r#""Resource":"arn:aws:s3:::{resource}""#);
    edit_policy(state, &format!(r#""Resource":"arn:aws:s3:::{bucket}/*""#), &resource);
}

/// Replaces a text in the trust policy, which must have it.
fn edit_trust(state: &mut State, from: &str, to: &str) {
    let trust = &mut state.role_mut(OWN_ROLE_NAME).trust;
    assert!(trust.contains(from), "`{from}` is not in {trust}");
    *trust = trust.replace(from, to);
}

pub fn faults() -> Vec<Case> {
    vec![
        fails("role is gone", |state| drop(state.roles.remove(OWN_ROLE_NAME)))
            .finding(RoleMissing, FailsNow),
        fails("role is not trusted", |state| {
            edit_trust(state, "s3.amazonaws.com", "ec2.amazonaws.com");
        })
        .finding(RoleNotTrusted, FailsNow),
        fails("trust policy demands another account's buckets", |state| {
            let action = r#""Action":"sts:AssumeRole""#;
            let condition = json!({"StringEquals": {"aws:SourceAccount": OTHER_ACCOUNT}});
            edit_trust(state, action, &format!(r#"{action},"Condition":{condition}"#));
        })
        .finding(RoleNotTrusted, FailsNow),
        fails("role may not read object versions for replication", |state| {
            edit_policy(state, "s3:GetObjectVersionForReplication", "s3:GetObjectVersion");
        })
        .finding(ActionNotGranted, FailsNow),
        fails("source's objects are named without a slash", |state| {
            objects(state, "demo-source", "demo-source");
        })
        .finding(ActionNotGranted, FailsNow),
        fails("tags are read of the destination", |state| {
            edit_policy(state, r#""s3:GetObjectVersionTagging""#, r#""s3:GetObjectTagging""#);
            let both = r#""s3:ReplicateTags","s3:GetObjectVersionTagging""#;
            edit_policy(state, r#""s3:ReplicateTags""#, both);
        })
        .finding(ActionNotGranted, FailsForSome),
        works("role may not read annotations", |state| {
            let right = "s3:GetObjectVersionAnnotationForReplication";
            edit_policy(state, right, "s3:GetObjectVersionAnnotation");
        })
        .finding(AnnotationsNotReplicated, Note),
        fails("role may write under one prefix only", |state| {
            objects(state, "demo-destination", "demo-destination/Tax/*");
        })
        .finding(ActionNotGranted, FailsForSome),
        fails("policy of the role denies", |state| {
            let denial = document(&json!([deny(json!({"Action": "s3:Replicate*"}))]));
            state.role_mut(OWN_ROLE_NAME).policies.insert("guard".to_owned(), denial);
        })
        .finding(RolePolicyDenies, FailsNow),
        fails("boundary does not allow to read objects", |state| {
            let boundary = "arn:aws:iam::111122223333:policy/boundary";
            state.role_mut(OWN_ROLE_NAME).boundary = Some(boundary.to_owned());
            let others = json!([
                "kms:*",
                "s3:GetObjectVersionAcl",
                "s3:GetObjectVersionTagging",
                "s3:GetReplicationConfiguration",
                "s3:List*",
                "s3:Replicate*",
            ]);
            let document = document(&json!([allow(json!({"Action": others}))]));
            state.managed_policies.insert(boundary.to_owned(), document);
        })
        .finding(BoundaryDoesNotAllow, FailsNow),
    ]
}
