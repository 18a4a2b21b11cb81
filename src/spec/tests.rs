use super::*;

fn properties() -> Properties {
    Properties {
        source_bucket: Some("demo-source".to_owned()),
        destination_bucket: Some("arn:aws:s3:::demo-destination".to_owned()),
        replica_kms_key_arn: Some("arn:aws:kms:us-west-2:111122223333:alias/dr".to_owned()),
        ..Properties::default()
    }
}

fn spec(properties: &Properties) -> Spec {
    Spec::new(RuleId::named("demo").unwrap(), properties).unwrap()
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let spec = spec(&properties());
    assert_eq!(
        spec.destination_region.as_str(),
        "us-west-2",
        "the key's Region is the destination's"
    );
    assert_eq!(spec.source_keys, SourceKeys::BucketDefault);
    assert_eq!(spec.filter, Filter::default());
    assert_eq!(
        (spec.priority, spec.storage_class, spec.existing_role),
        (None, None, ExistingRole::Refuse)
    );
    assert!(spec.metrics);
    let off = [
        spec.delete_marker_replication,
        spec.replica_modifications,
        spec.replication_time_control,
        spec.create_destination_bucket,
        spec.dry_run,
    ];
    assert_eq!(off, [false; 5]);
}

#[test]
fn replication_time_control_has_its_metrics_always_on() {
    let with = |time_control, metrics| {
        spec(&Properties {
            replication_time_control: Some(time_control),
            metrics: Some(metrics),
            ..properties()
        })
        .metrics
    };
    assert_eq!((with(true, false), with(false, false)), (true, false));
}

#[test]
fn the_limits_are_accepted_and_one_more_is_not() {
    let prefix = |length| {
        Spec::new(
            RuleId::named("demo").unwrap(),
            &Properties { prefix: Some("é".repeat(length)), ..properties() },
        )
    };
    assert!(prefix(1_024).is_ok() && prefix(1_025).is_err());
    let tags = |count: usize| (0..count).map(|index| (index.to_string(), String::new())).collect();
    let tags = |count| {
        Spec::new(
            RuleId::named("demo").unwrap(),
            &Properties { tags: Some(tags(count)), ..properties() },
        )
    };
    assert!(tags(10).is_ok() && tags(11).is_err());
    let tag = |key: usize, value: usize| {
        let tags = BTreeMap::from([("é".repeat(key), "é".repeat(value))]);
        Spec::new(RuleId::named("demo").unwrap(), &Properties { tags: Some(tags), ..properties() })
    };
    assert!(tag(0, 1).is_err() && tag(1, 0).is_ok());
    assert!(tag(128, 1).is_ok() && tag(129, 1).is_err());
    assert!(tag(1, 256).is_ok() && tag(1, 257).is_err() && tag(1, 300).is_err());
    let external_id = |length| {
        let role = Some("arn:aws:iam::444455556666:role/setup".to_owned());
        let external_id = Some("x".repeat(length));
        let properties = Properties {
            destination_role_arn: role,
            destination_role_external_id: external_id,
            ..properties()
        };
        Spec::new(RuleId::named("demo").unwrap(), &properties)
    };
    assert!(
        external_id(1).is_err()
            && external_id(2).is_ok()
            && external_id(1_224).is_ok()
            && external_id(1_225).is_err()
    );
    let priority = |value| {
        Spec::new(
            RuleId::named("demo").unwrap(),
            &Properties { priority: Some(value), ..properties() },
        )
    };
    assert!(
        priority(0).is_ok()
            && priority(i64::from(i32::MAX)).is_ok()
            && priority(i64::from(i32::MAX) + 1).is_err()
    );
}
