//! What the derived command line lacks: options that depend on each other, and options that a command accepts and does not show.
//!
//! It knows options by their names and groups alone. It must not know what their values mean.

use std::collections::BTreeSet;

use clap::CommandFactory;

use super::CommandLine;

/// The program's command line. `delete` and `verify` accept the options of `apply`, and their help leaves out those without effect.
pub fn command_line() -> clap::Command {
    let program = CommandLine::command();
    let of_existing_rule = |command: clap::Command| {
        let help = "Bucket that receives the replicas [required, or --name]";
        command.mut_arg("destination_bucket", |option| option.help(help))
    };
    let delete = |command| of_existing_rule(hide(command, &["Properties"], &[]));
    let verify = |command| {
        let help = "Key that encrypts the object [default: the bucket's default encryption]";
        let groups = ["Properties", "Confirmation", "Limits", "DeployedFunction"];
        of_existing_rule(hide(command, &groups, &["source_kms_key_arns"]))
            .mut_arg("source_kms_key_arns", |option| option.help(help))
    };
    program
        .mut_subcommand("plan", separate_walk)
        .mut_subcommand("apply", separate_walk)
        .mut_subcommand("delete", delete)
        .mut_subcommand("verify", verify)
}

/// Refuses the options of one rule beside those of the walk. The error names only the options that were given, which it would not if the
/// conflict were one with a whole group.
fn separate_walk(command: clap::Command) -> clap::Command {
    let of_rule = members(&command, &["RuleTarget", "Properties"]);
    ["policy", "all"].into_iter().fold(command, |command, name| {
        command.mut_arg(name, |option| option.conflicts_with_all(&of_rule))
    })
}

/// The options of the groups.
fn members(command: &clap::Command, groups: &[&str]) -> BTreeSet<clap::Id> {
    command
        .get_groups()
        .filter(|group| groups.contains(&group.get_id().as_str()))
        .flat_map(|group| group.get_args().cloned())
        .collect()
}

/// Hides the options of the groups, but for those in `shown`.
fn hide(command: clap::Command, groups: &[&str], shown: &[&str]) -> clap::Command {
    let members = members(&command, groups);
    command.mut_args(|option| {
        let id = option.get_id();
        let is_hidden = members.contains(id) && !shown.contains(&id.as_str());
        if is_hidden { option.hide(true) } else { option }
    })
}
