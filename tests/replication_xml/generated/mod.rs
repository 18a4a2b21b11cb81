//! Properties over generated configurations, with elements, attributes and namespaces that the program does not know.

mod model;
mod style;

use std::sync::atomic::{AtomicUsize, Ordering};

use model::{El, MUTATIONS, mutated, root};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use s3_kms_replication::model::xml::check_whole;
use s3_kms_replication::model::{ReplicationConfiguration, ReplicationRule as Rule, RuleElements};
use style::Style;

fn cases(count: u32) -> TestRunner {
    TestRunner::new(Config { cases: count, failure_persistence: None, ..Config::default() })
}

fn parse(xml: &str) -> ReplicationConfiguration {
    ReplicationConfiguration::parse(xml.as_bytes()).unwrap_or_else(|error| panic!("{error}: {xml}"))
}

fn ours(prefix: &str) -> Rule {
    let elements = RuleElements {
        id: "s3-kms-replication.ours".to_owned(),
        priority: 1,
        prefix: prefix.to_owned(),
        tags: vec![("k".to_owned(), prefix.to_owned())],
        destination_bucket: "arn:aws:s3:::copies".to_owned(),
        ..RuleElements::default()
    };
    elements.into_rule().unwrap()
}

/// The rules of others, as text.
fn foreign(configuration: &ReplicationConfiguration) -> Vec<&str> {
    configuration
        .rules()
        .filter(|rule| rule.id() != Some("s3-kms-replication.ours"))
        .map(Rule::xml)
        .collect()
}

#[test]
fn others_are_byte_identical_after_every_edit_of_our_rule() {
    let (documents, rules) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let strategy = (root(), any::<u64>(), model::text());
    cases(250)
        .run(&strategy, |(model, seed, prefix)| {
            let xml = Style::new(seed, false).document(&model);
            let original = parse(&xml);
            prop_assert_eq!(original.to_xml(), &*xml);
            let added = parse(&original.with_rule(&ours(&prefix)).to_xml());
            prop_assert_eq!(foreign(&added), foreign(&original));
            prop_assert_eq!(added.role(), original.role());
            let rule = added.rule("s3-kms-replication.ours").unwrap();
            prop_assert_eq!(rule, &ours(&prefix));
            prop_assert_eq!(added.to_xml().replacen(rule.xml(), "", 1), &*xml);

            let changed = parse(&added.with_rule(&ours("other")).to_xml());
            prop_assert_eq!(foreign(&changed), foreign(&original));
            prop_assert_ne!(&changed, &added);
            prop_assert_eq!(&changed.with_rule(&ours(&prefix)), &added);

            let removed = parse(&changed.without_rule("s3-kms-replication.ours").unwrap().to_xml());
            prop_assert_eq!(&removed, &original);
            prop_assert_eq!(removed.to_xml(), &*xml);

            let other_role = parse(&original.with_role(&prefix).unwrap().to_xml());
            prop_assert_eq!(other_role.role(), &*prefix);
            prop_assert_eq!(foreign(&other_role), foreign(&original));
            prop_assert_eq!(&other_role.with_role(original.role()).unwrap(), &original);
            documents.fetch_add(1, Ordering::Relaxed);
            rules.fetch_add(foreign(&original).len(), Ordering::Relaxed);
            Ok(())
        })
        .unwrap();
    eprintln!(
        "{} configurations with {} foreign rules went through add, change, remove and another role",
        documents.into_inner(),
        rules.into_inner()
    );
}

#[test]
fn equality_survives_every_way_of_writing_and_no_change_of_meaning() {
    let (pairs, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let caught = MUTATIONS.map(|_| AtomicUsize::new(0));
    let strategy = (root(), any::<[u64; 2]>(), any::<usize>());
    cases(250)
        .run(&strategy, |(model, seeds, at)| {
            let original = parse(&Style::new(seeds[0], false).document(&model));
            let rewritten = parse(&Style::new(seeds[1], true).document(&model));
            prop_assert_eq!(&rewritten, &original);
            prop_assert_eq!(rewritten.lines(), original.lines());
            pairs.fetch_add(1, Ordering::Relaxed);
            for (mutation, count) in MUTATIONS.into_iter().zip(&caught) {
                let Some(other) = mutated(&model, mutation, at) else {
                    continue;
                };
                let xml = Style::new(seeds[1], true).document(&other);
                // A change that makes the document none of S3's is noticed, too.
                let Ok(other) = ReplicationConfiguration::parse(xml.as_bytes()) else {
                    refused.fetch_add(1, Ordering::Relaxed);
                    continue;
                };
                prop_assert_ne!(&other, &original, "{:?}", mutation);
                prop_assert_ne!(other.lines(), original.lines(), "{:?}", mutation);
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        })
        .unwrap();
    let caught: Vec<_> = MUTATIONS
        .iter()
        .zip(&caught)
        .map(|(mutation, count)| format!("{mutation:?} {}", count.load(Ordering::Relaxed)))
        .collect();
    eprintln!(
        "{} configurations were equal when written anew; changes told apart: {}; refused: {}",
        pairs.into_inner(),
        caught.join(", "),
        refused.into_inner()
    );
}

#[test]
fn a_foreign_rule_means_the_same_beneath_every_root() {
    let moved = AtomicUsize::new(0);
    let strategy = (root(), root(), any::<[u64; 2]>());
    cases(125)
        .run(&strategy, |(from, to, seeds)| {
            let from = parse(&Style::new(seeds[0], false).document(&from));
            let mut target = parse(&Style::new(seeds[1], false).document(&to));
            for rule in from.rules() {
                target = target.with_rule(rule);
                let read = parse(&target.to_xml());
                prop_assert_eq!(&read, &target);
                prop_assert_eq!(read.rule(rule.id().unwrap()), Some(rule));
                moved.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        })
        .unwrap();
    eprintln!("{} rules were moved between configurations", moved.into_inner());
}

#[test]
fn a_cut_document_is_an_error_at_every_byte() {
    let cuts = AtomicUsize::new(0);
    let strategy = (root(), any::<u64>());
    cases(2)
        .run(&strategy, |(model, seed): (El, u64)| {
            let xml = Style::new(seed, false).document(&model);
            for end in 0..xml.len() {
                let cut = &xml.as_bytes()[..end];
                prop_assert!(
                    ReplicationConfiguration::parse(cut).is_err(),
                    "{}",
                    String::from_utf8_lossy(cut)
                );
                prop_assert!(check_whole(cut, "ReplicationConfiguration").is_err());
                cuts.fetch_add(1, Ordering::Relaxed);
            }
            prop_assert!(check_whole(xml.as_bytes(), "ReplicationConfiguration").is_ok());
            Ok(())
        })
        .unwrap();
    eprintln!("{} cut documents were refused", cuts.into_inner());
}

#[test]
fn no_input_makes_the_parser_panic() {
    let (inputs, accepted) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let check = |bytes: &[u8]| {
        let parsed = ReplicationConfiguration::parse(bytes);
        let _ = check_whole(bytes, "ReplicationConfiguration");
        inputs.fetch_add(1, Ordering::Relaxed);
        if let Ok(parsed) = parsed {
            accepted.fetch_add(1, Ordering::Relaxed);
            // Whatever is read can be edited, and is read again as the same.
            let edited = parsed.with_rule(&ours("a")).with_role("r").unwrap();
            assert_eq!(parse(&edited.to_xml()), edited);
            let _ = edited.lines();
        }
    };
    cases(1_000)
        .run(&proptest::collection::vec(any::<u8>(), 0..200), |bytes| {
            check(&bytes);
            Ok(())
        })
        .unwrap();
    let pieces = proptest::sample::select(vec![
        "<",
        ">",
        "/",
        "</",
        "/>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?",
        "?>",
        "&",
        "&#",
        ";",
        "\"",
        "'",
        "=",
        " ",
        "x",
        "xmlns",
        ":",
        "<Rule>",
        "</Rule>",
        "<Role>",
        "</Role>",
        "<Filter>",
        "<ReplicationConfiguration>",
        "</ReplicationConfiguration>",
        "<!DOCTYPE a [",
        "]>",
        "\u{feff}",
    ]);
    cases(1_000)
        .run(&proptest::collection::vec(pieces, 0..40), |pieces| {
            check(pieces.concat().as_bytes());
            Ok(())
        })
        .unwrap();
    // Valid documents with a few bytes changed, removed or doubled.
    let damage = proptest::collection::vec((any::<usize>(), 0..3_u8, any::<u8>()), 1..4);
    cases(500)
        .run(&(root(), any::<u64>(), damage), |(model, seed, damage)| {
            let mut bytes = Style::new(seed, false).document(&model).into_bytes();
            for (at, kind, byte) in damage {
                let at = at % bytes.len();
                match kind {
                    0 => bytes[at] = byte,
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, bytes[at]),
                }
            }
            check(&bytes);
            Ok(())
        })
        .unwrap();
    eprintln!(
        "{} inputs, of which {} were configurations",
        inputs.into_inner(),
        accepted.into_inner()
    );
}
