//! Lines of a shell that a person pastes.
//!
//! It owns the quoting: names, ARNs and prefixes are texts of others, and none of them may end a word or run a command. It must not know the programs.

/// Characters without a meaning for a shell, but for `=` at the beginning of a word.
const PLAIN: &str = "@+:,./_-=";

/// A command as a line for a shell. Each word stays one word, whatever it contains.
#[must_use]
pub fn line(words: &[&str]) -> String {
    words.iter().map(|text| word(text)).collect::<Vec<_>>().join(" ")
}

fn word(text: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || PLAIN.contains(character);
    if !text.is_empty() && !text.starts_with('=') && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::line;

    #[test]
    fn words_of_a_line_reach_the_program_unchanged_whatever_they_contain() {
        let words = [
            "arn:aws:iam::111122223333:role/$(id)/their-replication",
            "`id`; id & id | id > out < in",
            "it's \"both\"",
            r"back\slash",
            "two\nlines",
            "",
            "*?[a]{b,c}~!#",
            "=id",
            "%ä",
        ];
        let line = line(&[&["printf", "%s\\0"], &words[..]].concat());
        let output = Command::new("sh").args(["-c", &line]).output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert_eq!(shown.split_terminator('\0').collect::<Vec<_>>(), words, "{line}");
    }

    #[test]
    fn words_that_mean_nothing_to_a_shell_stay_readable() {
        let words =
            ["aws", "--key-id", "arn:aws:kms:us-west-2:111122223333:key/a-b_c", "Status=Enabled"];
        assert_eq!(line(&words), words.join(" "));
    }
}
