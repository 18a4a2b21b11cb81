//! What is read of a configuration, and what is refused.

use s3_kms_replication::model::{
    FilterTag, Metrics, ReplicationConfiguration, RuleElements, RuleFilter,
};

use super::support::*;

#[test]
fn every_form_of_a_filter_is_told_apart() {
    let tag = |key: &str, value: &str| FilterTag { key: key.to_owned(), value: value.to_owned() };
    let prefix = |prefix: &str| RuleFilter::Prefix(prefix.to_owned());
    let unknown = |paths: &[&str]| RuleFilter::NotUnderstood {
        elements: paths.iter().map(|path| (*path).to_owned()).collect(),
    };
    let a_b = "<Tag><Key>a</Key><Value>b</Value></Tag>";
    for (filter, expected) in [
        ("".to_owned(), RuleFilter::V1 { prefix: String::new() }),
        ("<Prefix/>".to_owned(), RuleFilter::V1 { prefix: String::new() }),
        ("<Prefix>logs/</Prefix>".to_owned(), RuleFilter::V1 { prefix: "logs/".to_owned() }),
        ("<Filter/>".to_owned(), prefix("")),
        ("<Filter>\n <!-- all --> </Filter>".to_owned(), prefix("")),
        ("<Filter><Prefix/></Filter>".to_owned(), prefix("")),
        ("<Filter><Prefix> </Prefix></Filter>".to_owned(), prefix(" ")),
        (
            "<Filter><Prefix>a<!-- -->&amp;<![CDATA[<b>]]>&#x63;</Prefix></Filter>".to_owned(),
            prefix("a&<b>c"),
        ),
        (format!("<Filter>{a_b}</Filter>"), RuleFilter::Tag(tag("a", "b"))),
        (
            "<Filter><Tag><Value>b</Value><Key>a</Key></Tag></Filter>".to_owned(),
            RuleFilter::Tag(tag("a", "b")),
        ),
        (
            format!(
                "<Filter><And><Prefix>p</Prefix>{a_b}<Tag><Key>A</Key><Value/></Tag></And></Filter>"
            ),
            RuleFilter::And {
                prefix: Some("p".to_owned()),
                tags: vec![tag("a", "b"), tag("A", "")],
            },
        ),
        (
            format!("<Filter><And>{a_b}</And></Filter>"),
            RuleFilter::And { prefix: None, tags: vec![tag("a", "b")] },
        ),
        (
            "<Filter><Not><Prefix>p</Prefix></Not></Filter>".to_owned(),
            unknown(&["Filter.Not.Prefix"]),
        ),
        (
            format!("<Filter><And><Prefix>p</Prefix><Not>{a_b}</Not></And></Filter>"),
            unknown(&["Filter.And.Not.Tags.a"]),
        ),
        ("<Filter><And/></Filter>".to_owned(), unknown(&["Filter.And"])),
        (
            format!("<Filter><Prefix>p</Prefix>{a_b}</Filter>"),
            unknown(&["Filter.Prefix", "Filter.Tags.a"]),
        ),
        (
            "<Filter><Prefix>p</Prefix><Prefix>q</Prefix></Filter>".to_owned(),
            unknown(&["Filter.Prefix[2]"]),
        ),
        ("<Filter new='x'><Prefix>p</Prefix></Filter>".to_owned(), unknown(&["Filter@new"])),
        ("<Filter><Prefix new='x'>p</Prefix></Filter>".to_owned(), unknown(&["Filter.Prefix@new"])),
        ("<Filter>text<Prefix>p</Prefix></Filter>".to_owned(), unknown(&["Filter"])),
        ("<Prefix>p</Prefix><Filter/>".to_owned(), unknown(&["Prefix"])),
        (
            "<Filter><Tag><Key>a</Key><Value>b</Value><Case>i</Case></Tag></Filter>".to_owned(),
            unknown(&["Filter.Tag.Case"]),
        ),
        (
            "<Filter><n:Prefix xmlns:n='new'>p</n:Prefix></Filter>".to_owned(),
            unknown(&["Filter.{new}Prefix"]),
        ),
    ] {
        assert_eq!(filter_of(&filter), expected, "{filter}");
        let read = filter_of(&filter);
        let understood = !matches!(read, RuleFilter::NotUnderstood { .. });
        assert_eq!(
            (read.prefix().is_some(), read.tags().is_some()),
            (understood, understood),
            "{filter}"
        );
    }
}

#[test]
fn accessors_read_what_a_rule_says() {
    let xml = document(
        "<Rule><ID>a</ID><Priority> 4 </Priority><Filter><Prefix>p</Prefix></Filter><Status>Disabled</Status><SourceSelectionCriteria>\
         <SseKmsEncryptedObjects><Status>Enabled</Status></SseKmsEncryptedObjects></SourceSelectionCriteria><Destination>\
         <Bucket>arn:aws:s3:::b</Bucket><Account>111122223333</Account><StorageClass>GLACIER</StorageClass>\
         <AccessControlTranslation><Owner>Destination</Owner></AccessControlTranslation><EncryptionConfiguration>\
         <ReplicaKmsKeyID>arn:key</ReplicaKmsKeyID></EncryptionConfiguration></Destination></Rule><Rule><Status>Enabled</Status></Rule>",
    );
    let configuration = parse(&xml);
    assert_eq!((configuration.role(), configuration.rules().count()), ("arn:role", 2));
    let rule = configuration.rule("a").unwrap();
    assert_eq!(
        (rule.id(), rule.priority(), rule.status(), rule.is_enabled()),
        (Some("a"), Some(4), "Disabled", false)
    );
    assert_eq!(
        (rule.destination_bucket(), rule.destination_account()),
        (Some("arn:aws:s3:::b"), Some("111122223333"))
    );
    assert_eq!(
        (rule.text(&["Destination", "StorageClass"]), rule.replica_kms_key_id()),
        (Some("GLACIER"), Some("arn:key"))
    );
    assert!(rule.overrides_owner() && rule.selects_kms_objects());
    assert_eq!(rule.text(&["Destination"]), None);
    let bare = configuration.rules().last().unwrap();
    assert_eq!(
        (bare.id(), bare.priority(), bare.is_enabled(), bare.destination_bucket()),
        (None, None, true, None)
    );
    assert_eq!(bare.xml(), "<Rule><Status>Enabled</Status></Rule>");
    assert!(
        !bare.overrides_owner() && !bare.selects_kms_objects() && configuration.rule("b").is_none()
    );
}

#[test]
fn lines_show_known_elements_in_order_and_then_all_others() {
    let configuration = parse(&document(FOREIGN));
    assert_eq!(
        lines_of(&configuration),
        [
            "Role=arn:role",
            "Rules[theirs].Status=Enabled",
            "Rules[theirs].Priority=1",
            "Rules[theirs].Destination.Bucket=arn:aws:s3:::audit",
            "Rules[theirs].DeleteMarkerReplication=Disabled",
            "Rules[theirs].Destination.SomethingNewer@a=1",
            "Rules[theirs].Destination.SomethingNewer.Status=Enabled",
            "Rules[theirs].Filter.Not.Prefix=tmp/",
        ]
    );
    let full = RuleElements {
        prefix: "p".to_owned(),
        tags: vec![("k".to_owned(), "v".to_owned())],
        replica_modifications: true,
        destination_account: Some("111122223333".to_owned()),
        owner_override: true,
        storage_class: Some("GLACIER".to_owned()),
        replication_time_minutes: Some(15),
        metrics: Some(Metrics { event_threshold_minutes: Some(15) }),
        ..ours()
    };
    let lines: Vec<_> = full
        .into_rule()
        .unwrap()
        .lines()
        .into_iter()
        .map(|(path, value)| format!("{path}={value}"))
        .collect();
    assert_eq!(
        lines,
        [
            "Status=Enabled",
            "Priority=7",
            "Filter.Prefix=p",
            "Filter.Tags.k=v",
            "SourceSelectionCriteria.SseKmsEncryptedObjects=Enabled",
            "SourceSelectionCriteria.ReplicaModifications=Enabled",
            "Destination.Bucket=arn:aws:s3:::copies",
            "Destination.Account=111122223333",
            "Destination.StorageClass=GLACIER",
            "Destination.AccessControlTranslation.Owner=Destination",
            "Destination.EncryptionConfiguration.ReplicaKmsKeyID=arn:key",
            "Destination.ReplicationTime.Status=Enabled",
            "Destination.ReplicationTime.Minutes=15",
            "Destination.Metrics.Status=Enabled",
            "Destination.Metrics.EventThreshold=15",
            "DeleteMarkerReplication=Disabled",
        ]
    );
}

#[test]
fn lines_show_attributes_repeated_mixed_and_empty_elements() {
    let xml = format!(
        "<ReplicationConfiguration xmlns='http://s3.amazonaws.com/doc/2006-03-01/' xmlns:n='new' n:v='2' w='3'><New/><Role r='4'>arn:role\
         </Role>{}</ReplicationConfiguration>",
        "<Rule x='1'><ID y='2'>a</ID><Prefix>p</Prefix><Status>Enabled</Status><Old/><Old>2</Old><Mixed>a<b>c</b></Mixed>\
         <Destination/></Rule><Rule>t<Status>Enabled</Status></Rule>"
    );
    assert_eq!(
        lines_of(&parse(&xml)),
        [
            "Role=arn:role",
            "Rules[a].Status=Enabled",
            "Rules[a].Prefix=p",
            "Rules[a].Destination=",
            "Rules[a].@x=1",
            "Rules[a].ID@y=2",
            "Rules[a].Mixed=a<b>c</b>",
            "Rules[a].Old=",
            "Rules[a].Old[2]=2",
            "Rules[#2].#text=t<Status>Enabled</Status><Prefix></Prefix>",
            "Role@r=4",
            "@w=3",
            "@{new}v=2",
            "New=",
        ]
    );
}

#[test]
fn unknown_elements_in_our_own_rule_are_drift() {
    let rule = ours().into_rule().unwrap();
    let current = document(&rule.xml().replace(
        "</ReplicaKmsKeyID>",
        "</ReplicaKmsKeyID><UseSourceMultiRegionKey>true</UseSourceMultiRegionKey>",
    ));
    let current = parse(&current);
    let found = current.rule(rule.id().unwrap()).unwrap();
    assert_ne!(found, &rule);
    let added = found.lines().into_iter().filter(|line| !rule.lines().contains(line));
    assert_eq!(
        added.collect::<Vec<_>>(),
        [(
            "Destination.EncryptionConfiguration.UseSourceMultiRegionKey".to_owned(),
            "true".to_owned()
        )]
    );
    let mended = current.with_rule(&rule);
    assert_eq!(mended.rule(rule.id().unwrap()), Some(&rule));
}

#[test]
fn whatever_is_not_one_whole_configuration_is_refused_with_its_reason() {
    let rule = "<Rule><ID>a</ID><Status>Enabled</Status></Rule>";
    let deep = format!("<Rule>{}{}</Rule>", "<a>".repeat(64), "</a>".repeat(64));
    for (xml, expected) in [
        (String::new(), "the document is empty"),
        (
            ROOT.to_owned(),
            "the document is not well-formed: the root node was opened but never closed",
        ),
        (
            format!("{ROOT}<Role>r</Role>{rule}"),
            "the document is not well-formed: the root node was opened but never closed",
        ),
        (document(rule) + "x", "the document is not well-formed: unknown token"),
        (document(rule) + "<a/>", "the document is not well-formed: unknown token"),
        ("<html/>".to_owned(), "the root element is `html`, not `ReplicationConfiguration`"),
        (
            "<ReplicationConfiguration xmlns='other'/>".to_owned(),
            "the root element is `{other}ReplicationConfiguration`, not `ReplicationConfiguration`",
        ),
        (format!("<!DOCTYPE a>{}", document(rule)), "the document has a DOCTYPE"),
        (format!("<!DOCTYPE a [<!ENTITY b 'c'>]>{}", document(rule)), "the document has a DOCTYPE"),
        (
            format!("<?xml version='1.0' encoding='latin1'?>{}", document(rule)),
            "the document declares the encoding `latin1`, not UTF-8",
        ),
        (
            document("<Rule>&b;</Rule>"),
            "the document is not well-formed: unknown entity reference 'b'",
        ),
        (
            document("<Rule>&#1;</Rule>"),
            "the document is not well-formed: malformed entity reference",
        ),
        (
            document("<Rule><x:a/></Rule>"),
            "the document is not well-formed: an unknown namespace prefix 'x'",
        ),
        (document(&deep), "the document nests elements deeper than 64 levels"),
        (format!("{ROOT}{rule}</ReplicationConfiguration>"), "there is no `Role`"),
        ("<ReplicationConfiguration/>".to_owned(), "there is no `Role`"),
        (document(&format!("<Role>r</Role>{rule}")), "there is more than one `Role`"),
        (
            format!("{ROOT}<Role><a/></Role>{rule}</ReplicationConfiguration>"),
            "`Role` has child elements",
        ),
        (document(""), "there is no `Rule`"),
        (
            document(&format!("{rule}text")),
            "there is text between the elements of `ReplicationConfiguration`",
        ),
        (document(&rule.repeat(2)), "more than one rule has the id `a`"),
        (
            document(&format!("{rule}<Rule><Status/><Status/></Rule>")),
            "rule 2 has more than one `Status`",
        ),
        (document("<Rule><ID>a</ID><ID>b</ID></Rule>"), "rule 1 has more than one `ID`"),
        (document("<Rule><Filter/><Filter/></Rule>"), "rule 1 has more than one `Filter`"),
        (document("<Rule><ID><a/></ID></Rule>"), "`ID` of rule 1 has child elements"),
        (
            document("<Rule><Priority>1\n2</Priority></Rule>"),
            "`Priority` of rule 1 is `1\\n2`, which is not a number",
        ),
        (
            document("<Rule><Priority>2147483648</Priority></Rule>"),
            "`Priority` of rule 1 is `2147483648`, which is not a number",
        ),
    ] {
        let error = ReplicationConfiguration::parse(xml.as_bytes()).expect_err(&xml).to_string();
        assert!(!error.contains('\n'));
        // Without the position.
        assert_eq!(error.split(" at 1:").next(), Some(expected), "{xml}");
    }
    let latin1 = [document(rule).as_bytes(), b"<!-- \xe4 -->"].concat();
    assert_eq!(
        ReplicationConfiguration::parse(&latin1).unwrap_err().to_string(),
        "the document is not UTF-8 at byte 174"
    );
    let huge = document(&format!("{rule}<!--{}-->", "<".repeat(4 << 20)));
    let error = ReplicationConfiguration::parse(huge.as_bytes()).unwrap_err().to_string();
    assert!(error.ends_with("more than the 4194304 that are read"), "{error}");
}

#[test]
fn the_largest_configuration_that_s3_stores_is_read() {
    let tags: String = (0..9)
        .map(|tag| {
            format!(
                "<Tag><Key>{tag}{}</Key><Value>{}</Value></Tag>",
                "k".repeat(100),
                "v".repeat(70)
            )
        })
        .collect();
    let rule = |id: usize| {
        format!(
            "<Rule><ID>{id}</ID><Filter><And>{tags}</And></Filter><Status>Enabled</Status></Rule>"
        )
    };
    let xml = document(&(0..1_000).map(rule).collect::<String>());
    assert!(xml.len() > 1_900_000, "{}", xml.len());
    assert_eq!(parse(&xml).rules().count(), 1_000);
    assert_eq!(parse(&xml).to_xml(), xml);
}
