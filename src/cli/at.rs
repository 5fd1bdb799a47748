//! A moment of a capture on the command line: `end`, `+SECONDS` from its start, or a time.

use super::args::seconds;
use crate::run::{Analysis, Until};
use crate::time::{Span, Timestamp};

/// What is said of a time that no [`Timestamp`] is.
pub fn out_of_range() -> String {
    let [first, last] = [i64::MIN, i64::MAX].map(Timestamp::from_nanos);
    format!("out of range: times go from {first} to {last}")
}

/// A moment of the capture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    /// Its end.
    End,
    /// So long after its start.
    After(Span),
    /// By the clock.
    Time(Timestamp),
}

impl At {
    /// Reads one.
    pub fn parse(text: &str) -> Result<At, String> {
        if text == "end" {
            return Ok(At::End);
        }
        if let Some(after) = text.strip_prefix('+') {
            return seconds(after).map(At::After);
        }
        let time: Result<jiff::Timestamp, _> = text.parse();
        let nanos = time.ok().and_then(|time| i64::try_from(time.as_nanosecond()).ok());
        nanos.map(|nanos| At::Time(Timestamp::from_nanos(nanos))).ok_or_else(|| {
            // What is a time and cannot be taken is beyond what a capture may hold.
            match jiff::fmt::temporal::Pieces::parse(text).is_ok_and(|it| it.offset().is_some()) {
                true => format!("the time is {}", out_of_range()),
                false => "give a time with its zone as in 2026-11-20T11:01:29Z, +SECONDS from the \
                          capture's start, or end"
                    .to_string(),
            }
        })
    }

    /// The same as what a capture's end is set to; none where it stays.
    pub fn until(self) -> Option<Until> {
        match self {
            At::End => None,
            At::After(span) => Some(Until::After(span)),
            At::Time(ts) => Some(Until::Time(ts)),
        }
    }

    /// The moment that it is in that capture; none if only a packet could tell that, and there is
    /// none.
    pub fn of(self, analysis: &Analysis) -> Option<Timestamp> {
        match self {
            At::End => analysis.totals.last_ts,
            At::After(span) => analysis.totals.first_ts.map(|first| first.after(span)),
            At::Time(ts) => Some(ts),
        }
    }
}
