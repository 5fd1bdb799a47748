//! The holes in what an endpoint has been seen to send: numbers that it passed over, because they
//! were lost before the observer, come later by another way, or are missing from the capture.

use crate::limits::HOLES_MAX;
use crate::seq::{SeqNum, WINDOW_MAX};

/// Numbers so far behind are not sent again. Further ones cannot be told from those that come.
const BEHIND_MAX: i32 = WINDOW_MAX as i32;

/// Numbers that have not passed although later ones have.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Hole {
    from: SeqNum,
    /// The one after its last; equal to `from` in a free place.
    to: SeqNum,
    /// The peer has acknowledged them: they were sent, and not captured.
    acknowledged: bool,
}

impl Hole {
    /// Of a longer one than what is sent again comes from, the end counts.
    fn shorten(&mut self) {
        if self.to.offset_from(self.from).unsigned_abs() > BEHIND_MAX.unsigned_abs() {
            self.from = self.to.sub(BEHIND_MAX.unsigned_abs());
        }
    }
}

/// What filled holes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// Numbers that pass for the first time.
    pub numbers: u32,
    /// Those of them that had been acknowledged before.
    pub acknowledged: u32,
}

/// The holes of one endpoint. Beyond the bound they are forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Holes {
    places: [Hole; HOLES_MAX],
    /// There were more than have a place.
    forgot: bool,
}

impl Holes {
    /// The numbers `from..to` have been passed over.
    pub fn open(&mut self, from: SeqNum, to: SeqNum) {
        self.keep(Hole { from, to, acknowledged: false });
    }

    /// The numbers `from..to` are acknowledged, and nothing there or later has passed.
    pub fn miss(&mut self, from: SeqNum, to: SeqNum) {
        self.keep(Hole { from, to, acknowledged: true });
    }

    /// Everything before `ack` is acknowledged: returns how many numbers of holes are among it
    /// that were not before.
    pub fn acknowledge(&mut self, ack: SeqNum) -> u32 {
        let mut count = 0;
        for place in 0..HOLES_MAX {
            let Some(hole) = self.places.get_mut(place) else { break };
            let rest = Hole { from: hole.from.latest(ack), ..*hole };
            let reached = rest.from.offset_from(hole.from).min(hole.to.offset_from(hole.from));
            if hole.acknowledged || reached <= 0 {
                continue;
            }
            count += reached.unsigned_abs();
            let to = hole.from.add(reached.unsigned_abs());
            let reached = Hole { from: hole.from, to, acknowledged: true };
            *hole = Hole::default();
            self.keep(reached);
            self.keep(rest);
        }
        count
    }

    /// Whether all that was passed over has passed, or is known to have arrived.
    pub fn are_filled(&self) -> bool {
        let is_open = |place: &Hole| place.from != place.to && !place.acknowledged;
        !self.forgot && !self.places.iter().any(is_open)
    }

    /// The numbers `from..to` pass.
    pub fn fill(&mut self, from: SeqNum, to: SeqNum) -> Filled {
        let mut filled = Filled::default();
        for place in 0..HOLES_MAX {
            let Some(hole) = self.places.get_mut(place) else { break };
            if hole.from == hole.to {
                continue;
            }
            if from.offset_from(hole.to) >= BEHIND_MAX {
                self.forgot |= !hole.acknowledged;
                *hole = Hole::default();
                continue;
            }
            let first = hole.from.latest(from);
            let last = if hole.to.after(to) { to } else { hole.to };
            let Some(count) = u32::try_from(last.offset_from(first)).ok().filter(|it| *it > 0)
            else {
                continue;
            };
            filled.numbers += count;
            filled.acknowledged += if hole.acknowledged { count } else { 0 };
            let rest = Hole { from: last, ..*hole };
            hole.to = first;
            self.keep(rest);
        }
        filled
    }

    /// Puts a hole, if it has any number, to one of its kind beside it, into a free place, or else
    /// in place of one that is acknowledged: that one is hardly ever filled. Of a longer one than
    /// what is sent again comes from, the end counts.
    fn keep(&mut self, mut hole: Hole) {
        if !hole.to.after(hole.from) {
            return;
        }
        hole.shorten();
        // ACKs that pass before the data each add to what is missing.
        let is_beside = |place: &&mut Hole| {
            let is_of_kind = place.from != place.to && place.acknowledged == hole.acknowledged;
            is_of_kind && (place.to == hole.from || place.from == hole.to)
        };
        if let Some(place) = self.places.iter_mut().find(is_beside) {
            match place.to == hole.from {
                true => place.to = hole.to,
                false => place.from = hole.from,
            }
            return place.shorten();
        }
        let is_free = |place: &Hole| place.from == place.to;
        let free = self.places.iter().position(is_free);
        let free = free.or_else(|| self.places.iter().position(|place| place.acknowledged));
        match free.and_then(|place| self.places.get_mut(place)) {
            Some(place) => *place = hole,
            None => self.forgot = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_fills_a_hole_once() {
        let mut holes = Holes::default();
        holes.open(SeqNum(u32::MAX - 9), SeqNum(90));
        let mut fill = |from, to| holes.fill(SeqNum(from), SeqNum(to)).numbers;
        assert_eq!(fill(u32::MAX - 99, u32::MAX - 9), 0, "before it");
        assert_eq!(fill(20, 30), 10, "in its middle");
        assert_eq!(fill(0, 40), 30, "around that");
        assert_eq!(fill(0, 40), 0, "again");
        assert_eq!(fill(u32::MAX - 9, 200), 60, "the rest");
    }

    #[test]
    fn what_is_far_behind_is_not_filled_by_what_comes() {
        // A number half the range away from the hole, or from a free place.
        for hole in [None, Some(true), Some(false)] {
            let mut holes = Holes::default();
            match hole {
                Some(true) => holes.miss(SeqNum(100), SeqNum(200)),
                Some(false) => holes.open(SeqNum(100), SeqNum(200)),
                None => {}
            }
            for from in (0..u32::MAX - 1448).step_by(1448).skip(1) {
                let filled = holes.fill(SeqNum(from), SeqNum(from + 1448));
                assert_eq!(filled.numbers, 0, "{hole:?} {from:#x}");
            }
            assert_eq!(holes.are_filled(), hole != Some(false));
        }
    }

    #[test]
    fn a_hole_of_half_the_range_is_not_filled_by_what_comes_behind_it() {
        let (from, to) = (SeqNum(1_958_192_534), SeqNum(3_880_231_590));
        for later in [42_333_360, 414_711_808, 414_973_952, 1_073_741_823, 1_073_741_824] {
            let mut holes = Holes::default();
            holes.open(from, to);
            let seq = to.add(later);
            assert_eq!(holes.fill(seq, seq.add(752)).numbers, 0, "{later}");
            assert!(!holes.are_filled());
        }
    }

    #[test]
    fn an_acknowledged_hole_counts_once_and_may_still_be_filled() {
        let mut holes = Holes::default();
        holes.open(SeqNum(100), SeqNum(200));
        assert_eq!(holes.acknowledge(SeqNum(100)), 0);
        assert_eq!(holes.acknowledge(SeqNum(150)), 50);
        assert_eq!(holes.acknowledge(SeqNum(150)), 0);
        assert_eq!(holes.acknowledge(SeqNum(300)), 50);
        let filled = holes.fill(SeqNum(140), SeqNum(160));
        assert_eq!(filled, Filled { numbers: 20, acknowledged: 20 });
    }

    #[test]
    fn what_is_acknowledged_bit_by_bit_is_one_hole() {
        let mut holes = Holes::default();
        for at in 0..1_000 {
            holes.miss(SeqNum(at * 10), SeqNum(at * 10 + 10));
        }
        assert_eq!(holes.places.iter().filter(|hole| hole.from != hole.to).count(), 1);
        let filled = holes.fill(SeqNum(0), SeqNum(20_000));
        assert_eq!(filled, Filled { numbers: 10_000, acknowledged: 10_000 });
        // And it is as long as any.
        for at in 0..4 {
            holes.miss(SeqNum(at << 29), SeqNum((at + 1) << 29));
        }
        assert_eq!(holes.fill(SeqNum(1 << 30), SeqNum(1 << 31)).numbers, 1 << 30);
        assert_eq!(holes.fill(SeqNum(0), SeqNum(1 << 30)).numbers, 0);
    }

    #[test]
    fn beyond_the_bound_holes_are_forgotten() {
        let mut holes = Holes::default();
        for at in 0..1_000 {
            holes.open(SeqNum(at * 10), SeqNum(at * 10 + 5));
        }
        let all = holes.fill(SeqNum(0), SeqNum(10_000)).numbers;
        assert_eq!(all, 5 * HOLES_MAX as u32);
    }
}
