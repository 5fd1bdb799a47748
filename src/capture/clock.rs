//! Interface clocks: what one tick of a pcapng timestamp is, and where zero lies.
//!
//! `if_tsresol` gives ticks per second as a power of ten or of two, `if_tsoffset` seconds to add.
//! Both are computed here in 128 bits, since pcap-parser refuses every power of two, reads the
//! offset in the wrong byte order and cuts the result to 32 bits.

use crate::time::Timestamp;

const NANOS_PER_SEC: u64 = 1_000_000_000;

/// How an interface's timestamps become nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    tick: Tick,
    offset_nanos: i128,
}

/// The length of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tick {
    /// So many nanoseconds: decimal resolutions down to 10^-9.
    Nanos(u64),
    /// One of so many in a nanosecond: finer decimal resolutions.
    PerNano(u128),
    /// 2^-n seconds.
    Binary(u32),
}

impl Clock {
    /// The clock of an interface with these options; without them, 6 and 0: microseconds.
    pub(super) fn new(tsresol: u8, tsoffset: i64) -> Self {
        let exponent = u32::from(tsresol & 0x7f);
        let tick = if tsresol & 0x80 != 0 {
            Tick::Binary(exponent)
        } else if exponent <= 9 {
            Tick::Nanos(10u64.saturating_pow(9 - exponent))
        } else {
            Tick::PerNano(10u128.saturating_pow(exponent - 9))
        };
        let offset_nanos = i128::from(tsoffset) * i128::from(NANOS_PER_SEC);
        Clock { tick, offset_nanos }
    }

    /// The same with ticks of a microsecond.
    pub(super) fn in_micros(&self) -> Self {
        Clock { tick: Tick::Nanos(1_000), ..*self }
    }

    /// The moment of a timestamp; times outside the representable range become its ends.
    #[inline]
    pub(super) fn time(&self, high: u32, low: u32) -> Timestamp {
        let ticks = u64::from(high) << 32 | u64::from(low);
        let nanos = match self.tick {
            Tick::Nanos(nanos) => u128::from(ticks) * u128::from(nanos),
            Tick::PerNano(ticks_per_nano) => u128::from(ticks) / ticks_per_nano,
            Tick::Binary(exponent) => (u128::from(ticks) * u128::from(NANOS_PER_SEC)) >> exponent,
        };
        // Below 2^94 and within 2^93: neither the cast nor the sum can overflow.
        let nanos = nanos as i128 + self.offset_nanos;
        let nanos = nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Timestamp::from_nanos(nanos as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(tsresol: u8, tsoffset: i64, ticks: u64) -> i64 {
        let clock = Clock::new(tsresol, tsoffset);
        clock.time((ticks >> 32) as u32, ticks as u32).as_nanos()
    }

    #[test]
    fn decimal_clocks_of_every_fineness() {
        assert_eq!(nanos(0, 0, 7), 7_000_000_000);
        assert_eq!(nanos(3, 0, 7), 7_000_000);
        assert_eq!(nanos(6, 0, 1_600_000_000_000_001), 1_600_000_000_000_001_000);
        assert_eq!(nanos(9, 0, 5), 5);
        assert_eq!(nanos(12, 0, 5_999), 5);
        assert_eq!(nanos(127, 0, u64::MAX), 0);
    }

    #[test]
    fn binary_clocks_are_read() {
        assert_eq!(nanos(0x80 | 20, 0, (1 << 20) + (1 << 19)), 1_500_000_000);
        assert_eq!(nanos(0x80 | 32, 0, 1 << 30), 250_000_000);
        assert_eq!(nanos(0xff, 0, u64::MAX), 0);
    }

    #[test]
    fn offsets_are_signed_and_nothing_overflows() {
        assert_eq!(nanos(6, 3600, 1), 3_600_000_001_000);
        assert_eq!(nanos(6, -1, 0), -1_000_000_000);
        assert_eq!(nanos(0, i64::MAX, u64::MAX), i64::MAX);
        assert_eq!(nanos(0, i64::MIN, 0), i64::MIN);
        assert_eq!(nanos(0x80, i64::MAX, u64::MAX), i64::MAX);
    }
}
