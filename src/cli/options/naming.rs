//! The names of options in messages of the library, which names properties and settings.
//!
//! It owns which name an option has. It must not know what a message says.

use std::collections::BTreeSet;

use super::command_line;

/// Replaces properties and settings in backticks with the options of the same name.
pub fn name_options(message: &str) -> String {
    let command = command_line();
    let options = |command: &clap::Command| {
        command
            .get_arguments()
            .filter_map(|arg| arg.get_long().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let known: BTreeSet<String> = command.get_subcommands().flat_map(options).collect();
    let parts: Vec<&str> = message.split('`').collect();
    let quotes_are_paired = parts.len() % 2 == 1;
    if !quotes_are_paired {
        return message.to_owned();
    }
    let renamed = |quoted: &str| {
        let option = kebab_case(quoted);
        let is_other_name = known.contains(&option) && option != quoted;
        if is_other_name { format!("--{option}") } else { format!("`{quoted}`") }
    };
    let is_quoted = |index: usize| index % 2 == 1;
    let part = |(index, part): (usize, &&str)| {
        if is_quoted(index) { renamed(part) } else { (*part).to_owned() }
    };
    parts.iter().enumerate().map(part).collect()
}

/// Converts `SourceBucket` and `SOURCE_BUCKET` to `source-bucket`.
fn kebab_case(name: &str) -> String {
    if name.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
        return name.to_ascii_lowercase().replace('_', "-");
    }
    let mut kebab = String::new();
    for (index, character) in name.chars().enumerate() {
        if character.is_ascii_uppercase() && index > 0 {
            kebab.push('-');
        }
        kebab.push(character.to_ascii_lowercase());
    }
    kebab
}
