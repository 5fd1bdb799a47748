//! The time within one connection.

use crate::time::Timestamp;

/// The clock of one connection: whole units since its first segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// The first segment's time.
    pub first: Timestamp,
    /// Whether all times are whole microseconds.
    pub in_micros: bool,
}

/// Units that a moment may lie behind the first segment; they are kept in five bytes.
pub(super) const UNITS_MAX: u64 = (1 << 40) - 2;

impl Clock {
    pub fn beginning(first: Timestamp) -> Clock {
        Clock { first, in_micros: first.as_nanos() % 1_000 == 0 }
    }

    /// Units from the first segment to `ts`, if they are whole and not too many.
    #[inline]
    pub fn units(&self, ts: Timestamp) -> Option<u64> {
        let nanos = ts.as_nanos().checked_sub(self.first.as_nanos())?;
        let nanos = u64::try_from(nanos).ok()?;
        let units = if self.in_micros {
            let micros = nanos / 1_000;
            if micros * 1_000 != nanos {
                return None;
            }
            micros
        } else {
            nanos
        };
        (units <= UNITS_MAX).then_some(units)
    }

    /// Nanoseconds of so many units.
    #[inline]
    pub fn nanos(&self, units: u64) -> u64 {
        if self.in_micros { units * 1_000 } else { units }
    }

    #[inline]
    pub fn time(&self, units: u64) -> Timestamp {
        Timestamp::from_nanos(self.first.as_nanos().wrapping_add(self.nanos(units) as i64))
    }
}
