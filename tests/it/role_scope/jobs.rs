//! A bucket that the role of all buckets serves gets no job.

use super::*;

#[tokio::test(start_paused = true)]
async fn replay_of_a_bucket_with_the_role_of_all_buckets_is_refused_without_writes() {
    let fake = Fake::new(buckets().with_bucket("reports", Bucket::new("us-east-1")));
    invoke_with(&fake, &created("prod-bills"), &policy_scope()).await.unwrap();
    fake.clear();
    let replay = json!({"Action": "Replay", "SourceBucket": "prod-bills", "Name": "dr", "ReportBucket": "reports"});
    let refused = invoke_with(&fake, &replay, &policy_scope()).await.unwrap_err().to_string();
    assert!(refused.contains("`RoleScope` Policy), which gets no job"), "{refused}");
    assert_eq!(fake.writes().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn catch_up_of_a_bucket_with_the_role_of_all_buckets_tells_what_gives_it_a_job() {
    let fake = Fake::new(buckets());
    invoke_with(&fake, &created("prod-bills"), &policy_scope()).await.unwrap();
    fake.state.borrow_mut().bucket_mut("prod-bills").objects = vec![Object::new("a", None, 5)];
    fake.clear();
    let message = json!({"Action": "CatchUp", "SourceBucket": "prod-bills", "RuleId": "s3-kms-replication.dr", "Time": now(),
        "IsNew": true, "IsSecond": false});
    let told = invoke_with(&fake, &message, &policy_scope()).await.unwrap();
    assert_eq!((&told["Unreplicated"], fake.writes().len()), (&json!(1), 0), "{told}");
    let reason = told["Reason"].as_str().unwrap();
    assert!(reason.contains("give its rule `ReplicateExistingObjects`"), "{reason}");
}
