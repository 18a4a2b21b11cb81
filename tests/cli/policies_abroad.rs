//! The policies of another account, when the read before a write says something else than the read before the plan.

use crate::account::{Account, KEY_ABROAD};

const BUCKET_POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"TlsOnly","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::abroad/*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}"#;
const KEY_POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Root","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:root"},"Action":"kms:*","Resource":"*"}]}"#;

/// Applies a rule to the other account's bucket, where every read of the policy of `target` but the first gets this answer.
fn apply_with(target: &'static str, status: u16, body: &str) -> (Account, i32, String) {
    let account = Account::new();
    {
        let mut state = account.state();
        state.policies.insert("abroad".to_owned(), BUCKET_POLICY.to_owned());
        state.policies.insert("key".to_owned(), KEY_POLICY.to_owned());
        state.later_policy_answer = Some((target, status, body.to_owned()));
    }
    let (code, said) = account.run(&format!(
        "apply --source-bucket orders --destination-bucket abroad --replica-kms-key-arn {KEY_ABROAD} --yes \
         --destination-role-arn arn:aws:iam::444455556666:role/setup"
    ));
    (account, code, said)
}

#[test]
fn statements_of_others_stay_when_a_later_read_says_that_there_are_none() {
    let html = "<html><body>proxy</body></html>";
    for (target, write, policy) in
        [("abroad", "PUT /abroad/?policy", BUCKET_POLICY), ("key", "PutKeyPolicy", KEY_POLICY)]
    {
        for (status, body) in
            [(404, ""), (404, html), (200, html), (200, ""), (204, ""), (200, "{}")]
        {
            let (account, code, said) = apply_with(target, status, body);
            let case = format!("{target}, {status} {body}: {said}");
            assert_ne!(code, 0, "{case}");
            assert_eq!(account.count(write), 0, "{case}");
            assert_eq!(account.state().policies[target], policy, "{case}");
            // The rule comes last, so objects are not replicated without the statement.
            assert_eq!(account.count("PUT /orders/?replication"), 0, "{case}");
        }
    }
}

#[test]
fn statement_is_added_to_those_of_others_when_both_reads_agree() {
    let (account, code, said) = apply_with("nothing", 200, "");
    assert_eq!(code, 0, "{said}");
    for (target, theirs) in [("abroad", "TlsOnly"), ("key", "Root")] {
        let policy = account.state().policies[target].clone();
        assert!(policy.contains(theirs) && policy.contains("S3KmsReplication"), "{policy}");
    }
}
