//! What AWS holds, and short builders for it.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_kms::types::KeyState;
use s3_kms_replication::model::{
    Alarm, Encryption, Key, KeyGrant, ObjectOwnership, ObjectVersion, Partition,
    ReplicationConfiguration, ReplicationMetrics, ReplicationRule, ReplicationStatus, Role,
    RoleName, SampledObject, Versioning,
};

use super::{
    ACCOUNT, BUCKET_POLICY, FOREIGN_ROLE, KEY_POLICY, OTHER_ACCOUNT, OTHER_ACCOUNT_KEY,
    REPLICA_KEY, SOURCE_KEY, StartedJob,
};

/// All that AWS holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    pub partition: Partition,
    pub buckets: BTreeMap<String, Bucket>,
    pub roles: BTreeMap<String, Role>,
    pub alarms: BTreeMap<String, Alarm>,
    /// Jobs by their ids.
    pub jobs: BTreeMap<String, StartedJob>,
    /// Keys by every name that they go by.
    pub keys: BTreeMap<String, Key>,
    /// The policies of buckets and keys, by the resource as messages name it: "bucket `abroad`".
    pub policies: BTreeMap<String, String>,
    /// The managed policies by ARN.
    pub managed_policies: BTreeMap<String, String>,
    /// The grants of keys by the keys' ARNs.
    pub grants: BTreeMap<String, Vec<KeyGrant>>,
    /// The replication metrics of rules by their ids.
    pub metrics: BTreeMap<String, ReplicationMetrics>,
    /// The buckets and keys of other accounts that this account may read.
    pub readable: BTreeSet<String>,
    /// The actions that the service control policies of the account's organization deny.
    pub denied_by_scps: BTreeSet<String>,
    /// The holder of each lease, and when it expires.
    pub leases: BTreeMap<String, (String, u64)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    pub region: &'static str,
    pub owner: String,
    pub versioning: Versioning,
    pub encryption: Encryption,
    pub object_lock: bool,
    pub replication: Option<ReplicationConfiguration>,
    pub tags: BTreeMap<String, String>,
    pub public_access_blocked: bool,
    pub objects: Vec<Object>,
    pub ownership: ObjectOwnership,
    pub requester_pays: bool,
    /// Current objects for samples, with their owners.
    pub samples: Vec<(String, SampledObject)>,
}

/// A version of an object, or a delete marker.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    pub key: String,
    pub version: String,
    pub tags: BTreeMap<String, String>,
    /// `None` for a delete marker.
    pub content: Option<ObjectVersion>,
}

impl State {
    pub fn with_bucket(mut self, name: &str, bucket: Bucket) -> Self {
        self.buckets.insert(name.to_owned(), bucket);
        self
    }

    /// A key that goes by its ARN.
    pub fn with_key(mut self, arn: &str) -> Self {
        self.keys.insert(arn.to_owned(), key(arn));
        self
    }

    pub fn with_role(mut self, role: Role) -> Self {
        self.roles.insert(role.name.to_string(), role);
        self
    }

    pub fn bucket_mut(&mut self, name: &str) -> &mut Bucket {
        self.buckets.get_mut(name).unwrap_or_else(|| panic!("no bucket `{name}`"))
    }

    pub fn role_mut(&mut self, name: &str) -> &mut Role {
        self.roles.get_mut(name).unwrap_or_else(|| panic!("no role `{name}`"))
    }

    pub fn key_mut(&mut self, name: &str) -> &mut Key {
        self.keys.get_mut(name).unwrap_or_else(|| panic!("no key `{name}`"))
    }

    /// The rules of a bucket, none when it is gone.
    pub fn rules(&self, bucket: &str) -> Vec<ReplicationRule> {
        let replication = self.buckets.get(bucket).and_then(|bucket| bucket.replication.as_ref());
        replication
            .map(|configuration| configuration.rules().cloned().collect())
            .unwrap_or_default()
    }
}

impl State {
    /// Replaces text in the XML of a bucket's replication configuration, which must have it.
    pub fn edit_replication(&mut self, bucket: &str, from: &str, to: &str) {
        let replication = &mut self.bucket_mut(bucket).replication;
        let xml = replication.as_ref().unwrap().to_xml();
        assert!(xml.contains(from), "`{from}` is not in {xml}");
        *replication = Some(parse_configuration(&xml.replacen(from, to, 1)));
    }

    /// Removes the first element of this name from a bucket's replication configuration.
    pub fn remove_element(&mut self, bucket: &str, element: &str) {
        let xml = self.bucket_mut(bucket).replication.as_ref().unwrap().to_xml();
        let begin = xml.find(&format!("<{element}>")).unwrap();
        let end = format!("</{element}>");
        let length = xml[begin..].find(&end).unwrap() + end.len();
        self.edit_replication(bucket, &xml[begin..begin + length], "");
    }
}

impl Bucket {
    /// An empty bucket of ours, without versioning.
    pub fn new(region: &'static str) -> Self {
        Self {
            region,
            owner: ACCOUNT.to_owned(),
            versioning: Versioning::Off,
            encryption: Encryption::S3,
            object_lock: false,
            replication: None,
            tags: BTreeMap::new(),
            public_access_blocked: true,
            objects: Vec::new(),
            ownership: ObjectOwnership::BucketOwnerEnforced,
            requester_pays: false,
            samples: Vec::new(),
        }
    }

    pub fn owned_by(mut self, account: &str) -> Self {
        account.clone_into(&mut self.owner);
        self
    }

    pub fn versioned(mut self) -> Self {
        self.versioning = Versioning::Enabled;
        self
    }

    pub fn encrypted_with(mut self, key: &str) -> Self {
        self.encryption = kms(key);
        self
    }

    pub fn tagged(mut self, key: &str, value: &str) -> Self {
        self.tags.insert(key.to_owned(), value.to_owned());
        self
    }

    pub fn replicating(mut self, role: &str, rules: Vec<ReplicationRule>) -> Self {
        self.replication = replicating(role, rules);
        self
    }

    /// Replicating by this role and these rules, given as XML.
    pub fn replicating_xml(mut self, role: &str, rules: &str) -> Self {
        self.replication = Some(configuration_of(role, rules));
        self
    }
}

/// A V2 rule: enabled, for all objects, to `demo-destination`, unless a method changes that.
pub struct Rule {
    id: String,
    priority: i32,
    filter: String,
    status: &'static str,
    destination: String,
}

impl Rule {
    pub fn new(id: &str, priority: i32) -> Self {
        Self {
            id: id.to_owned(),
            priority,
            filter: "<Filter/>".to_owned(),
            status: "Enabled",
            destination: "<Bucket>arn:aws:s3:::demo-destination</Bucket>".to_owned(),
        }
    }

    pub fn prefix(self, prefix: &str) -> Self {
        self.filter(&format!("<Prefix>{prefix}</Prefix>"))
    }

    /// The filter with this content, as XML.
    pub fn filter(mut self, content: &str) -> Self {
        self.filter = format!("<Filter>{content}</Filter>");
        self
    }

    /// A V1 rule has no filter.
    pub fn v1(mut self) -> Self {
        self.filter = "<Prefix></Prefix>".to_owned();
        self
    }

    pub fn disabled(mut self) -> Self {
        self.status = "Disabled";
        self
    }

    pub fn in_account(self, account: &str) -> Self {
        self.destination_element("Account", account)
    }

    pub fn destination_element(mut self, name: &str, value: &str) -> Self {
        self.destination += &format!("<{name}>{value}</{name}>");
        self
    }

    pub fn build(self) -> ReplicationRule {
        let Self { id, priority, filter, status, destination } = self;
        let xml = format!(
            "<Rule><ID>{id}</ID><Priority>{priority}</Priority>{filter}<Status>{status}</Status>\
             <Destination>{destination}</Destination></Rule>"
        );
        configuration_of("any", &xml).rules().next().unwrap().clone()
    }
}

/// The configuration that S3 would return for this text.
pub fn parse_configuration(xml: &str) -> ReplicationConfiguration {
    ReplicationConfiguration::parse(xml.as_bytes()).unwrap_or_else(|error| panic!("{error}: {xml}"))
}

fn configuration_of(role: &str, rules: &str) -> ReplicationConfiguration {
    parse_configuration(&format!(
        "<ReplicationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Role>{role}</Role>{rules}</ReplicationConfiguration>"
    ))
}

/// A rule that the program has not made.
pub fn foreign_rule(id: &str, priority: i32) -> ReplicationRule {
    Rule::new(id, priority).prefix(id).disabled().in_account(OTHER_ACCOUNT).build()
}

/// A replication configuration with this role and these rules.
pub fn replicating(role: &str, rules: Vec<ReplicationRule>) -> Option<ReplicationConfiguration> {
    let rules: String = rules.iter().map(ReplicationRule::xml).collect();
    Some(configuration_of(role, &rules))
}

/// A role that the program has not made.
pub fn foreign_role() -> Role {
    Role {
        name: RoleName::from_arn(FOREIGN_ROLE).unwrap(),
        arn: FOREIGN_ROLE.to_owned(),
        trust: "{\"Version\": \"2008-10-17\"}".to_owned(),
        boundary: None,
        tags: BTreeMap::new(),
        policies: BTreeMap::from([("theirs".to_owned(), "{}".to_owned())]),
        attached: vec!["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()],
    }
}

/// An enabled customer managed key.
pub fn key(arn: &str) -> Key {
    Key { arn: arn.to_owned(), state: KeyState::Enabled, symmetric: true, aws_managed: false }
}

/// SSE-KMS with this key.
pub fn kms(key: &str) -> Encryption {
    Encryption::Kms { key: Some(key.to_owned()), bucket_key: false, dual_layer: false }
}

/// Two plain buckets, a third that [`POLICY`](super::POLICY) matches, and the keys for them: what the walk-through begins with.
pub fn two_buckets() -> State {
    let source = || Bucket::new("us-east-1").encrypted_with(SOURCE_KEY);
    let mut state = State::default()
        .with_bucket("demo-source", source())
        .with_bucket("demo-destination", Bucket::new("us-west-2"))
        .with_bucket("prod-orders", source())
        .with_key(SOURCE_KEY)
        .with_key(REPLICA_KEY);
    state.keys.insert("arn:aws:kms:us-west-2:111122223333:alias/dr".to_owned(), key(REPLICA_KEY));
    state
}

/// Two buckets of which the first replicates with this role by two foreign rules.
pub fn with_foreign_rules(role: &str) -> State {
    let rules = vec![foreign_rule("theirs-b", 7), foreign_rule("theirs-a", 3)];
    let source = Bucket::new("us-east-1").encrypted_with(SOURCE_KEY).versioned();
    two_buckets()
        .with_bucket("demo-source", source.replicating(role, rules))
        .with_bucket("demo-destination", Bucket::new("us-west-2").versioned())
}

/// Two buckets of which the first replicates with a foreign role.
pub fn with_foreign_role() -> State {
    with_foreign_rules(FOREIGN_ROLE).with_role(foreign_role())
}

/// Two buckets, and a bucket and a key of another account, both with a policy.
pub fn two_accounts() -> State {
    let theirs = || Bucket::new("us-west-2").owned_by(OTHER_ACCOUNT);
    let mut state = two_buckets()
        .with_bucket("abroad", theirs())
        .with_bucket("abroad-too", theirs())
        .with_key(OTHER_ACCOUNT_KEY);
    state.policies.insert("bucket `abroad`".to_owned(), BUCKET_POLICY.to_owned());
    state.policies.insert(format!("key `{OTHER_ACCOUNT_KEY}`"), KEY_POLICY.to_owned());
    state
}

/// Two buckets, and one for reports. The source buckets have objects under the prefixes of the tests' rules.
pub fn with_report_bucket() -> State {
    let mut state = two_buckets().with_bucket("reports", Bucket::new("us-east-1"));
    for source in ["demo-source", "prod-orders"] {
        for key in ["Invoices/1", "Tax/1", "crr/1"] {
            let object = Object::new(key, None, 1_000_000_000);
            state.bucket_mut(source).objects.push(object);
        }
    }
    state
}

impl Object {
    /// A version with this replication status, written at this time in seconds since the epoch.
    pub fn new(key: &str, replication: Option<ReplicationStatus>, last_modified: u64) -> Self {
        let kms_key = Some(SOURCE_KEY.to_owned());
        let content = ObjectVersion { replication, kms_key, last_modified: Some(last_modified) };
        Self {
            key: key.to_owned(),
            version: format!("version-of-{key}"),
            tags: BTreeMap::new(),
            content: Some(content),
        }
    }
}
