//! What AWS replaces as a whole and others write, too: replication configurations, and policies of other accounts.

use insta::assert_snapshot;
use s3_kms_replication::model::{Access, ResourcePolicyTarget, Retry, RuleId};
use s3_kms_replication::plan::Action;
use s3_kms_replication::request::Invocation;
use serde_json::{Value, json};

use super::*;

/// STS's answer to `AssumeRole`, whose session ends in a year to come.
const SESSION: &str = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId>\
    <SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>\
    </Credentials></AssumeRoleResult></AssumeRoleResponse>";

#[tokio::test]
async fn statements_are_written_with_credentials_that_are_assumed_once() {
    let command = merged(sample("command-apply"), other_account_properties());
    let actions = planned(two_accounts(), &command).await;
    let theirs = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Theirs","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}]}"#;
    let of_key = json!({"Policy": theirs, "PolicyName": "default"}).to_string();
    let (aws, replay) = aws(&[ok(SESSION), ok(theirs), ok(""), ok(&of_key), ok("{}")]);
    for action in actions.iter().filter(|action| matches!(action, Action::PutStatement { .. })) {
        aws.execute(action).await.unwrap();
    }
    let tokens =
        replay.actual_requests().map(|request| request.headers().get("x-amz-security-token"));
    assert_eq!(
        tokens.collect::<Vec<_>>(),
        [None, Some("session"), Some("session"), Some("session"), Some("session")]
    );
    assert_snapshot!(sent(&replay));
}

#[tokio::test]
async fn removing_the_last_statement_deletes_the_policy_and_a_missing_policy_needs_no_write() {
    let location = at("demo-destination", "us-west-2");
    let statement =
        r#"{"Sid":"Ours","Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}"#;
    let remove = Action::RemoveStatement {
        target: ResourcePolicyTarget::Bucket(location),
        sid: "Ours".to_owned(),
        before: statement.to_owned(),
    };
    let ours = &format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
    let (deletes, replay) = aws(&[ok(ours), (204, None, "")]);
    deletes.execute(&remove).await.unwrap();
    let methods: Vec<String> =
        replay.actual_requests().map(|request| request.method().to_owned()).collect();
    assert_eq!(methods, ["GET", "DELETE"]);
    for (status, code) in [(404, "NoSuchBucketPolicy"), (404, "NoSuchBucket")] {
        let (nothing, replay) =
            aws(&[(status, None, &format!("<Error><Code>{code}</Code></Error>"))]);
        nothing.execute(&remove).await.unwrap();
        assert_eq!(replay.actual_requests().count(), 1);
    }
}

#[tokio::test]
async fn denied_assume_role_names_the_parameter_that_gives_the_right() {
    let denied = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized</Message></Error></ErrorResponse>";
    let (aws, _) = aws(&[(403, None, denied)]);
    let command = merged(sample("command-apply"), other_account_properties());
    let Invocation::Command(request::Command::Apply(spec)) =
        request::read(&command, request_environment()).unwrap()
    else {
        panic!("no Apply")
    };
    let failure = aws
        .bucket_region(
            &spec.destination,
            &spec.destination_region,
            spec.destination_account.as_ref().unwrap(),
            &spec.destination_access,
        )
        .await
        .unwrap_err();
    assert_snapshot!(failure, @"AssumeRole on role `arn:aws:iam::444455556666:role/replication-setup`: AccessDenied: not authorized; the role's trust policy must allow the caller to assume it; the template's parameter `DestinationRoleArns` gives this right");
}

#[tokio::test]
async fn invariant_2_foreign_rules_are_sent_back_as_s3_returned_them() {
    let foreign = "<ReplicationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Role>arn:aws:iam::111122223333:role/theirs</Role>\
        <Rule><ID>a</ID><Priority>3</Priority><Filter><And><Prefix>p</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter>\
        <Status>Disabled</Status><SourceSelectionCriteria><SseKmsEncryptedObjects><Status>Enabled</Status></SseKmsEncryptedObjects>\
        <ReplicaModifications><Status>Enabled</Status></ReplicaModifications></SourceSelectionCriteria><ExistingObjectReplication>\
        <Status>Enabled</Status></ExistingObjectReplication><Destination><Bucket>arn:aws:s3:::their-copy</Bucket><Account>444455556666</Account>\
        <StorageClass>GLACIER</StorageClass><AccessControlTranslation><Owner>Destination</Owner></AccessControlTranslation>\
        <EncryptionConfiguration><ReplicaKmsKeyID>arn:aws:kms:us-west-2:444455556666:key/theirs</ReplicaKmsKeyID></EncryptionConfiguration><ReplicationTime><Status>Enabled</Status>\
        <Time><Minutes>15</Minutes></Time></ReplicationTime><Metrics><Status>Enabled</Status><EventThreshold><Minutes>15</Minutes>\
        </EventThreshold></Metrics></Destination><DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication></Rule>\
        </ReplicationConfiguration>";
    let source = at("demo-source", "us-east-1");
    let (aws, replay) = aws(&[ok(foreign), ok("")]);
    let configuration = aws.replication(&source).await.unwrap().unwrap();
    aws.execute(&Action::PutReplication {
        location: source,
        before: None,
        configuration,
        rule: RuleId::named("x").unwrap(),
    })
    .await
    .unwrap();
    let put = replay.actual_requests().last().unwrap();
    let elements = |xml: &str| {
        let mut elements: Vec<String> = xml.split_inclusive('>').map(str::to_owned).collect();
        elements.sort();
        elements
    };
    assert_eq!(
        elements(std::str::from_utf8(put.body().bytes().unwrap()).unwrap()),
        elements(foreign)
    );
}

#[tokio::test(start_paused = true)]
async fn invariant_6_configuration_is_sent_once_and_retried_by_the_engine_after_a_read() {
    let xml = |rules: &[&str]| {
        let rule = |(priority, id): (usize, &&str)| {
            format!(
                "<Rule><ID>{id}</ID><Priority>{priority}</Priority><Filter><Prefix>x</Prefix></Filter><Status>Enabled</Status>\
                 <Destination><Bucket>arn:aws:s3:::copy</Bucket></Destination>\
                 <DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication></Rule>"
            )
        };
        let rules: String = rules.iter().enumerate().map(rule).collect();
        format!(
            "<ReplicationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Role>arn:aws:iam::111122223333:role/x</Role>{rules}</ReplicationConfiguration>"
        )
    };
    let with_other_role = |text: &str| text.replace("role/x", "role/y");
    let ours = "s3-kms-replication.dr";
    let (before, written) = (xml(&["theirs"]), xml(&["theirs", ours]));
    let source = at("demo-source", "us-east-1");
    let read = async |text: &str| aws(&[ok(text)]).0.replication(&source).await.unwrap();
    let (was, configuration, rule) =
        (read(&before).await, read(&written).await.unwrap(), RuleId::named("dr").unwrap());
    let put = Action::PutReplication {
        location: source.clone(),
        before: was.clone(),
        configuration: configuration.clone(),
        rule: rule.clone(),
    };
    let was = was.unwrap();
    let take_out = Action::PutReplication {
        location: source.clone(),
        before: Some(configuration.clone()),
        configuration: was,
        rule: rule.clone(),
    };
    let role_only = read(&with_other_role(&written)).await.unwrap();
    let role_only = Action::PutReplication {
        location: source.clone(),
        before: Some(configuration),
        configuration: role_only,
        rule: rule.clone(),
    };
    let remove = Action::DeleteReplication {
        location: source.clone(),
        before: read(&xml(&[ours])).await.unwrap(),
        rule,
    };
    let aborted = (409, None, "<Error><Code>OperationAborted</Code></Error>");
    let slow_down = (503, None, "<Error><Code>SlowDown</Code></Error>");
    let unknown = (500, None, "");
    for (action, answer, retry, method) in [
        (&put, ok(""), None, "PUT"),
        (&put, slow_down, Some(Retry::Soon), "PUT"),
        (&put, unknown, Some(Retry::Soon), "PUT"),
        (&put, aborted, Some(Retry::Soon), "PUT"),
        (&take_out, slow_down, Some(Retry::Soon), "PUT"),
        (&role_only, slow_down, Some(Retry::Soon), "PUT"),
        (&remove, slow_down, Some(Retry::Soon), "DELETE"),
        (&remove, ok(""), None, "DELETE"),
    ] {
        // The SDK would send it again by itself.
        let (aws, replay) = aws_at(None, RetryConfig::standard(), &[answer, ok("")]);
        let result = aws.execute(action).await;
        let sent: Vec<String> =
            replay.actual_requests().map(|request| request.method().to_owned()).collect();
        assert_eq!(sent.join(" "), method, "{result:?}");
        assert_eq!(result.err().map(|failure| failure.retry), retry);
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_6_resource_policy_is_read_again_before_a_retry() {
    let location = at("demo-destination", "us-west-2");
    let key = ResourcePolicyTarget::Key {
        arn: REPLICA_KEY.to_owned(),
        region: location.region.clone(),
        access: Access::Own,
    };
    let policy = |sids: &[&str]| {
        let statements: Vec<Value> =
            sids.iter().map(|sid| json!({"Sid": sid, "Effect": "Deny"})).collect();
        json!({"Version": "2012-10-17", "Statement": statements}).to_string()
    };
    let of_key = |policy: &str| json!({"Policy": policy}).to_string();
    let (before, meanwhile, after) =
        (policy(&["Ours", "a"]), policy(&["Ours", "a", "b"]), policy(&["a", "b"]));
    for (target, before, meanwhile) in [
        (ResourcePolicyTarget::Bucket(location), before.clone(), meanwhile.clone()),
        (key, of_key(&before), of_key(&meanwhile)),
    ] {
        let ours = json!({"Sid": "Ours", "Effect": "Deny"}).to_string();
        let remove = Action::RemoveStatement { target, sid: "Ours".to_owned(), before: ours };
        let (aws, replay) = aws_at(
            None,
            RetryConfig::standard(),
            &[ok(&before), (500, None, ""), ok(&meanwhile), ok("{}")],
        );
        assert_eq!(
            aws.execute(&remove).await.unwrap_err().retry,
            Retry::Soon,
            "the engine tries again"
        );
        aws.execute(&remove).await.unwrap();
        let last = replay.actual_requests().last().unwrap();
        let sent: Value = serde_json::from_slice(last.body().bytes().unwrap()).unwrap();
        let sent = sent
            .get("Policy")
            .and_then(Value::as_str)
            .map_or_else(|| sent.to_string(), str::to_owned);
        assert_eq!((replay.actual_requests().count(), sent), (4, after.clone()));
    }
}
