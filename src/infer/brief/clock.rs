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
        /// What 125 is multiplied by to give 1, if what does not fit is lost.
        const INVERSE_OF_125: u64 = 0x1cac_0831_26e9_78d5;
        let nanos = ts.as_nanos().checked_sub(self.first.as_nanos())?;
        let nanos = u64::try_from(nanos).ok()?;
        let units = match self.in_micros {
            // A division by 1000 where nothing is left over. Where anything is, this is more than
            // any number of units: no other number gives the product that these few have.
            true => nanos.wrapping_mul(INVERSE_OF_125).rotate_right(3),
            false => nanos,
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
