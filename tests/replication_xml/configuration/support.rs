//! Short ways to documents and what is read of them.

use s3_kms_replication::model::{ReplicationConfiguration, RuleElements, RuleFilter};

/// Start tag of the root element as S3 writes it.
pub const ROOT: &str =
    "<ReplicationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";

pub fn document(rules: &str) -> String {
    format!("{ROOT}<Role>arn:role</Role>{rules}</ReplicationConfiguration>")
}

pub fn parse(xml: &str) -> ReplicationConfiguration {
    ReplicationConfiguration::parse(xml.as_bytes()).unwrap_or_else(|error| panic!("{error}: {xml}"))
}

pub fn with_filter(filter: &str) -> ReplicationConfiguration {
    parse(&document(&format!("<Rule><ID>a</ID>{filter}<Status>Enabled</Status></Rule>")))
}

pub fn filter_of(filter: &str) -> RuleFilter {
    with_filter(filter).rule("a").unwrap().filter().clone()
}

pub fn lines_of(configuration: &ReplicationConfiguration) -> Vec<String> {
    configuration.lines().into_iter().map(|(path, value)| format!("{path}={value}")).collect()
}

pub fn ours() -> RuleElements {
    RuleElements {
        id: "s3-kms-replication.a".to_owned(),
        priority: 7,
        destination_bucket: "arn:aws:s3:::copies".to_owned(),
        sse_kms_encrypted_objects: true,
        replica_kms_key_id: Some("arn:key".to_owned()),
        ..RuleElements::default()
    }
}

/// A rule with elements that the program does not know.
pub const FOREIGN: &str = "<Rule><ID>theirs</ID><Priority>1</Priority><Filter><Not><Prefix>tmp/</Prefix></Not></Filter>\
    <Status>Enabled</Status><Destination><Bucket>arn:aws:s3:::audit</Bucket><SomethingNewer a='1'><Status>Enabled</Status>\
    </SomethingNewer></Destination><DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication></Rule>";
