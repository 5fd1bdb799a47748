//! Capture time: nanoseconds since the Unix epoch, as the capture's own clock told them.
//!
//! Nothing in the library reads a clock. Arithmetic saturates, because a broken capture may hold
//! any number, and a duration is never negative.

use core::cell::Cell;
use core::fmt;

use serde::{Serialize, Serializer};

/// A moment on the capture's clock, in nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A non-negative length of capture time, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

/// A moment with the frame that shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// When, by the capture's clock.
    pub ts: Timestamp,
    /// The frame's number from 1; 0 where no frame shows it (a timer).
    pub frame: u64,
}

impl Moment {
    /// What has not come: where a moment is kept that a frame may show, none has so far.
    pub const NONE: Moment = Moment { ts: Timestamp(0), frame: 0 };

    /// A moment that no frame shows.
    pub const fn silent(ts: Timestamp) -> Moment {
        Moment { ts, frame: 0 }
    }
}

impl Timestamp {
    /// The moment `nanos` nanoseconds after the epoch (before it, when negative).
    pub const fn from_nanos(nanos: i64) -> Self {
        Timestamp(nanos)
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero if the clock ran backwards.
    pub const fn since(self, earlier: Timestamp) -> Span {
        if self.0 <= earlier.0 { Span(0) } else { Span(self.0.wrapping_sub(earlier.0) as u64) }
    }

    /// The moment `span` later, at most the end of representable time.
    pub const fn after(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_add_unsigned(span.0))
    }

    /// The moment `span` earlier, at least the start of representable time.
    pub const fn before(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_sub_unsigned(span.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// A span of `nanos` nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Self {
        Span(nanos)
    }

    /// A span of `micros` microseconds, saturating.
    pub const fn from_micros(micros: u64) -> Self {
        Span(micros.saturating_mul(1_000))
    }

    /// A span of `millis` milliseconds, saturating.
    pub const fn from_millis(millis: u64) -> Self {
        Span(millis.saturating_mul(1_000_000))
    }

    /// A span of `secs` seconds, saturating.
    pub const fn from_secs(secs: u64) -> Self {
        Span(secs.saturating_mul(1_000_000_000))
    }

    /// A span of `secs` seconds to the nearest nanosecond; zero for negative numbers and NaN,
    /// saturating at the top.
    pub fn from_secs_f64(secs: f64) -> Self {
        Span((secs * 1e9).round() as u64)
    }

    /// Whole nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds, rounded to what a float holds.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// This span `times` times over, saturating.
    pub const fn times(self, times: u64) -> Span {
        Span(self.0.saturating_mul(times))
    }

    /// Both spans together, saturating.
    pub const fn plus(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

/// RFC 3339 in UTC with nine fractional digits, as the JSON contract has it.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(time) => write!(f, "{time:.9}"),
            // Not reachable from an i64, whose range is years 1677 to 2262.
            Err(_) => write!(f, "{}ns", self.0),
        }
    }
}

/// As it is displayed. Moments that are written one after the other are mostly of one second, and
/// what a second is called takes ten times as long to find as the rest.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (second, nanos) = (self.0.div_euclid(SECOND), self.0.rem_euclid(SECOND));
        let mut text = NEWEST.get().filter(|(newest, _)| *newest == second).map(|(_, text)| text);
        if text.is_none() {
            text = self.to_string().as_bytes().try_into().ok();
            NEWEST.set(text.map(|text| (second, text)));
        }
        let Some(mut text) = text else { return serializer.collect_str(self) };
        let mut rest = nanos;
        for digit in text.iter_mut().skip(DATE_AND_TIME).take(9).rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        match str::from_utf8(&text) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.collect_str(self),
        }
    }
}

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;
/// Bytes of a date and a time with a point behind it.
const DATE_AND_TIME: usize = "2026-11-23T09:00:00.".len();
/// The same with nine digits and a `Z`.
type Text = [u8; DATE_AND_TIME + 10];

thread_local! {
    /// The second that was written last, and what one of its moments is called.
    static NEWEST: Cell<Option<(i64, Text)>> = const { Cell::new(None) };
}

/// A duration for people: three significant digits and a unit, `0 s` for nothing.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0 as f64;
        let (value, unit) = match self.0 {
            0 => return f.write_str("0 s"),
            1..1_000 => (nanos, "ns"),
            1_000..1_000_000 => (nanos / 1e3, "µs"),
            1_000_000..1_000_000_000 => (nanos / 1e6, "ms"),
            1_000_000_000..120_000_000_000 => (nanos / 1e9, "s"),
            120_000_000_000..7_200_000_000_000 => (nanos / 60e9, "min"),
            7_200_000_000_000..172_800_000_000_000 => (nanos / 3_600e9, "h"),
            _ => (nanos / 86_400e9, "d"),
        };
        let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
        let number = format!("{value:.decimals$}");
        let number = match number.contains('.') {
            true => number.trim_end_matches('0').trim_end_matches('.'),
            false => &number,
        };
        f.pad(&format!("{number} {unit}"))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_never_negative() {
        let (early, late) = (Timestamp::from_nanos(5), Timestamp::from_nanos(9));
        assert_eq!(late.since(early), Span::from_nanos(4));
        assert_eq!(early.since(late), Span::ZERO);
        let (first, last) = (Timestamp::from_nanos(i64::MIN), Timestamp::from_nanos(i64::MAX));
        assert_eq!(last.since(first), Span::from_nanos(u64::MAX));
        assert_eq!(last.after(Span::from_secs(1)), last);
        assert_eq!(first.after(last.since(first)), last);
    }

    #[test]
    fn a_decimal_of_seconds_is_the_nanosecond_that_it_names() {
        assert_eq!(Span::from_secs_f64(0.000724), Span::from_nanos(724_000));
        assert_eq!(Span::from_secs_f64(-1.0), Span::ZERO);
        assert_eq!(Span::from_secs_f64(f64::NAN), Span::ZERO);
    }

    #[test]
    fn times_print_as_rfc_3339_with_nine_digits() {
        let time = Timestamp::from_nanos(1_795_172_489_836_089_000);
        assert_eq!(time.to_string(), "2026-11-20T11:01:29.836089000Z");
        assert_eq!(Timestamp::default().to_string(), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(Timestamp::from_nanos(i64::MIN).to_string(), "1677-09-21T00:12:43.145224192Z");
    }

    #[test]
    fn times_are_written_as_they_print_whatever_was_written_before() {
        let second = 1_795_172_489 * SECOND;
        let nanos =
            [0, 1, second, second + 999_999_999, second - 1, second, -1, i64::MIN, i64::MAX];
        for time in nanos.map(Timestamp::from_nanos) {
            assert_eq!(serde_json::to_string(&time).unwrap(), format!("\"{time}\""));
        }
    }

    #[test]
    fn spans_print_three_digits_and_a_unit() {
        let shown = |nanos| Span::from_nanos(nanos).to_string();
        assert_eq!(shown(0), "0 s");
        assert_eq!(shown(93_000), "93 µs");
        assert_eq!(shown(40_200_000), "40.2 ms");
        assert_eq!(shown(1_500_000_000), "1.5 s");
        assert_eq!(shown(60_000_000_000), "60 s");
        assert_eq!(shown(300_000_000_000), "5 min");
        assert_eq!(shown(7_200_000_000_000), "2 h");
    }
}
