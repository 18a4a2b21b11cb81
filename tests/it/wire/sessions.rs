//! Sessions of assumed roles that AWS stops accepting.

use s3_kms_replication::model::ResourcePolicyTarget;

use super::*;

fn session(token: &str) -> String {
    format!(
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )
}

fn tokens(replay: &StaticReplayClient) -> Vec<String> {
    let token = |request: &aws_smithy_runtime_api::client::orchestrator::HttpRequest| {
        request.headers().get("x-amz-security-token").unwrap_or("own").to_owned()
    };
    replay.actual_requests().map(token).collect()
}

/// A bucket and a key of the other account, with the role to assume there.
async fn targets() -> (BucketLocation, ResourcePolicyTarget, Action) {
    let command = merged(sample("command-apply"), other_account_properties());
    let actions = planned(two_accounts(), &command).await;
    let target = |wanted: fn(&ResourcePolicyTarget) -> bool| {
        let mut targets = actions.iter().filter_map(Action::resource_policy);
        targets.find(|target| wanted(target)).unwrap().clone()
    };
    let bucket = target(|target| matches!(target, ResourcePolicyTarget::Bucket(_)));
    let key = target(|target| matches!(target, ResourcePolicyTarget::Key { .. }));
    let ResourcePolicyTarget::Bucket(location) = bucket else { panic!("{bucket}") };
    let enable = Action::EnableVersioning { location: location.clone(), before: Versioning::Off };
    (location, key, enable)
}

#[tokio::test]
async fn session_that_is_not_valid_is_dropped_and_the_role_assumed_anew_once() {
    let (location, key, enable) = targets().await;
    let (one, two) = (session("one"), session("two"));
    let mut points = 0;
    for code in ["ExpiredToken", "InvalidToken", "InvalidAccessKeyId", "TokenRefreshRequired"] {
        let refused = format!("<Error><Code>{code}</Code></Error>");
        let invalid = (400, None, refused.as_str());
        let enabled =
            ok("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>");
        let (aws, replay) = aws(&[ok(&one), invalid, ok(&two), enabled, enabled]);
        assert_eq!(aws.versioning(&location).await, Ok(Versioning::Enabled), "{code}");
        assert_eq!(aws.versioning(&location).await, Ok(Versioning::Enabled), "{code}");
        assert_eq!(tokens(&replay), ["own", "one", "own", "two", "two"], "{code}");

        let (aws, replay) = super::aws(&[ok(&one), invalid, ok(&two), invalid, ok("")]);
        assert_eq!(aws.execute(&enable).await.unwrap_err().code, code);
        assert_eq!(tokens(&replay), ["own", "one", "own", "two"], "not more than once");
        points += 2;
    }
    let expired = (400, None, "<Error><Code>ExpiredToken</Code></Error>");
    let empty = ok("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>");
    let (aws, replay) = super::aws(&[ok(&one), expired, ok(&two), empty]);
    assert_eq!(aws.is_empty(&location).await, Ok(true));
    assert_eq!(tokens(&replay), ["own", "one", "own", "two"], "ListObjectsV2");
    for code in ["ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId"] {
        let refused = format!(r#"{{"__type": "{code}"}}"#);
        let policy = json!({"Policy": KEY_POLICY}).to_string();
        let (aws, replay) = super::aws(&[ok(&one), (400, None, &refused), ok(&two), ok(&policy)]);
        assert_eq!(aws.resource_policy(&key).await.unwrap().as_deref(), Some(KEY_POLICY));
        assert_eq!(tokens(&replay), ["own", "one", "own", "two"], "{code}");
        points += 1;
    }
    // A HEAD request is answered without a code.
    let (aws, replay) = super::aws(&[ok(&one), (400, None, ""), ok(&two), ok("")]);
    let BucketLocation { bucket, region, owner, access } = &location;
    let region = aws.bucket_region(bucket, region, owner, access).await;
    assert_eq!((region, tokens(&replay).len()), (Ok(Some(location.region.clone())), 4));
    // The caller's own credentials are not the program's to renew.
    let (aws, replay) = super::aws(&[(400, None, "<Error><Code>ExpiredToken</Code></Error>")]);
    let own = at("demo-source", "us-east-1");
    assert_eq!(aws.versioning(&own).await.unwrap_err().code, "ExpiredToken");
    assert_eq!(tokens(&replay), ["own"]);
    print_count(points + 2, "sessions that are not valid");
}
