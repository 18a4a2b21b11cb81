//! The JSON Schema of the policy document, for editors: generated from the types that the document is read into, and held against what the
//! reader accepts.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::*;
use crate::spec::Properties;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/replication-policy.schema.json");

/// Which new buckets are replicated, and how: every rule that matches a bucket applies to it.
#[derive(JsonSchema)]
#[schemars(rename_all = "PascalCase")]
#[expect(dead_code, reason = "the schema is made from its fields")]
struct ReplicationPolicy {
    /// The rules.
    rules: Vec<Rule>,
}

/// Which buckets a rule is for, and the replication that they get.
#[derive(JsonSchema)]
#[schemars(rename_all = "PascalCase")]
#[expect(dead_code, reason = "the schema is made from its fields")]
struct Rule {
    /// Name of the rule, unlike any other's here: the replication rule is called `s3-kms-replication.<name>`.
    name: String,
    /// Which buckets are meant: those that match all that is given.
    r#match: Match,
    #[schemars(flatten)]
    properties: Properties,
}

/// Which buckets are meant: those that match all that is given; names or tags are required.
#[derive(JsonSchema)]
#[schemars(rename_all = "PascalCase")]
#[expect(dead_code, reason = "the schema is made from its fields")]
struct Match {
    /// Patterns of bucket names, one of which must match: `*` stands for any characters, `?` for one.
    bucket_names: Option<Vec<String>>,
    /// Patterns of bucket names, none of which may match.
    exclude_bucket_names: Option<Vec<String>>,
    /// Tags that the bucket must have.
    bucket_tags: Option<BTreeMap<String, String>>,
}

fn schema() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema =
        settings.into_generator().into_root_schema_for::<ReplicationPolicy>().to_value();
    narrow(&mut schema);
    let rule = &mut schema["properties"]["Rules"]["items"];
    // A policy rule has no `SourceBucket`: the source is the bucket that matches.
    rule["properties"].as_object_mut().unwrap().remove("SourceBucket");
    let region = &mut rule["properties"]["DestinationRegion"];
    region.as_object_mut().unwrap().remove("type");
    region["anyOf"] = json!([
        {"type": "string"},
        {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}},
    ]);
    rule["required"] = json!(["Name", "Match", "DestinationBucket", "ReplicaKmsKeyArn"]);
    rule["properties"]["Match"]["anyOf"] =
        json!([{"required": ["BucketNames"]}, {"required": ["BucketTags"]}]);
    schema
}

/// Removes `null` from the types and forbids unknown names: the reader accepts `null`, but editors should not offer it.
fn narrow(schema: &mut Value) {
    if let Some(kinds) = schema["type"].as_array() {
        schema["type"] = kinds.iter().find(|kind| *kind != "null").unwrap().clone();
    }
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(narrow);
        schema["additionalProperties"] = json!(false);
    }
    if let Some(items) = schema.get_mut("items") {
        narrow(items);
    }
}

#[test]
fn the_committed_schema_is_that_of_the_types() {
    let generated = format!("{:#}\n", schema());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(FILE, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(committed == generated, "`make schema` writes replication-policy.schema.json anew");
}

#[test]
fn the_schema_has_the_names_that_the_reader_accepts() {
    let allowed = |rule: Value| {
        let refusal = Policy::parse(&json!({"Rules": [rule]}).to_string()).unwrap_err().to_string();
        let (_, names) = refusal.split_once("allowed are ").unwrap();
        names.split(", ").map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let offered = |schema: &Value| {
        schema["properties"].as_object().unwrap().keys().cloned().collect::<BTreeSet<String>>()
    };
    let schema = schema();
    let rule = &schema["properties"]["Rules"]["items"];
    let everything = json!({"BucketNames": ["*"]});
    let mut accepted = allowed(json!({"Name": "dr", "Match": everything, "Unknown": 1}));
    assert!(accepted.remove("SourceBucket"));
    assert_eq!(offered(rule), accepted);
    assert_eq!(
        offered(&rule["properties"]["Match"]),
        allowed(json!({"Name": "dr", "Match": {"Unknown": 1}}))
    );
}
