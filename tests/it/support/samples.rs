//! Sample payloads: those of `events/`, and changed ones.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde_json::{Value, json};

use super::{OTHER_ACCOUNT_KEY, now};

/// The sample event of that name.
pub fn sample(name: &str) -> Value {
    let file = format!("{}/events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// An object with the members of another, which take precedence.
pub fn merged(mut object: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("{more} is no object") };
    object.as_object_mut().unwrap().extend(more);
    object
}

/// The custom resource's request of the walk-through, with some properties changed or, when `null`, not given.
pub fn custom_resource(request_type: &str, changes: Value) -> Value {
    let mut request = sample(&format!("cloudformation-{}", request_type.to_lowercase()));
    request["ResourceProperties"] = merged(request["ResourceProperties"].take(), changes);
    request
}

/// The request with the time at which CloudFormation signed it. A date of the past has passed every `ServiceTimeout`, so it has none.
pub fn signed(mut request: Value, date: &str) -> Value {
    request["ResourceProperties"].as_object_mut().unwrap().remove("ServiceTimeout");
    let url = format!("{}&X-Amz-Date={date}", request["ResponseURL"].as_str().unwrap());
    request["ResponseURL"] = json!(url);
    request
}

/// The properties of a destination in the other account, with a role to assume there.
pub fn other_account_properties() -> Value {
    json!({
        "DestinationBucket": "abroad",
        "ReplicaKmsKeyArn": OTHER_ACCOUNT_KEY,
        "DestinationRoleArn": "arn:aws:iam::444455556666:role/replication-setup",
        "DestinationRoleExternalId": "ours",
    })
}

/// The properties that ask for a job for existing objects.
pub fn job_properties() -> Value {
    json!({"ReplicateExistingObjects": "true", "ReportBucket": "reports", "ReportPrefix": "crr/"})
}

/// The event by which S3 reports the status of a job.
pub fn job_status_changed(id: &str, status: &str) -> Value {
    let mut event = sample("job-status-changed");
    event["detail"]["serviceEventDetails"]["jobId"] = json!(id);
    event["detail"]["serviceEventDetails"]["status"] = json!(status);
    event
}

/// The event that bucket `demo-source` was deleted.
pub fn deleted_demo_source() -> Value {
    let mut event = sample("create-bucket");
    event["detail"]["eventName"] = json!("DeleteBucket");
    event["detail"]["requestParameters"]["bucketName"] = json!("demo-source");
    event
}

/// The Create of the walk-through with `Verify`, signed that many seconds ago.
pub fn create_verified(seconds_ago: u64, changes: Value) -> Value {
    let signed_at = DateTime::from_secs(i64::try_from(now() - seconds_ago).unwrap());
    let date = signed_at.fmt(Format::DateTime).unwrap().replace(['-', ':'], "");
    let common = json!({"Verify": "true", "ServiceTimeout": null});
    let timeout = json!({"ServiceTimeout": changes.get("ServiceTimeout")});
    let mut request = signed(custom_resource("Create", merged(common, changes)), &date);
    request["ResourceProperties"] = merged(request["ResourceProperties"].take(), timeout);
    request
}
