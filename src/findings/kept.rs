//! What is counted in parts, of some connections here and of others there, and then made one: in
//! whatever order, the whole is the same.

use core::hash::{Hash, Hasher};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

/// What was counted of some connections, to which what was counted of others can be added.
pub(super) trait Join {
    /// Counts what the other one counted, too.
    fn join(&mut self, other: &Self);
}

/// What is counted of each field by itself: joins field by field, each by its own [`Join`] or by
/// what stands behind it. A field that is left out is an error.
macro_rules! joined {
    ($type:ident { $($field:ident $(: $join:path)?),+ $(,)? }) => {
        impl $crate::findings::kept::Join for $type {
            fn join(&mut self, other: &Self) {
                let $type { $($field),+ } = other;
                $($crate::findings::kept::joined!(@ &mut self.$field, $field $(, $join)?);)+
            }
        }
    };
    ($type:ident(_)) => {
        impl $crate::findings::kept::Join for $type {
            fn join(&mut self, other: &Self) {
                let $type(other) = other;
                $crate::findings::kept::Join::join(&mut self.0, other);
            }
        }
    };
    (@ $own:expr, $other:expr) => { $crate::findings::kept::Join::join($own, $other) };
    (@ $own:expr, $other:expr, $join:path) => { $join($own, $other) };
}
pub(super) use joined;

/// Keeps the greater one.
pub(super) fn keep_most<T: Copy + Ord>(own: &mut T, other: &T) {
    *own = *other.max(own);
}

/// Keeps the lesser one of those that there are.
pub(super) fn keep_least<T: Copy + Ord>(own: &mut Option<T>, other: &Option<T>) {
    *own = own.iter().chain(other).min().copied();
}

impl Join for u64 {
    fn join(&mut self, other: &u64) {
        *self += other;
    }
}

impl Join for bool {
    fn join(&mut self, other: &bool) {
        *self |= other;
    }
}

impl<T: Join, const N: usize> Join for [T; N] {
    fn join(&mut self, other: &[T; N]) {
        self.iter_mut().zip(other).for_each(|(own, more)| own.join(more));
    }
}

impl<K: Copy + Ord, T: Default + Join> Join for BTreeMap<K, T> {
    fn join(&mut self, other: &BTreeMap<K, T>) {
        other.iter().for_each(|(key, more)| self.entry(*key).or_default().join(more));
    }
}

/// The name of a rule as a key, which is asked for with each finding.
#[derive(Clone, Copy, Debug, Eq, PartialOrd, Ord)]
pub(super) struct Name(pub &'static str);

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        // Mostly the same text in memory.
        core::ptr::eq(self.0, other.0) || self.0 == other.0
    }
}

/// Names are few, and fewer are as long as another one.
impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.0.len());
    }
}

/// Something for each key, bounded.
///
/// Beyond the bound, the keys that come first in order are kept. One of those can never have been
/// cut on the way, so what is kept is whole and does not depend on who came when; and what belongs
/// to other keys has been cut in the end, all of it.
#[derive(Clone, Debug)]
pub(super) struct Kept<K, T> {
    all: HashMap<K, T, RandomState>,
    max: usize,
}

impl<K: Copy + Ord + Hash, T> Kept<K, T> {
    /// For at most that many keys; a quarter more on the way, so that cutting is rare.
    pub fn new(max: usize) -> Kept<K, T> {
        Kept { all: HashMap::default(), max }
    }

    /// The place of a key. What has to go for it is given to `cut`.
    pub fn entry(&mut self, key: K, cut: impl FnMut(K, T)) -> Entry<'_, K, T> {
        if self.all.len() >= self.max + self.max / 4 && !self.all.contains_key(&key) {
            self.cut(cut);
        }
        self.all.entry(key)
    }

    /// Adds those of another one.
    pub fn join(&mut self, other: Kept<K, T>, mut cut: impl FnMut(K, T))
    where
        T: Join,
    {
        for (key, value) in other.all {
            match self.entry(key, &mut cut) {
                Entry::Occupied(mut own) => own.get_mut().join(&value),
                Entry::Vacant(place) => _ = place.insert(value),
            }
        }
    }

    /// All that are kept, in order.
    pub fn drain(&mut self, cut: impl FnMut(K, T)) -> Vec<(K, T)> {
        self.cut(cut);
        let mut all: Vec<_> = self.all.drain().collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }

    fn cut(&mut self, mut cut: impl FnMut(K, T)) {
        if self.all.len() <= self.max {
            return;
        }
        let mut keys: Vec<K> = self.all.keys().copied().collect();
        keys.select_nth_unstable(self.max);
        for key in keys.drain(self.max..) {
            if let Some(value) = self.all.remove(&key) {
                cut(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn beyond_the_bound_the_first_in_order_are_kept_whole_in_whatever_parts(
            keys in prop::collection::vec((0..30_u8, 0..3_usize), 0..120),
            max in 0..12_usize,
        ) {
            let mut parts = [0; 3].map(|_| Kept::<u8, u64>::new(max));
            let (mut all, mut cut) = (BTreeMap::<u8, u64>::new(), BTreeMap::<u8, u64>::new());
            for (key, part) in &keys {
                *all.entry(*key).or_default() += 1;
                let go = |key, count| *cut.entry(key).or_default() += count;
                *parts[*part].entry(*key, go).or_default() += 1;
                prop_assert!(parts[*part].all.len() <= (max + max / 4).max(max + 1));
            }
            let mut go = |key, count| *cut.entry(key).or_default() += count;
            let [mut one, two, three] = parts;
            one.join(two, &mut go);
            one.join(three, &mut go);
            let kept = one.drain(&mut go);
            let mut expected = all.into_iter();
            prop_assert_eq!(kept, expected.by_ref().take(max).collect::<Vec<_>>());
            prop_assert_eq!(cut, expected.collect::<BTreeMap<_, _>>());
        }
    }
}
