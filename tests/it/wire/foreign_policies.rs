//! Policies of other accounts: what AWS did not say is not believed, and nothing of others is lost.

use s3_kms_replication::model::{ResourcePolicyTarget, Retry};
use s3_kms_replication::plan::{Action, Replaces};
use serde_json::json;

use super::*;

const SESSION: &str = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId>\
    <SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>\
    </Credentials></AssumeRoleResult></AssumeRoleResponse>";

/// The writes of statements that the walk-through needs in the other account: in the policy of the bucket, and in that of the key.
async fn statements_to_write() -> Vec<Action> {
    let command = merged(sample("command-apply"), other_account_properties());
    let actions = planned(two_accounts(), &command).await.into_iter();
    actions.filter(|action| matches!(action, Action::PutStatement { .. })).collect()
}

fn of_key(action: &Action) -> bool {
    matches!(action.resource_policy(), Some(ResourcePolicyTarget::Key { .. }))
}

/// The methods of the requests that were sent after the session was made, and the targets of KMS.
fn requests(replay: &StaticReplayClient) -> Vec<String> {
    let shown = replay.actual_requests().skip(1).map(|request| {
        let target = request.headers().get("x-amz-target");
        target.unwrap_or(request.method()).to_owned()
    });
    shown.collect()
}

#[tokio::test]
async fn answer_without_a_policy_is_never_taken_for_no_policy() {
    let html = "<html><body>proxy</body></html>";
    let other_error = "<Error><Code>NotFound</Code></Error>";
    let answers: Vec<Answer<'_>> = vec![
        (404, None, ""),
        (404, None, html),
        (404, None, other_error),
        (200, None, html),
        (200, None, ""),
        (204, None, ""),
        (200, None, "{}"),
        (200, None, "null"),
        (200, None, r#"{"Policy": null}"#),
        (200, None, r#"{"Policy": ""}"#),
        (200, None, r#"{"Policy": "{}"}"#),
        (200, None, r#"{"Policy": "{\"Version\":\"2012-10-17\",\"Statement\":[]}"}"#),
    ];
    let mut points = 0;
    for action in statements_to_write().await {
        for answer in &answers {
            let (aws, replay) = aws(&[ok(SESSION), *answer, ok("{}")]);
            let failure = aws.execute(&action).await.unwrap_err();
            assert_eq!(requests(&replay).len(), 1, "{action}, {answer:?}: {failure}");
            let target = action.resource_policy().unwrap();
            let (aws, _) = super::aws(&[ok(SESSION), *answer]);
            assert!(aws.resource_policy(target).await.is_err(), "{target}, {answer:?}");
            points += 1;
        }
    }
    print_count(points, "answers without a policy");
}

#[tokio::test]
async fn policy_that_is_gone_since_the_plan_is_planned_again() {
    for action in statements_to_write().await {
        let gone = match of_key(&action) {
            true => (400, None, r#"{"__type": "NotFoundException"}"#),
            false => (404, None, "<Error><Code>NoSuchBucketPolicy</Code></Error>"),
        };
        let (aws, replay) = aws(&[ok(SESSION), gone, ok("{}")]);
        let failure = aws.execute(&action).await.unwrap_err();
        assert_eq!((failure.retry, requests(&replay).len()), (Retry::Replan, 1), "{failure}");
    }
}

#[tokio::test]
async fn statement_that_the_plan_has_not_seen_is_not_replaced() {
    for action in statements_to_write().await {
        let Action::PutStatement { statement, .. } = &action else { panic!("{action}") };
        let theirs = json!({"Sid": statement.sid(), "Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"});
        let root = json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:root"}, "Action": "kms:*", "Resource": "*"});
        let policy = json!({"Version": "2012-10-17", "Statement": [root, theirs]}).to_string();
        let text = if of_key(&action) { json!({"Policy": policy}).to_string() } else { policy };
        let (aws, replay) = aws(&[ok(SESSION), ok(&text), ok("{}")]);
        let failure = aws.execute(&action).await.unwrap_err();
        assert_eq!((failure.retry, requests(&replay).len()), (Retry::Replan, 1), "{failure}");
    }
}

#[tokio::test]
async fn key_policy_never_loses_the_statement_of_its_account() {
    let action = statements_to_write().await.into_iter().find(of_key).unwrap();
    let Action::PutStatement { target, statement, .. } = &action else { panic!("{action}") };
    let ours = statement.to_string();
    let role = r#"{"AWS":"arn:aws:iam::111122223333:role/x"}"#;
    let root = |sid: &str| {
        format!(
            r#"{{"Sid":"{sid}","Effect":"Allow","Principal":{{"AWS":"444455556666"}},"Action":"kms:*","Resource":"*"}}"#
        )
    };
    let deny = format!(
        r#"{{"Sid":"Deny","Effect":"Deny","Principal":{role},"Action":"kms:*","Resource":"*"}}"#
    );
    let remove = |before: &str| Action::RemoveStatement {
        target: target.clone(),
        sid: statement.sid().to_owned(),
        before: before.to_owned(),
    };
    let under_our_sid = root(statement.sid());
    for (action, statements) in [
        // Ours is the only one, or the one with the account's rights.
        (remove(&ours), vec![ours.clone()]),
        (remove(&under_our_sid), vec![deny.clone(), under_our_sid.clone()]),
    ] {
        let policy =
            format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","));
        let text = json!({"Policy": policy}).to_string();
        let (aws, replay) = aws(&[ok(SESSION), ok(&text), ok("{}")]);
        let failure = aws.execute(&action).await.unwrap_err();
        assert_eq!((failure.retry, requests(&replay).len()), (Retry::Never, 1), "{failure}");
    }
    let Replaces::ResourcePolicy(write) = action.replaces() else { panic!("{action}") };
    let policy = format!(r#"{{"Version":"2012-10-17","Statement":[{deny},{}]}}"#, root("Root"));
    let written = write.replace(Some(&policy)).unwrap().to_string();
    assert!(written.contains(&deny) && written.contains(&root("Root")), "{written}");
}
