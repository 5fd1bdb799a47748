//! Shares of all four-tuples, so that several threads can follow one capture, each its own.

use crate::decode::lot::LOTS;

/// A range of lots.
#[derive(Clone, Debug)]
pub struct Share {
    first: u8,
    count: u8,
}

impl Default for Share {
    /// All of them.
    fn default() -> Self {
        Share { first: 0, count: LOTS }
    }
}

impl Share {
    /// One of so many shares of about the same size, at most as many as there are lots.
    pub fn of(index: usize, shares: usize) -> Share {
        let bound = |index: usize| (index * usize::from(LOTS) / shares.max(1)) as u8;
        Share { first: bound(index), count: bound(index + 1) - bound(index) }
    }

    /// Whether four-tuples of that lot are in it.
    #[inline(always)]
    pub fn has(&self, lot: u8) -> bool {
        lot.wrapping_sub(self.first) < self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lot_is_in_one_share() {
        for shares in 1..=usize::from(LOTS) {
            for lot in 0..LOTS {
                let owners = (0..shares).filter(|index| Share::of(*index, shares).has(lot));
                assert_eq!(owners.count(), 1, "{lot} of {shares}");
            }
        }
        assert!((0..LOTS).all(|lot| Share::default().has(lot)));
    }
}
