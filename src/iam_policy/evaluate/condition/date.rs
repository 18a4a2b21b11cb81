//! Dates: the forms of ISO 8601 that W3C lists, and seconds since 1970.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

/// Seconds since 1970; `None` if the text is no date. Digits alone are seconds, as in `aws:EpochTime`.
pub(super) fn parse(text: &str) -> Option<f64> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(seconds as f64);
    }
    let (day, time) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
    let day = match day.len() {
        4 => format!("{day}-01-01"),
        7 => format!("{day}-01"),
        _ => day.to_owned(),
    };
    let offset = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (time, offset) = time.split_at_checked(offset)?;
    let seconds = if time.len() == "00:00".len() { ":00" } else { "" };
    let offset = if offset.is_empty() { "Z" } else { offset };
    let whole = format!("{day}T{time}{seconds}{offset}");
    DateTime::from_str(&whole, Format::DateTimeWithOffset).ok().map(|date| date.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_every_documented_form() {
        for (text, seconds) in [
            ("1970-01-01T00:00:01Z", 1.0),
            ("1970-01-01T00:00:01.5Z", 1.5),
            ("1970-01-01T01:00:00+01:00", 0.0),
            ("1970-01-01T00:01Z", 60.0),
            ("1970-01-02", 86_400.0),
            ("1970-02", 31.0 * 86_400.0),
            ("1970-01-01T00:00:01", 1.0),
            ("1609459200", 1_609_459_200.0),
            ("-1", -1.0),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
        }
        for text in
            ["", "today", "1970-13-01", "1970-01-01T25:00:00Z", "T", "é-01-01", "1970-01-01Té"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
