use super::*;

fn properties() -> Properties {
    Properties {
        source_bucket: Some("demo-source".to_owned()),
        destination_bucket: Some("arn:aws:s3:::demo-destination".to_owned()),
        replica_kms_key_arn: Some("arn:aws:kms:us-west-2:111122223333:alias/dr".to_owned()),
        ..Properties::default()
    }
}

fn new_spec(properties: &Properties) -> Result<Spec, Invalid> {
    Spec::new(RuleId::named("demo").unwrap(), properties)
}

#[test]
fn a_spec_without_optional_properties_has_the_documented_defaults() {
    let spec = new_spec(&properties()).unwrap();
    assert_eq!(spec.destination_region.as_str(), "us-west-2", "the replica key's Region");
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
fn replication_time_control_turns_metrics_on() {
    let has_metrics = |time_control| {
        let properties = Properties {
            replication_time_control: Some(time_control),
            metrics: Some(false),
            ..properties()
        };
        new_spec(&properties).unwrap().metrics
    };
    assert_eq!([true, false].map(has_metrics), [true, false]);
}

#[test]
fn a_prefix_has_at_most_1024_characters() {
    let is_accepted =
        |length| new_spec(&Properties { prefix: Some("é".repeat(length)), ..properties() }).is_ok();
    assert_eq!([0, 1_024, 1_025].map(is_accepted), [true, true, false]);
}

#[test]
fn a_filter_has_at_most_10_tags() {
    let is_accepted = |count: usize| {
        let tags = (0..count).map(|index| (index.to_string(), String::new())).collect();
        new_spec(&Properties { tags: Some(tags), ..properties() }).is_ok()
    };
    assert_eq!([10, 11].map(is_accepted), [true, false]);
}

#[test]
fn a_tag_has_a_key_of_1_to_128_and_a_value_of_0_to_256_characters() {
    let is_accepted = |(key, value): (usize, usize)| {
        let tags = BTreeMap::from([("é".repeat(key), "é".repeat(value))]);
        new_spec(&Properties { tags: Some(tags), ..properties() }).is_ok()
    };
    assert_eq!([(0, 1), (1, 0)].map(is_accepted), [false, true]);
    assert_eq!([(128, 1), (129, 1)].map(is_accepted), [true, false]);
    assert_eq!([(1, 256), (1, 257), (1, 300)].map(is_accepted), [true, false, false]);
}

#[test]
fn an_external_id_has_2_to_1224_characters() {
    let is_accepted = |length| {
        let properties = Properties {
            destination_role_arn: Some("arn:aws:iam::444455556666:role/setup".to_owned()),
            destination_role_external_id: Some("x".repeat(length)),
            ..properties()
        };
        new_spec(&properties).is_ok()
    };
    assert_eq!([1, 2, 1_224, 1_225].map(is_accepted), [false, true, true, false]);
}

#[test]
fn a_priority_is_between_0_and_the_highest_32_bit_integer() {
    let is_accepted =
        |priority| new_spec(&Properties { priority: Some(priority), ..properties() }).is_ok();
    let highest = i64::from(i32::MAX);
    assert_eq!([-1, 0, highest, highest + 1].map(is_accepted), [false, true, true, false]);
}
