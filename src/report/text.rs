//! Small things that every human report needs: clean strings, counts, times, and their widths.

use core::fmt;
use std::borrow::Cow;

use jiff::fmt::strtime;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::capture::text::Clock;
pub use crate::grouped::{Grouped, lasting, plural};
use crate::history::Stay;
use crate::report::json::is_obeyed;
use crate::time::{Span, Timestamp};

/// Text from a capture, a path or the command line, without what a terminal would obey: control
/// characters and marks that turn the writing's direction become `\u{fffd}`.
pub fn clean(text: &str) -> Cow<'_, str> {
    match text.contains(is_obeyed) {
        true => text.replace(is_obeyed, "\u{fffd}").into(),
        false => text.into(),
    }
}

/// Bytes for people: `512 B`, `1.2 kB`, `34 MB`.
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
        if self.0 < 1_000 {
            return f.pad(&format!("{} B", self.0));
        }
        let mut value = self.0 as f64 / 1e3;
        let mut unit = UNITS.iter();
        let mut name = unit.next();
        while value >= 999.5 {
            value /= 1e3;
            name = unit.next();
        }
        let decimals = usize::from(value < 9.95);
        f.pad(&format!("{value:.decimals$} {}", name.unwrap_or(&"")))
    }
}

/// Seconds since some start, to the microsecond.
pub struct Since(pub Span);

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_nanos() / 1_000;
        f.pad(&format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000))
    }
}

/// How long a stay lasted: `41 s`, or `>= 41 s` while it goes on.
pub fn dwell(stay: &Stay) -> String {
    lasting(stay.dwell, stay.left.is_none())
}

/// What stands where a moment would, of a capture without a packet.
pub const NO_MOMENT: &str = "there is no packet, and so no moment";

/// A moment as far as the capture's clock tells it, to the microsecond.
pub fn moment(ts: Timestamp, clock: Clock) -> String {
    match clock {
        Clock::Utc => date_time(ts),
        Clock::NoZone => utc(ts, "%Y-%m-%d %H:%M:%S.%6f (time zone not known)"),
        Clock::TimeOfDay => format!("{}{} (date not known)", days(ts), utc(ts, "%H:%M:%S.%6f")),
        Clock::SinceStart => {
            format!("+{} s (date not known)", Since(ts.since(Timestamp::default())))
        }
        Clock::None => "all at one time, as the text has none".to_string(),
    }
}

/// `day 2, ` for a time of day that is not of the first one.
fn days(ts: Timestamp) -> String {
    let day = ts.since(Timestamp::default()).as_nanos() / 86_400_000_000_000;
    if day == 0 { String::new() } else { format!("day {}, ", day + 1) }
}

/// A date and a time of day in UTC, to the microsecond.
fn date_time(ts: Timestamp) -> String {
    utc(ts, "%Y-%m-%d %H:%M:%S.%6f UTC")
}

/// The day of a time, as far as the capture's clock tells it.
pub fn day(ts: Timestamp, clock: Clock) -> String {
    match clock {
        Clock::Utc => utc(ts, "%Y-%m-%d UTC"),
        Clock::NoZone => utc(ts, "%Y-%m-%d (time zone not known)"),
        Clock::TimeOfDay | Clock::SinceStart | Clock::None => {
            format!("{}date not known", days(ts))
        }
    }
}

/// A time of day in UTC, to the second.
pub fn time_of_day(ts: Timestamp) -> String {
    utc(ts, "%H:%M:%S")
}

fn utc(ts: Timestamp, format: &str) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(ts.as_nanos()))
        .ok()
        .and_then(|time| strtime::format(format, time).ok())
        // Not reachable: every i64 of nanoseconds is a time.
        .unwrap_or_else(|| ts.to_string())
}

/// How many columns text takes on a terminal: letters of Chinese, Japanese and Korean take two, and
/// marks over letters none.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text cut to so many columns, with `…` in place of its end.
pub fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    cut(text, columns, |letter| letter.width().unwrap_or_default())
}

/// The text cut to so many letters, of which some may take no column.
pub fn fit_letters(text: &str, letters: usize) -> Cow<'_, str> {
    cut(text, letters, |_| 1)
}

fn cut(text: &str, max: usize, size: impl Fn(char) -> usize) -> Cow<'_, str> {
    // Where the text would end, if one more had to stand behind it.
    let (mut taken, mut end) = (0, 0);
    for (at, letter) in text.char_indices() {
        taken += size(letter);
        if taken > max {
            return format!("{}…", text.get(..end).unwrap_or_default()).into();
        }
        if taken < max {
            end = at + letter.len_utf8();
        }
    }
    text.into()
}

/// Words, with what belongs to a number in one: `48 %`, `>= 2.5 min`.
fn unbroken(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = "";
    for word in text.split_whitespace() {
        match words.last_mut() {
            Some(last) if belongs(before, word) => *last += &format!(" {word}"),
            _ => words.push(word.to_owned()),
        }
        before = word;
    }
    words
}

/// Whether a word and the next are one number: a bound and it, or it and its unit.
fn belongs(word: &str, next: &str) -> bool {
    const UNITS: [&str; 15] =
        ["%", "ns", "µs", "ms", "s", "min", "h", "d", "B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let is_number = |word: &str| word.starts_with(|letter: char| letter.is_ascii_digit());
    let word = word.trim_start_matches('(');
    let unit = next.trim_end_matches([')', ',', '.', ';', ':']);
    let ends_in_digit = word.ends_with(|letter: char| letter.is_ascii_digit());
    word == ">=" && is_number(next) || is_number(word) && ends_in_digit && UNITS.contains(&unit)
}

/// Breaks text at blanks into lines of so many columns, but no number from its unit.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in unbroken(text) {
        let word = word.as_str();
        if !line.is_empty() && width(&line) + 1 + width(word) > columns {
            lines.push(core::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_passes() {
        assert_eq!(
            clean("a\x1b[31mb\u{9b}c\u{202e}d\ne"),
            "a\u{fffd}[31mb\u{fffd}c\u{fffd}d\u{fffd}e"
        );
        assert_eq!(clean("Zürich.pcap"), "Zürich.pcap");
        let marks = "\u{61c}\u{200e}\u{200f}\u{2028}\u{202a}\u{2066}\u{2069}\u{85}\u{7f}";
        assert_eq!(clean(marks), "\u{fffd}".repeat(9));
        assert!(!is_obeyed('\u{2027}') && !is_obeyed('é'));
    }

    #[test]
    fn counts_and_bytes_are_readable() {
        assert_eq!(plural(1, "packet"), "1 packet");
        assert_eq!(plural(1_234_567, "packet"), "1,234,567 packets");
        assert_eq!(plural(999, "packet"), "999 packets");
        assert_eq!(Bytes(999).to_string(), "999 B");
        assert_eq!(Bytes(1_234).to_string(), "1.2 kB");
        assert_eq!(Bytes(999_600).to_string(), "1.0 MB");
        assert_eq!(Bytes(u64::MAX).to_string(), "18 EB");
    }

    #[test]
    fn times_are_told_to_the_microsecond() {
        assert_eq!(Since(Span::from_nanos(1_234_567_890)).to_string(), "1.234567");
        let ts = Timestamp::from_nanos(1_795_172_489_836_089_123);
        assert_eq!(date_time(ts), "2026-11-20 11:01:29.836089 UTC");
        assert_eq!(time_of_day(ts), "11:01:29");
    }

    #[test]
    fn lines_break_at_blanks() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("unbreakable", 3), ["unbreakable"]);
        assert_eq!(wrap("12 of 25 (48 %): lost", 12), ["12 of 25", "(48 %): lost"]);
        assert_eq!(wrap("in >= 68.3 s, or", 7), ["in", ">= 68.3 s,", "or"]);
        assert_eq!(wrap("at 80 s a day", 5), ["at", "80 s", "a day"]);
        assert_eq!(wrap("a10:80 s", 6), ["a10:80", "s"]);
        assert_eq!(fit("10.0.0.1:80", 6), "10.0.…");
    }

    #[test]
    fn wide_letters_take_two_columns() {
        assert_eq!((width("データ-1"), width("e\u{301}"), width("▁─⟶✓…")), (8, 1, 5));
        assert_eq!(fit("データベース:6800", 9), "データベ…");
        assert_eq!(fit("データベース:6800", 8), "データ…");
        assert_eq!(fit("データ", 6), "データ");
        assert_eq!(fit_letters("データベース:6800", 6), "データベー…");
        assert_eq!(fit_letters("e\u{301}e\u{301}", 3), "e\u{301}…");
        assert_eq!(wrap("データ ベース a", 8), ["データ", "ベース a"]);
    }
}
