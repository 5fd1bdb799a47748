//! Which rules a connection may matter to.
//!
//! That follows from its signs, and nearly all connections of a capture have one of a few sets of
//! them. So it is found once for a set, and kept at the place that the set has until another one
//! with that place comes.

use crate::findings::rule::{Amount, Rule};
use crate::findings::{ALL, Context, Thresholds};
use crate::history::Signs;
use crate::limits::SIGNS_KEPT;

/// Rules at work, and to which of them connections with some signs may matter.
pub(super) struct Due {
    rules: Vec<(&'static Rule, Vec<Amount>)>,
    kept: Vec<(Signs, Places)>,
}

/// Places in a list, in order.
#[derive(Clone, Copy, Default)]
pub(super) struct Places(u64);

const _: () = assert!(ALL.len() <= Places::MAX, "every rule has its bit");
const _: () = assert!(SIGNS_KEPT.is_power_of_two(), "the highest bits of a number are a place");

impl Due {
    /// Of these rules, each of which is there once at most.
    pub fn of(rules: impl Iterator<Item = &'static Rule>, thresholds: &Thresholds) -> Due {
        let rules = rules.map(|rule| (rule, Amount::all(rule, thresholds)));
        let mut due = Due { rules: rules.collect(), kept: Vec::new() };
        let none = Signs::default();
        due.kept = vec![(none, due.find(none)); SIGNS_KEPT];
        due
    }

    /// The rule at a place, at work.
    #[inline]
    pub fn context<'a>(&'a self, place: usize, thresholds: &'a Thresholds) -> Option<Context<'a>> {
        let (rule, amounts) = self.rules.get(place)?;
        Some(Context::new(rule, thresholds).with(amounts))
    }

    /// The places of the rules to which a connection with these signs may matter.
    #[inline]
    pub fn to(&mut self, signs: Signs) -> Places {
        let place = (signs.mixed() >> (u64::BITS - SIGNS_KEPT.ilog2())) as usize;
        match self.kept.get(place) {
            Some((known, places)) if *known == signs => *places,
            _ => self.learn(place, signs),
        }
    }

    #[cold]
    fn learn(&mut self, place: usize, signs: Signs) -> Places {
        let places = self.find(signs);
        if let Some(kept) = self.kept.get_mut(place) {
            *kept = (signs, places);
        }
        places
    }

    fn find(&self, signs: Signs) -> Places {
        let rules = (0..).zip(&self.rules).filter(|(_, (rule, _))| rule.may_concern(signs));
        Places(rules.fold(0, |all, (place, _)| all | 1_u64 << place))
    }
}

impl Places {
    /// How many there can be.
    pub const MAX: usize = u64::BITS as usize;

    /// One more, below [`Places::MAX`].
    #[inline]
    pub fn add(&mut self, place: usize) {
        self.0 |= 1 << place;
    }
}

impl Iterator for Places {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let place = self.0.trailing_zeros();
        self.0 &= self.0.wrapping_sub(1);
        (place < u64::BITS).then_some(place as usize)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever was asked before, and kept where.
        #[test]
        fn the_rules_that_are_due_do_not_depend_on_what_was_asked_before(
            sets in prop::collection::vec(prop::collection::vec(0..ALL.len(), 0..4), 1..400),
            asked in prop::collection::vec(0..400_usize, 1..800),
        ) {
            let mut due = Due::of(ALL.iter().copied(), &Thresholds::default());
            for at in asked {
                let some = sets[at % sets.len()].iter().flat_map(|rule| ALL[*rule].looks_for);
                let signs = some.fold(Signs::default(), |all, signs| all.or(*signs));
                let places = ALL.iter().enumerate().filter(|(_, rule)| rule.may_concern(signs));
                prop_assert!(due.to(signs).eq(places.map(|(place, _)| place)), "{signs:?}");
            }
        }
    }
}
