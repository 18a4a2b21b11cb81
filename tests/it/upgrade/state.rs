//! What AWS holds after a release had configured buckets, as a file: state_0_1_0.json. The code of 0.1.0 has written it.

use std::collections::BTreeMap;

use s3_kms_replication::model::{
    Alarm, Encryption, RecordedRequest, Region, Role, RoleName, Versioning,
};
use serde_json::Value;

use crate::support::*;

const STATE_0_1_0: &str = include_str!("state_0_1_0.json");

/// The state, with the generations that the table remembers.
pub fn state_0_1_0() -> Fake {
    let file: Value = serde_json::from_str(STATE_0_1_0).unwrap();
    let mut state = State::default();
    for (name, bucket) in object(&file["Buckets"]) {
        state.buckets.insert(name, read_bucket(&bucket));
    }
    for (name, role) in object(&file["Roles"]) {
        state.roles.insert(name, read_role(&role));
    }
    for (name, alarm) in object(&file["Alarms"]) {
        state.alarms.insert(name, read_alarm(&alarm));
    }
    for (name, arn) in texts(&file["Keys"]) {
        state.keys.insert(name, key(&arn));
    }
    state.policies = texts(&file["Policies"]);
    let fake = Fake::new(state);
    for (name, generation) in object(&file["Generations"]) {
        let record = RecordedRequest { generation: generation.as_u64().unwrap(), outcome: None };
        fake.generations.borrow_mut().insert(name, record);
    }
    fake
}

fn read_bucket(bucket: &Value) -> Bucket {
    let region = ["us-east-1", "us-west-2"].into_iter().find(|region| bucket["Region"] == *region);
    let versioning = match bucket["Versioned"].as_bool().unwrap() {
        true => Versioning::Enabled,
        false => Versioning::Off,
    };
    Bucket {
        versioning,
        encryption: match bucket["Key"].as_str() {
            Some(key) => Encryption::Kms {
                key: Some(key.to_owned()),
                bucket_key: bucket["BucketKey"].as_bool().unwrap(),
                dual_layer: false,
            },
            None => Encryption::S3,
        },
        object_lock: bucket["ObjectLock"].as_bool().unwrap(),
        replication: bucket["Replication"].as_str().map(parse_configuration),
        tags: texts(&bucket["Tags"]),
        public_access_blocked: bucket["PublicAccessBlocked"].as_bool().unwrap(),
        ..Bucket::new(region.unwrap()).owned_by(bucket["Owner"].as_str().unwrap())
    }
}

fn read_role(role: &Value) -> Role {
    let arn = role["Arn"].as_str().unwrap();
    Role {
        name: RoleName::from_arn(arn).unwrap(),
        arn: arn.to_owned(),
        trust: role["Trust"].as_str().unwrap().to_owned(),
        boundary: None,
        tags: texts(&role["Tags"]),
        policies: texts(&role["Policies"]),
        attached: Vec::new(),
    }
}

fn read_alarm(alarm: &Value) -> Alarm {
    let text = |name: &str| alarm[name].as_str().unwrap().to_owned();
    let number = |name: &str| i32::try_from(alarm[name].as_i64().unwrap()).unwrap();
    Alarm {
        name: text("Name"),
        region: Region::parse(&text("Region")).unwrap(),
        namespace: text("Namespace"),
        metric: text("Metric"),
        dimensions: texts(&alarm["Dimensions"]),
        statistic: text("Statistic"),
        period: number("Period"),
        periods: number("Periods"),
        comparison: text("Comparison"),
        threshold: alarm["Threshold"].as_f64().unwrap(),
        missing_data: text("MissingData"),
        actions: vec![text("Action")],
        actions_enabled: true,
    }
}

fn object(value: &Value) -> BTreeMap<String, Value> {
    value.as_object().unwrap().clone().into_iter().collect()
}

fn texts(value: &Value) -> BTreeMap<String, String> {
    object(value).into_iter().map(|(key, text)| (key, text.as_str().unwrap().to_owned())).collect()
}
