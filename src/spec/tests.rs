//! Properties: what is accepted, and what is refused with which message.

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

#[test]
fn text_that_s3_cannot_read_as_xml_is_refused_with_its_property() {
    let tags = |key: &str, value: &str| Some(BTreeMap::from([(key.to_owned(), value.to_owned())]));
    let unreadable =
        (0..0x20).filter(|code| ![0x9, 0xa, 0xd].contains(code)).chain([0xfffe, 0xffff]);
    for character in unreadable.filter_map(char::from_u32) {
        let text = format!("a{character}b");
        for (property, properties) in [
            ("Prefix", Properties { prefix: Some(text.clone()), ..properties() }),
            ("Tags", Properties { tags: tags(&text, "x"), ..properties() }),
            ("Tags", Properties { tags: tags("x", &text), ..properties() }),
        ] {
            let refused = new_spec(&properties).unwrap_err();
            assert_eq!(refused.property, property, "{character:?}");
            let code = format!("U+{:04X}", u32::from(character));
            assert!(refused.problem.contains(&code), "{refused}");
        }
    }
    for readable in ["\t\n\r", "\u{7f}", "\u{fffd}", "😀"] {
        let properties = Properties {
            prefix: Some(readable.to_owned()),
            tags: tags(readable, readable),
            ..properties()
        };
        assert!(new_spec(&properties).is_ok(), "{readable:?}");
    }
}

#[test]
fn a_tag_of_aws_is_refused() {
    for (key, is_accepted) in
        [("aws:x", false), ("AWS:x", false), ("aws", true), ("awsome:x", true), ("x-aws:", true)]
    {
        let tags = BTreeMap::from([(key.to_owned(), String::new())]);
        let spec = new_spec(&Properties { tags: Some(tags), ..properties() });
        assert_eq!(spec.is_ok(), is_accepted, "{key}");
    }
}

#[test]
fn more_source_keys_than_a_role_can_be_granted_are_refused_and_repeated_ones_count_once() {
    let spec = |count: usize, different: usize| {
        let arn =
            |index| format!("arn:aws:kms:us-east-1:111122223333:key/{:036}", index % different);
        let keys = Some((0..count).map(arn).collect());
        new_spec(&Properties { source_kms_key_arns: keys, ..properties() })
    };
    assert!(spec(131, 131).is_ok());
    assert_eq!(
        spec(132, 132).unwrap_err().to_string(),
        "`SourceKmsKeyArns` has 132 keys; the inline policies of an IAM role hold the grants of 131 at most"
    );
    let SourceKeys::Given(keys) = spec(1_000, 2).unwrap().source_keys else { panic!() };
    assert_eq!(keys.len(), 2);
}

fn read(document: serde_json::Value) -> Result<Properties, Invalid> {
    read_properties(document.as_object().unwrap(), &[])
}

#[test]
fn properties_of_any_name_have_at_most_65536_bytes_each() {
    use serde_json::json;
    let large = "x".repeat(65_537);
    for document in [
        json!({"Prefix": large}),
        json!({"Unknown": large}),
        json!({"SourceKmsKeyArns": vec!["x".repeat(100); 700]}),
        json!({"Tags": {large.as_str(): "x"}}),
    ] {
        let refused = read(document).unwrap_err();
        assert!(refused.problem.ends_with("at most 65536 are accepted"), "{refused}");
    }
    assert!(read(json!({"Prefix": "x".repeat(65_536)})).is_ok());
}

#[test]
fn an_empty_string_and_an_empty_item_count_as_not_given_for_every_property() {
    use serde_json::{Map, Value, json};
    let refused = read(json!({"?": 1})).unwrap_err();
    let (_, names) = refused.problem.split_once("allowed are ").unwrap();
    let empty: Map<String, Value> =
        names.split(", ").map(|name| (name.to_owned(), json!(""))).collect();
    assert!(empty.len() > 20, "{names}");
    assert_eq!(read(Value::Object(empty)).unwrap(), Properties::default());
    for (given, expected) in [
        (json!(""), None),
        (json!([""]), None),
        (json!(","), None),
        (json!(" , "), None),
        (json!("a,"), Some(vec!["a"])),
        (json!("a,,b , "), Some(vec!["a", "b"])),
        (json!(["a", "", "b"]), Some(vec!["a", "b"])),
        (json!([]), Some(vec![])),
    ] {
        let read = read(json!({"SourceKmsKeyArns": given})).unwrap().source_kms_key_arns;
        assert_eq!(
            read,
            expected.map(|items| items.into_iter().map(str::to_owned).collect()),
            "{given}"
        );
    }
}
