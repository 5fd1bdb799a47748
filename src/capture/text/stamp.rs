//! The time in front of a printed packet, in every form that `-t` and its repetitions give, and
//! the clock that makes moments of them.

use crate::time::Timestamp;

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// A time as it stood, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// `14:00:38.819856`: since midnight; with `-ttt` or `-ttttt`, since some packet before.
    TimeOfDay(i64),
    /// `1588921646.472768` (`-tt`).
    Epoch(i64),
    /// `2005-07-16 07:29:43.239453` (`-tttt`), counted as if it were UTC.
    Date(i64),
    /// `000095`, `3. 002703` or `-00:00:00.000001` (`-ttt`): since the packet before.
    Delta(i64),
}

impl Stamp {
    /// The stamp at the front of the text, and what follows it.
    pub(super) fn split(text: &str) -> Option<(Stamp, &str)> {
        date(text).or_else(|| delta(text)).or_else(|| epoch(text)).or_else(|| {
            let (nanos, rest) = time_of_day(text)?;
            Some((Stamp::TimeOfDay(nanos), rest))
        })
    }
}

/// Digits at the front, at most 18 so that they fit, and what follows.
fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    (1..=18).contains(&digits.len()).then_some((digits, rest))
}

fn number(text: &str) -> Option<(i64, &str)> {
    let (digits, rest) = digits(text)?;
    Some((digits.parse().ok()?, rest))
}

/// `.819856` as nanoseconds: three, six or nine digits.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let (digits, rest) = digits(text.strip_prefix('.')?)?;
    let unit = match digits.len() {
        3 => 1_000_000,
        6 => 1_000,
        9 => 1,
        _ => return None,
    };
    Some((digits.parse::<i64>().ok()? * unit, rest))
}

/// What follows a stamp: a blank, or nothing.
fn end(rest: &str) -> Option<&str> {
    match rest.trim_start_matches([' ', '\t']) {
        "" => Some(""),
        trimmed if trimmed.len() < rest.len() => Some(trimmed),
        _ => None,
    }
}

fn time_of_day(text: &str) -> Option<(i64, &str)> {
    let (hours, rest) = number(text)?;
    let (minutes, rest) = number(rest.strip_prefix(':')?)?;
    let (seconds, rest) = number(rest.strip_prefix(':')?)?;
    let (nanos, rest) = fraction(rest)?;
    if hours > 9_999 || minutes > 59 || seconds > 60 {
        return None;
    }
    Some((hours * HOUR + (minutes * 60 + seconds) * SECOND + nanos, end(rest)?))
}

fn epoch(text: &str) -> Option<(Stamp, &str)> {
    let (seconds, rest) = number(text)?;
    let (nanos, rest) = fraction(rest)?;
    Some((Stamp::Epoch(seconds.checked_mul(SECOND)?.checked_add(nanos)?), end(rest)?))
}

/// Versions before 4.1 print microseconds, six digits, after the seconds if there are any.
fn delta(text: &str) -> Option<(Stamp, &str)> {
    if let Some(rest) = text.strip_prefix('-') {
        if let Some((nanos, rest)) = time_of_day(rest) {
            return Some((Stamp::Delta(-nanos), rest));
        }
        // `-1. 999768` is a quarter of a millisecond back.
        let (seconds, rest) = number(rest)?;
        let (micros, rest) = digits(rest.strip_prefix(". ")?)?;
        let nanos = micros.parse::<i64>().ok().filter(|_| micros.len() == 6)? * 1_000;
        let back = seconds.checked_mul(-SECOND)?;
        return Some((Stamp::Delta(back.checked_add(nanos)?), end(rest)?));
    }
    let (first, rest) = digits(text)?;
    let (seconds, micros, rest) = match rest.strip_prefix(". ") {
        Some(rest) => {
            let (micros, rest) = digits(rest)?;
            (first.parse::<i64>().ok()?, micros, rest)
        }
        None => (0, first, rest),
    };
    if micros.len() != 6 || !rest.starts_with(' ') || rest.starts_with("  ") {
        return None;
    }
    let nanos = micros.parse::<i64>().ok()? * 1_000;
    Some((Stamp::Delta(seconds.checked_mul(SECOND)?.checked_add(nanos)?), end(rest)?))
}

/// `2005-07-16 07:29:43.239453`, and `07/16/2005 07:29:43.239453` from versions before 3.8.
fn date(text: &str) -> Option<(Stamp, &str)> {
    let (first, rest) = number(text)?;
    let separator = rest.chars().next().filter(|it| matches!(it, '-' | '/'))?;
    let (second, rest) = number(rest.strip_prefix(separator)?)?;
    let (third, rest) = number(rest.strip_prefix(separator)?)?;
    let (year, month, day) = match separator {
        '-' => (first, second, third),
        _ => (third, first, second),
    };
    let year = i16::try_from(year).ok()?;
    let date = jiff::civil::Date::new(year, month.try_into().ok()?, day.try_into().ok()?).ok()?;
    let days = date.since(jiff::civil::Date::new(1970, 1, 1).ok()?).ok()?.get_days();
    let (nanos, rest) = time_of_day(rest.strip_prefix(' ')?.trim_start())?;
    Some((Stamp::Date(i64::from(days).checked_mul(DAY)?.checked_add(nanos)?), rest))
}

/// What the times of a text mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clock {
    /// Moments: a capture, or `-tt`.
    #[default]
    Utc,
    /// Dates and times of day in a time zone that the text does not name.
    NoZone,
    /// Times of day without a date.
    TimeOfDay,
    /// Times since the first packet.
    SinceStart,
    /// Some packets have no time at all.
    None,
}

impl Clock {
    /// Its name in machine output.
    pub const fn name(self) -> &'static str {
        match self {
            Clock::Utc => "utc",
            Clock::NoZone => "no-zone",
            Clock::TimeOfDay => "time-of-day",
            Clock::SinceStart => "since-start",
            Clock::None => "none",
        }
    }
}

/// Makes moments of stamps, one after the other.
#[derive(Debug, Default)]
pub(super) struct Reckoning {
    /// The last moment, in nanoseconds since the epoch.
    last: i64,
    begun: bool,
    /// How `HH:MM:SS` is meant, once it is known.
    pub(super) hours: Option<Hours>,
}

/// What `HH:MM:SS` counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hours {
    Midnight,
    /// `-ttttt`.
    FirstPacket,
    /// `-ttt`.
    PacketBefore,
}

/// A time of day that lies so far back is the next day's. Less is a clock that was set, or packets
/// out of order.
const NEXT_DAY: i64 = HOUR;

impl Reckoning {
    /// The moment of the next packet, and what kind of clock tells it. Without a stamp it is the
    /// moment of the packet before.
    pub(super) fn moment(&mut self, stamp: Option<Stamp>) -> (Timestamp, Clock) {
        let (nanos, clock) = match stamp {
            None => (self.last, Clock::None),
            Some(Stamp::Epoch(nanos)) => (nanos, Clock::Utc),
            Some(Stamp::Date(nanos)) => (nanos, Clock::NoZone),
            Some(Stamp::Delta(nanos)) => (self.last.saturating_add(nanos), Clock::SinceStart),
            Some(Stamp::TimeOfDay(nanos)) => match self.hours {
                Some(Hours::PacketBefore) => (self.last.saturating_add(nanos), Clock::SinceStart),
                Some(Hours::FirstPacket) => (nanos, Clock::SinceStart),
                _ => (self.of_day(nanos), Clock::TimeOfDay),
            },
        };
        self.begun = true;
        self.last = nanos;
        (Timestamp::from_nanos(nanos), clock)
    }

    /// The time of day on the day of the packet before, or the next one, or the one before.
    fn of_day(&self, nanos: i64) -> i64 {
        if !self.begun {
            return nanos;
        }
        let midnight = self.last - self.last.rem_euclid(DAY);
        let same_day = midnight.saturating_add(nanos);
        if self.last.saturating_sub(same_day) > NEXT_DAY {
            same_day.saturating_add(DAY)
        } else if midnight >= DAY && same_day.saturating_sub(self.last) > DAY - NEXT_DAY {
            same_day - DAY
        } else {
            same_day
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(text: &str) -> Option<(Stamp, &str)> {
        Stamp::split(text)
    }

    #[test]
    fn every_form_is_read() {
        let micros = |micros: i64| micros * 1_000;
        let noon = 12 * HOUR + micros(5);
        assert_eq!(stamp("12:00:00.000005 IP a"), Some((Stamp::TimeOfDay(noon), "IP a")));
        assert_eq!(stamp("12:00:00.000005000 IP"), Some((Stamp::TimeOfDay(noon), "IP")));
        let epoch = 1_588_921_646 * SECOND + micros(472_768);
        assert_eq!(stamp("1588921646.472768 AF"), Some((Stamp::Epoch(epoch), "AF")));
        assert_eq!(stamp("000095 IP"), Some((Stamp::Delta(micros(95)), "IP")));
        assert_eq!(stamp("3. 002703 IP"), Some((Stamp::Delta(3 * SECOND + micros(2_703)), "IP")));
        assert_eq!(stamp("-00:00:00.000001 IP"), Some((Stamp::Delta(-1_000), "IP")));
        assert_eq!(stamp("-1. 999768 IP"), Some((Stamp::Delta(micros(-232)), "IP")));
        let date = Stamp::Date(DAY + HOUR);
        assert_eq!(stamp("1970-01-02 01:00:00.000000 IP"), Some((date, "IP")));
        assert_eq!(stamp("01/02/1970 01:00:00.000000 IP"), Some((date, "IP")));
    }

    #[test]
    fn what_is_none_is_left() {
        for text in [
            "IP 10.0.0.1",
            "10.0.0.1.80 > 10.0.0.2.5: .",
            "12:00:00 IP",
            "12:61:00.000000 IP",
            "1  IP",
            "100000  IP",
            "2026-13-01 00:00:00.000000 IP",
            "12:00:00.000005x",
            "",
            "99999999999999999999.000000 IP",
            "2026-01-01",
            "1:2",
            "0x0010:  0a00",
        ] {
            assert_eq!(stamp(text), None, "{text}");
        }
    }

    fn moments(hours: Option<Hours>, stamps: &[i64]) -> Vec<i64> {
        let mut reckoning = Reckoning { hours, ..Reckoning::default() };
        let moment = |nanos: &i64| reckoning.moment(Some(Stamp::TimeOfDay(*nanos))).0.as_nanos();
        stamps.iter().map(moment).collect()
    }

    #[test]
    fn midnight_goes_on_and_a_straggler_stays_before_it() {
        let late = 24 * HOUR - 1;
        assert_eq!(moments(None, &[late, 5, late, 6]), [late, DAY + 5, late, DAY + 6]);
        assert_eq!(moments(None, &[2 * HOUR, HOUR + 1, 3 * HOUR]), [2 * HOUR, HOUR + 1, 3 * HOUR]);
        assert_eq!(moments(Some(Hours::PacketBefore), &[0, 5, 7]), [0, 5, 12]);
        assert_eq!(moments(Some(Hours::FirstPacket), &[0, 5, 30 * HOUR]), [0, 5, 30 * HOUR]);
    }

    #[test]
    fn a_time_of_day_after_a_date_is_of_that_day() {
        let mut reckoning = Reckoning::default();
        reckoning.moment(Some(Stamp::Date(10 * DAY + HOUR)));
        let (ts, clock) = reckoning.moment(Some(Stamp::TimeOfDay(2 * HOUR)));
        assert_eq!((ts.as_nanos(), clock), (10 * DAY + 2 * HOUR, Clock::TimeOfDay));
        assert_eq!(reckoning.moment(None), (ts, Clock::None));
    }
}
