//! What an edit leaves as it was, and which configurations are equal.

use s3_kms_replication::model::{ReplicationConfiguration, RuleElements};

use super::support::*;

#[test]
fn edits_leave_every_other_byte_as_it_was() {
    let xml = format!(
        "<?xml version=\"1.0\" encoding='utf-8'?>\n<!-- a -->{}\n  <?pi?><New a=\"&#65;\"/><Role >arn:role</Role >\n  {FOREIGN}\n  <Rule\n><ID>b</ID>\
         </Rule><!-- b -->\n<After/></ReplicationConfiguration>\n",
        ROOT.replace('>', " xmlns:n='new' n:a='>'>")
    );
    let configuration = parse(&xml);
    assert_eq!(configuration.to_xml(), xml);
    let rule = ours().into_rule().unwrap();
    let with = configuration.with_rule(&rule);
    assert_eq!(with.to_xml(), xml.replace("</ID></Rule>", &format!("</ID></Rule>{}", rule.xml())));
    assert_eq!(with.without_rule(rule.id().unwrap()).unwrap().to_xml(), xml);
    assert_eq!(with.with_rule(&rule).to_xml(), with.to_xml());
    let replaced = with.with_rule(&RuleElements { priority: 8, ..ours() }.into_rule().unwrap());
    assert_eq!(replaced.to_xml(), with.to_xml().replace("<Priority>7<", "<Priority>8<"));
    assert_eq!(configuration.without_rule("none").unwrap().to_xml(), xml);
    let other_role = configuration.with_role("arn:\"<other>\"").unwrap();
    assert_eq!(
        other_role.to_xml(),
        xml.replace("<Role >arn:role</Role >", "<Role >arn:&quot;&lt;other&gt;&quot;</Role>")
    );
    assert_eq!(parse(&other_role.to_xml()), other_role);
    assert_eq!(configuration.with_role("arn:role").unwrap().to_xml(), xml);
    assert!(configuration.with_role("\u{1}").is_err());
    assert_eq!(configuration.without_rule("theirs").unwrap().without_rule("b"), None);
    let empty_role = parse(&document("<Rule/>").replace("<Role>arn:role</Role>", "<Role\n/>"));
    assert!(empty_role.with_role("r").unwrap().to_xml().contains("<Role\n>r</Role>"));
}

#[test]
fn a_rule_keeps_its_namespaces_beneath_every_root() {
    let rule = ours().into_rule().unwrap();
    let foreign = "<s:Rule xmlns:y='z'><s:ID>b</s:ID><n:New n:a=''/></s:Rule>";
    let prefixed = parse(&format!(
        "<s:ReplicationConfiguration xmlns:s='http://s3.amazonaws.com/doc/2006-03-01/' xmlns:n=\"new&amp;\"><s:Role>r</s:Role>{foreign}\
         </s:ReplicationConfiguration>"
    ));
    let with = prefixed.with_rule(&rule);
    assert!(
        with.to_xml().contains(
            "</s:Rule><Rule xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><ID>s3-kms"
        ),
        "{}",
        with.to_xml()
    );
    assert_eq!(parse(&with.to_xml()), with);
    assert_eq!(parse(&with.to_xml()).rule(rule.id().unwrap()), Some(&rule));
    assert!(with.to_xml().contains(foreign));

    let none = parse("<ReplicationConfiguration><Role>r</Role><Rule/></ReplicationConfiguration>")
        .with_rule(&rule);
    assert!(none.to_xml().contains(rule.xml()));

    let theirs = prefixed.rule("b").unwrap();
    let moved = ReplicationConfiguration::new("r", theirs).unwrap();
    let declared = " xmlns:n=\"new&amp;\" xmlns:s=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
    assert!(
        moved.to_xml().contains(&foreign.replacen("<s:Rule", &format!("<s:Rule{declared}"), 1)),
        "{}",
        moved.to_xml()
    );
    assert_eq!(parse(&moved.to_xml()).rule("b"), Some(theirs));
    // What the rule declares itself is not declared again.
    let again = moved.with_rule(moved.rule("b").unwrap());
    assert_eq!(again.to_xml(), moved.to_xml());
}

#[test]
fn equality_sees_through_forms_and_nothing_else() {
    let base = with_filter(
        "<Filter><Prefix/></Filter><Destination><Bucket>b</Bucket><Account>1</Account></Destination><New a='1' b='2'>&lt;</New>",
    );
    for same in [
        "<Filter/><Destination><Bucket>b</Bucket><Account>1</Account></Destination><New a='1' b='2'>&lt;</New>",
        "<New b=\"2\" a=\"&#49;\"><![CDATA[<]]></New><Destination>\n<Account>1</Account> <Bucket>b<!-- --></Bucket></Destination><Filter></Filter>",
    ] {
        assert_eq!(with_filter(same), base, "{same}");
        assert_eq!(with_filter(same), base);
        assert_eq!(with_filter(same).lines(), base.lines());
    }
    for other in [
        "<Filter><Prefix> </Prefix></Filter><Destination><Bucket>b</Bucket><Account>1</Account></Destination><New a='1' b='2'>&lt;</New>",
        "<Destination><Bucket>b</Bucket><Account>1</Account></Destination><New a='1' b='2'>&lt;</New>",
        "<Filter/><Destination><Bucket>b</Bucket></Destination><New a='1' b='2'>&lt;</New>",
        "<Filter/><Destination><Bucket>b</Bucket><Account>1</Account></Destination><New a='1' b='3'>&lt;</New>",
        "<Filter/><Destination><Bucket>b</Bucket><Account>1</Account></Destination><New a='1' b='2'>&lt; </New>",
        "<Filter/><Destination><Bucket>b</Bucket><Account>1</Account></Destination><New xmlns='n' a='1' b='2'>&lt;</New>",
    ] {
        assert_ne!(with_filter(other), base, "{other}");
        assert_ne!(with_filter(other), base);
        assert_ne!(with_filter(other).lines(), base.lines());
    }
    let (a, b) = ("<Rule><ID>a</ID></Rule>", "<Rule><ID>b</ID></Rule>");
    assert_ne!(parse(&document(&format!("{a}{b}"))), parse(&document(&format!("{b}{a}"))));
}

#[test]
fn forms_of_one_filter_are_equal() {
    let (k, l) =
        ("<Tag><Key>k</Key><Value>1</Value></Tag>", "<Tag><Key>l</Key><Value>2</Value></Tag>");
    for (one, other) in [
        ("<Filter/>".to_owned(), "<Filter><And><Prefix/></And></Filter>".to_owned()),
        (
            "<Filter><Prefix>p</Prefix></Filter>".to_owned(),
            "<Filter><And><Prefix>p</Prefix></And></Filter>".to_owned(),
        ),
        (format!("<Filter>{k}</Filter>"), format!("<Filter><And>{k}</And></Filter>")),
        (
            format!("<Filter><And>{k}{l}</And></Filter>"),
            format!("<Filter><And>{l}<Prefix/>{k}</And></Filter>"),
        ),
        (String::new(), "<Prefix/>".to_owned()),
    ] {
        assert_eq!(with_filter(&one), with_filter(&other), "{one} {other}");
        assert_eq!(with_filter(&one).lines(), with_filter(&other).lines());
    }
    assert_ne!(with_filter(""), with_filter("<Filter/>"));
    assert_ne!(with_filter(&format!("<Filter>{k}</Filter>")), with_filter("<Filter/>"));
}

#[test]
fn a_built_rule_is_escaped_and_refuses_what_xml_cannot_hold() {
    let odd = "a<&>\"'\t\r\n\u{85}\u{2028}]]>\u{10ffff}";
    let elements = RuleElements {
        prefix: odd.to_owned(),
        tags: vec![(odd.to_owned(), odd.to_owned())],
        ..ours()
    };
    let rule = elements.into_rule().unwrap();
    let configuration = ReplicationConfiguration::new("r", &rule).unwrap();
    let read = parse(&configuration.to_xml());
    assert_eq!((&read, read.rule(rule.id().unwrap())), (&configuration, Some(&rule)));
    assert_eq!(read.rule(rule.id().unwrap()).unwrap().filter().prefix(), Some(odd));
    assert_eq!(read.rule(rule.id().unwrap()).unwrap().filter().tags().unwrap()[0].key, odd);
    for refused in ["\0", "\u{b}", "\u{fffe}", "\u{ffff}"] {
        let error = RuleElements { prefix: refused.to_owned(), ..ours() }.into_rule().unwrap_err();
        assert_eq!(error.element, "Prefix");
        let error = RuleElements { tags: vec![("a".to_owned(), refused.to_owned())], ..ours() }
            .into_rule()
            .unwrap_err();
        assert_eq!(error.element, "Value");
    }
}
