//! The layers of the library import one way only: a module imports from the modules above it in [`LAYERS`], and from its own children.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of `src`, from the bottom to the top, as in docs/architecture.md.
const LAYERS: [&str; 14] = [
    "model",
    "spec",
    "iam_policy",
    "plan",
    "verify",
    "diagnose",
    "ports",
    "config",
    "request",
    "reconcile",
    "error",
    "respond",
    "aws",
    "handler",
];

/// The modules without async functions, clocks, environment and clients.
const PURE: [&str; 6] = ["model", "spec", "iam_policy", "plan", "verify", "diagnose"];

/// What a pure module has no use for.
const IMPURE: [&str; 8] = [
    "async ",
    "tokio::",
    "Instant::now",
    "SystemTime::now",
    "std::env",
    "env::var",
    "::Client",
    "aws_config",
];

fn source_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files =
        entries.flat_map(|path| if path.is_dir() { source_files(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// The layer of a file; `None` for the crate's root and for the programs.
fn layer(file: &Path) -> Option<&'static str> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let top = file.strip_prefix(source).unwrap().iter().next().unwrap().to_str().unwrap();
    let name = top.trim_end_matches(".rs");
    assert!(
        LAYERS.contains(&name) || ["lib", "main", "cli"].contains(&name),
        "`{name}` has no place among the layers"
    );
    LAYERS.into_iter().find(|layer| *layer == name)
}

/// The modules that a text imports from the crate's root, wherever it names them, also within braces.
fn imported(text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let name = |text: &str| {
        text.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap().to_owned()
    };
    let mut modules = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            None => {
                modules.insert(name(rest));
            }
            Some(group) => {
                let group = group.split("};").next().unwrap();
                modules.extend(group.split(',').map(|item| name(item.trim())));
            }
        }
    }
    modules
}

/// The text of a file without its unit tests, which may use any layer.
fn without_tests(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    text.split("#[cfg(test)]\nmod").next().unwrap().to_owned()
}

/// The lines of a module's documentation.
fn header(text: &str) -> Vec<&str> {
    text.lines().map_while(|line| line.strip_prefix("//!")).collect()
}

fn is_test(file: &Path) -> bool {
    ["tests.rs", "schema.rs"].contains(&file.file_name().unwrap().to_str().unwrap())
}

#[test]
fn modules_import_only_from_the_layers_above_them() {
    let mut imports = 0;
    for file in source_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let Some(own) = layer(&file).filter(|_| !is_test(&file)) else { continue };
        let place = |name: &str| LAYERS.iter().position(|layer| *layer == name);
        for other in imported(&without_tests(&file)).iter().filter(|other| *other != own) {
            imports += 1;
            let Some(place_of_other) = place(other) else {
                panic!("{}: unknown module `{other}`", file.display())
            };
            assert!(
                Some(place_of_other) < place(own),
                "{}: `{own}` imports `{other}`",
                file.display()
            );
        }
    }
    assert!(imports > 100, "{imports} imports were found");
}

#[test]
fn pure_layers_have_no_async_function_clock_environment_or_client() {
    for file in source_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        if !layer(&file).is_some_and(|layer| PURE.contains(&layer)) || is_test(&file) {
            continue;
        }
        let text = without_tests(&file);
        for (number, line) in
            text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
        {
            for word in IMPURE {
                assert!(!line.contains(word), "{}:{}: {line}", file.display(), number + 1);
            }
        }
    }
}

#[test]
fn every_file_begins_with_what_it_owns_and_a_layer_with_what_it_must_not_know() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in source_files(&source) {
        let text = fs::read_to_string(&file).unwrap();
        let header = header(&text);
        let says_it = header.first().is_some_and(|line| !line.trim().is_empty());
        assert!(says_it, "{}: the first line is no `//!` line", file.display());
        let is_layer = layer(&file).is_some_and(|layer| {
            file == source.join(layer).join("mod.rs")
                || file == source.join(layer).with_extension("rs")
        });
        assert!(
            !is_layer || header.iter().any(|line| line.contains("must not")),
            "{}: a layer says what it must not know or do",
            file.display()
        );
    }
}

#[test]
fn the_engine_and_the_requests_do_not_import_each_other() {
    for file in source_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        if let Some("reconcile") = layer(&file) {
            let text = without_tests(&file);
            assert!(!imported(&text).contains("request"), "{}", file.display());
        }
    }
}

#[test]
fn imports_are_found_in_all_their_forms() {
    let text = "use crate::model::Key;\nuse crate::{plan, spec::Spec};\n// crate::aws\nfn f() -> crate::ports::X {}";
    let found = imported(text);
    assert_eq!(found.iter().collect::<Vec<_>>(), ["model", "plan", "ports", "spec"]);
}
