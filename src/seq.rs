//! Sequence numbers: 32 bits that wrap, compared by signed distance (RFC 9293 section 3.4).
//!
//! The numbers come from hostile captures, so no operation panics and every pair of numbers has an
//! order: `a` is before `b` when going forward from `a` is the shorter way to `b`.

use core::fmt;

/// No window reaches further (RFC 7323 section 2.3): what is beyond is of another connection, or of
/// an earlier round of the numbers.
pub const WINDOW_MAX: u32 = 1 << 30;

/// The greatest window scale; a greater one counts as this (RFC 7323 section 2.3).
pub const WINDOW_SCALE_MAX: u8 = 14;

/// A TCP sequence or acknowledgement number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeqNum(pub u32);

impl SeqNum {
    /// The number `count` further on, wrapping.
    pub const fn add(self, count: u32) -> SeqNum {
        SeqNum(self.0.wrapping_add(count))
    }

    /// The number `count` before, wrapping.
    pub const fn sub(self, count: u32) -> SeqNum {
        SeqNum(self.0.wrapping_sub(count))
    }

    /// How far `self` is ahead of `other`; negative when it is behind.
    pub const fn offset_from(self, other: SeqNum) -> i32 {
        self.0.wrapping_sub(other.0) as i32
    }

    /// Whether `self` comes before `other`.
    pub const fn before(self, other: SeqNum) -> bool {
        self.offset_from(other) < 0
    }

    /// Whether `self` comes after `other`.
    pub const fn after(self, other: SeqNum) -> bool {
        self.offset_from(other) > 0
    }

    /// Whether `self` is `other` or comes after it.
    pub const fn at_or_after(self, other: SeqNum) -> bool {
        self.offset_from(other) >= 0
    }

    /// Whether `self` is one of the `length` numbers that begin at `start`.
    pub const fn in_window(self, start: SeqNum, length: u32) -> bool {
        self.0.wrapping_sub(start.0) < length
    }

    /// The later of the two.
    pub const fn latest(self, other: SeqNum) -> SeqNum {
        if self.after(other) { self } else { other }
    }
}

impl fmt::Display for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_survives_the_wrap() {
        let (before, after) = (SeqNum(u32::MAX - 1), SeqNum(3));
        assert_eq!(before.add(5), after);
        assert_eq!(after.sub(5), before);
        assert_eq!(after.offset_from(before), 5);
        assert!(before.before(after) && after.after(before));
        assert!(after.at_or_after(after));
        assert_eq!(before.latest(after), after);
    }

    #[test]
    fn a_window_holds_its_start_and_not_its_end() {
        let start = SeqNum(u32::MAX);
        assert!(start.in_window(start, 2) && SeqNum(0).in_window(start, 2));
        assert!(!SeqNum(1).in_window(start, 2) && !start.in_window(start, 0));
        assert!(!start.sub(1).in_window(start, 2));
    }

    #[test]
    fn opposite_numbers_have_an_order_and_do_not_panic() {
        let (here, there) = (SeqNum(0), SeqNum(1 << 31));
        assert!(here.before(there) ^ there.before(here) || here.before(there));
        assert_eq!(here.offset_from(there), i32::MIN);
    }
}
