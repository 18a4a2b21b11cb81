//! Reads properties from JSON.
//!
//! It owns the properties' names and JSON types. It must not know the meaning of the values, which [`crate::spec`] checks.
//! CloudFormation converts every scalar to a string, so the string `"true"` is accepted as a boolean and `"15"` as an integer. Templates pass an
//! empty string for a parameter that has no value, so an empty string, and an empty item of a list, count as not given. For `Prefix` that is the
//! same: an empty prefix selects all objects.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Invalid, Properties};

/// Names that CloudFormation adds to a resource's properties.
const ADDED_BY_CLOUDFORMATION: [&str; 2] = ["ServiceToken", "ServiceTimeout"];

/// Reads the properties in `object`. The caller reads the names in `read_by_caller` itself.
///
/// # Errors
/// An unknown name, a value of a wrong type, or more than 64 KB of text.
pub fn read_properties(
    object: &Map<String, Value>,
    read_by_caller: &[&str],
) -> Result<Properties, Invalid> {
    check_size(object)?;
    let mut object = Object::new(object);
    for name in read_by_caller {
        object.take(name);
    }
    for name in ADDED_BY_CLOUDFORMATION {
        object.ignore(name);
    }
    let properties = Properties {
        source_bucket: object.text("SourceBucket")?,
        destination_bucket: object.text("DestinationBucket")?,
        destination_region: object.text("DestinationRegion")?,
        replica_kms_key_arn: object.text("ReplicaKmsKeyArn")?,
        source_kms_key_arns: object.list("SourceKmsKeyArns")?,
        prefix: object.text("Prefix")?,
        tags: object.tags("Tags")?,
        priority: object.integer("Priority")?,
        delete_marker_replication: object.boolean("DeleteMarkerReplication")?,
        replica_modifications: object.boolean("ReplicaModifications")?,
        replication_time_control: object.boolean("ReplicationTimeControl")?,
        metrics: object.boolean("Metrics")?,
        storage_class: object.text("StorageClass")?,
        destination_account: object.text("DestinationAccount")?,
        destination_role_arn: object.text("DestinationRoleArn")?,
        destination_role_external_id: object.text("DestinationRoleExternalId")?,
        replica_owner: object.text("ReplicaOwner")?,
        create_destination_bucket: object.boolean("CreateDestinationBucket")?,
        existing_destination: object.text("ExistingDestination")?,
        existing_role: object.text("ExistingRole")?,
        alarm_topic_arn: object.text("AlarmTopicArn")?,
        verify: object.boolean("Verify")?,
        replicate_existing_objects: object.boolean("ReplicateExistingObjects")?,
        report_bucket: object.text("ReportBucket")?,
        report_prefix: object.text("ReportPrefix")?,
        dry_run: object.boolean("DryRun")?,
    };
    object.finish()?;
    Ok(properties)
}

/// The most text, in bytes, that the properties of one rule can have: several times what the longest valid properties need.
const MAX_BYTES: usize = 64 * 1_024;

fn check_size(object: &Map<String, Value>) -> Result<(), Invalid> {
    for (name, value) in object {
        let bytes = text_bytes(value);
        if bytes > MAX_BYTES {
            let excerpt: String = name.chars().take(60).collect();
            let problem = format!("has {bytes} bytes; at most {MAX_BYTES} are accepted");
            return Err(Invalid::new(excerpt, problem));
        }
    }
    Ok(())
}

/// The bytes of all names and strings in a value.
fn text_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(text_bytes).sum(),
        Value::Object(map) => map.iter().map(|(name, value)| name.len() + text_bytes(value)).sum(),
    }
}

/// A reader of a JSON object that refuses the names that were not read.
pub struct Object<'a> {
    unread: BTreeMap<&'a str, &'a Value>,
    known_names: Vec<String>,
}

impl<'a> Object<'a> {
    /// Starts to read `object`.
    pub fn new(object: &'a Map<String, Value>) -> Self {
        Self {
            unread: object.iter().map(|(name, value)| (name.as_str(), value)).collect(),
            known_names: Vec::new(),
        }
    }

    /// The value of `name`; `None` if it is absent, `null` or an empty string.
    pub fn take(&mut self, name: &str) -> Option<&'a Value> {
        if !self.known_names.iter().any(|known| known == name) {
            self.known_names.push(name.to_owned());
        }
        let is_given = |value: &&Value| match value {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => true,
        };
        self.unread.remove(name).filter(is_given)
    }

    /// Accepts `name` without listing it among the allowed names.
    fn ignore(&mut self, name: &str) {
        self.unread.remove(name);
    }

    /// Refuses names that were not read.
    ///
    /// # Errors
    /// The first such name, with the names that are allowed.
    pub fn finish(self) -> Result<(), Invalid> {
        match self.unread.into_keys().next() {
            Some(unknown) => Err(Invalid::new(
                unknown,
                format!("is not known; allowed are {}", self.known_names.join(", ")),
            )),
            None => Ok(()),
        }
    }

    /// The string `name`.
    ///
    /// # Errors
    /// A value of another type.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Invalid> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(wrong_type(name, other, "a string")),
        }
    }

    /// The boolean `name`, which may be written as a string.
    ///
    /// # Errors
    /// A value of another type.
    pub fn boolean(&mut self, name: &str) -> Result<Option<bool>, Invalid> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(boolean)) => Ok(Some(*boolean)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(other) => Err(wrong_type(name, other, "true or false")),
        }
    }

    /// The integer `name`, which may be written as a string.
    ///
    /// # Errors
    /// A value of another type.
    pub fn integer(&mut self, name: &str) -> Result<Option<i64>, Invalid> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let integer = match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        integer.map(Some).ok_or_else(|| wrong_type(name, value, "an integer"))
    }

    /// The list `name`: strings in an array, or in one string with commas between them. Empty items are left out; `None` if all items are empty.
    ///
    /// # Errors
    /// A value of another type.
    pub fn list(&mut self, name: &str) -> Result<Option<Vec<String>>, Invalid> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let items: Option<Vec<&str>> = match value {
            Value::String(text) => Some(text.split(',').collect()),
            Value::Array(items) => items.iter().map(Value::as_str).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
        };
        let expected = "a list of strings, or one string with commas";
        let items = items.ok_or_else(|| wrong_type(name, value, expected))?;
        let given = items.iter().map(|item| item.trim()).filter(|item| !item.is_empty());
        let given: Vec<String> = given.map(str::to_owned).collect();
        let has_only_empty_items = given.is_empty() && !items.is_empty();
        Ok((!has_only_empty_items).then_some(given))
    }

    /// The tags `name`: a map of strings, or a list of `{Key, Value}`.
    ///
    /// # Errors
    /// A value of another type, or a key that occurs twice.
    pub fn tags(&mut self, name: &str) -> Result<Option<BTreeMap<String, String>>, Invalid> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let pairs: Option<Vec<(String, String)>> = match value {
            Value::Object(map) => map
                .iter()
                .map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect(),
            Value::Array(items) => items.iter().map(key_and_value).collect(),
            _ => None,
        };
        let pairs = pairs.ok_or_else(|| {
            wrong_type(name, value, "a map of strings, or a list of {Key, Value}")
        })?;
        let mut tags = BTreeMap::new();
        for (key, value) in pairs {
            if tags.insert(key.clone(), value).is_some() {
                return Err(Invalid::new(name, format!("has the key `{key}` twice")));
            }
        }
        Ok(Some(tags))
    }
}

fn key_and_value(item: &Value) -> Option<(String, String)> {
    let object = item.as_object().filter(|object| object.len() == 2)?;
    Some((object.get("Key")?.as_str()?.to_owned(), object.get("Value")?.as_str()?.to_owned()))
}

fn wrong_type(name: &str, value: &Value, expected: &str) -> Invalid {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let excerpt: String = text.chars().take(60).collect();
    Invalid::new(name, format!("is `{excerpt}`; it must be {expected}"))
}
