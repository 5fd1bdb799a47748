//! Where each four-tuple's record is: an open-addressed table of places, without the keys.
//!
//! A slot is four bytes: a place, and five bits of the hash that spare most looks at a wrong
//! record. The hash is seeded anew in each run, because captures come from attackers; its order
//! reaches no output. [`Places::glance`] looks at few slots without being sure, so that a caller
//! can have a four-tuple's record fetched from memory while it is busy with others.
//!
//! A capture has many four-tuples, and most segments are of the few that are open. Their places
//! stand in a second, small table as well, which stays in a core's cache: to look there first is
//! quicker than to look for each in a table of megabytes.

use core::hash::{BuildHasher, Hasher as _};

use foldhash::fast::RandomState;
use prefetch_index::prefetch_index;

use crate::decode::tuple::FourTuple;
use crate::limits::{FETCHED_SEGMENTS, LATELY, LATELY_WAYS};

/// How a run hashes its four-tuples.
#[derive(Clone, Debug, Default)]
pub struct Hasher(RandomState);

impl Hasher {
    /// The hash of a four-tuple.
    #[inline]
    pub fn hash(&self, tuple: &FourTuple) -> u64 {
        self.0.hash_one(tuple)
    }

    /// The hash of several numbers.
    #[inline]
    pub(super) fn mix(&self, numbers: [u64; 4]) -> u64 {
        let mut hasher = self.0.build_hasher();
        numbers.iter().for_each(|number| hasher.write_u64(*number));
        hasher.finish()
    }
}

/// Bits of a slot that hold a place; the others hold bits of the hash.
const PLACE_BITS: u32 = 27;
const PLACE: u32 = (1 << PLACE_BITS) - 1;

/// The greatest number of four-tuples. As many lives of others may be kept that came before theirs,
/// and a few batches more until somebody notices: each has a place.
pub const TUPLES_MAX: usize = (PLACE as usize >> 1) - (1 << 16);

/// A place that is beyond all others: there is no record.
pub const NOWHERE: u32 = u32::MAX;

/// What stands in a slot that is free; no place is as great. Not zero: memory that a kernel gives
/// out is that already, and is found to be by reading, so that each page of a new table would be
/// asked for twice, once to be read and once to be written to.
const FREE: u32 = u32::MAX;

/// Slots that [`Places::glance`] looks at. Few four-tuples stand further from their own.
const GLANCED: usize = 6;

/// Slots of a new table. A power of two.
const SLOTS: usize = 1 << 12;

/// The places of four-tuples.
#[derive(Debug)]
pub struct Places {
    slots: Vec<u32>,
    len: usize,
    lately: Lately,
}

impl Default for Places {
    fn default() -> Self {
        Places::in_slots(SLOTS, core::iter::empty())
    }
}

/// The places of those four-tuples that came lately, and most likely not for the first time, by the
/// lowest bits of the hash. What is pushed out of here is still in the table of all.
#[derive(Debug)]
struct Lately {
    groups: Vec<Group>,
}

/// The upper half of each one's hash, and its place; what came last comes first. In one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Group([u64; LATELY_WAYS]);
const _: () = assert!(size_of::<Group>() == align_of::<Group>());

impl Default for Lately {
    fn default() -> Self {
        // Zeros are taken for place 0 of a hash that begins with zeros: likely is not certain.
        Lately { groups: vec![Group([0; LATELY_WAYS]); LATELY] }
    }
}

impl Lately {
    #[inline(always)]
    fn at(hash: u64) -> usize {
        hash as usize % LATELY
    }

    #[inline(always)]
    fn find(&self, hash: u64) -> u32 {
        let Some(Group(group)) = self.groups.get(Lately::at(hash)) else { return NOWHERE };
        let few = group.iter().rev();
        few.fold(NOWHERE, |likely, it| if (it ^ hash) >> 32 == 0 { *it as u32 } else { likely })
    }

    /// Puts a place first. What the four-tuple had before goes for it; or else the oldest.
    #[inline(always)]
    fn put(&mut self, hash: u64, place: u32) {
        let Some(Group(group)) = self.groups.get_mut(Lately::at(hash)) else { return };
        let mut moved = hash >> 32 << 32 | u64::from(place);
        for it in group {
            let is_its = (*it ^ hash) >> 32 == 0;
            let before = core::mem::replace(it, moved);
            if is_its {
                return;
            }
            moved = before;
        }
    }
}

/// What stands in a slot for that hash and place.
#[inline]
const fn slot(hash: u64, place: u32) -> u32 {
    tag(hash) | place
}

/// The highest bits of the hash, where they stand in a slot. The lowest choose the slot.
#[inline]
const fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32 & !PLACE
}

impl Places {
    /// Those of these hashes, `most` at most, with room for more.
    pub fn of(most: usize, places: impl Iterator<Item = (u64, u32)>) -> Places {
        Places::in_slots((most + most / 2).next_power_of_two().max(SLOTS), places)
    }

    fn in_slots(slots: usize, places: impl Iterator<Item = (u64, u32)>) -> Places {
        let mut all = Places { slots: vec![FREE; slots], len: 0, lately: Lately::default() };
        all.fill(places);
        all
    }

    /// The place of the four-tuple with that hash; `same` tells whether a place is its.
    #[inline]
    pub fn find(&self, hash: u64, same: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = hash as usize;
        loop {
            let slot = *self.slots.get(at & self.mask())?;
            if slot == FREE {
                return None;
            }
            if slot & !PLACE == tag(hash) && same(slot & PLACE) {
                return Some(slot & PLACE);
            }
            at = at.wrapping_add(1);
        }
    }

    /// The place that is most likely that of the four-tuple with that hash: the first with the same
    /// bits of it, if that is close by; else [`NOWHERE`].
    #[inline(always)]
    pub fn glance(&self, hash: u64) -> u32 {
        let first = hash as usize & self.mask();
        // How many slots are to be passed over differs each time, and no processor foresees it: so
        // a few are looked at in any case, and no branch depends on them.
        let few: Option<&[u32; GLANCED]> =
            self.slots.get(first..).and_then(|slots| slots.first_chunk());
        few.into_iter().flatten().rev().fold(NOWHERE, |likely, slot| {
            if slot & !PLACE == tag(hash) { slot & PLACE } else { likely }
        })
    }

    /// The place that is most likely that of the four-tuple with that hash, if that came lately;
    /// else [`NOWHERE`].
    #[inline(always)]
    pub fn lately(&self, hash: u64) -> u32 {
        self.lately.find(hash)
    }

    /// Has the memory fetched that [`Places::lately`] looks at, without waiting for it.
    #[inline]
    pub fn prefetch_lately(&self, hash: u64) {
        prefetch_index(&self.lately.groups, Lately::at(hash));
    }

    /// A segment came of the four-tuple with that hash, whose place is most likely that one. To be
    /// told where [`Places::lately`] did not say so.
    #[inline]
    pub fn came(&mut self, hash: u64, place: u32) {
        self.lately.put(hash, place);
    }

    /// Has the memory fetched that [`Places::glance`] looks at, without waiting for it.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        prefetch_index(&self.slots, hash as usize & self.mask());
    }

    /// Adds the place of a four-tuple that has none. `others` are the hashes and places of all that
    /// have one.
    #[inline]
    pub fn add<I>(&mut self, hash: u64, place: u32, others: impl FnOnce() -> I)
    where
        I: Iterator<Item = (u64, u32)>,
    {
        if (self.len + 1) * 4 > self.slots.len() * 3 {
            let slots = self.slots.len() * 2;
            // Before there is room for the new ones: all that stood there is known from elsewhere.
            self.slots = Vec::new();
            self.slots = vec![FREE; slots];
            self.len = 0;
            self.fill(others());
        }
        self.len += 1;
        self.set(hash, slot(hash, place));
    }

    /// The four-tuple with that hash, which is at `old`, is at `new` from now on.
    pub fn replace(&mut self, hash: u64, old: u32, new: u32) {
        self.lately.put(hash, new);
        let mask = self.mask();
        let old = slot(hash, old);
        for step in 0..self.slots.len() {
            match self.slots.get_mut((hash as usize).wrapping_add(step) & mask) {
                Some(found) if *found == old => return *found = slot(hash, new),
                Some(&mut FREE) | None => return,
                _ => {}
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    fn mask(&self) -> usize {
        self.slots.len().wrapping_sub(1)
    }

    /// Puts a slot's value into the first free one from its own on. There is always one.
    fn set(&mut self, hash: u64, value: u32) {
        let mask = self.mask();
        for step in 0..self.slots.len() {
            if let Some(free) = self.slots.get_mut((hash as usize).wrapping_add(step) & mask)
                && *free == FREE
            {
                return *free = value;
            }
        }
    }

    /// Puts places into empty slots. They come in the order of their records, which are read one
    /// after the other then; their slots are anywhere, and those of a few are fetched together.
    #[cold]
    fn fill(&mut self, mut places: impl Iterator<Item = (u64, u32)>) {
        let mut few = [(0, 0); FETCHED_SEGMENTS];
        loop {
            let mut count = 0;
            for (room, it) in few.iter_mut().zip(places.by_ref()) {
                *room = it;
                count += 1;
            }
            let few = few.get(..count).unwrap_or_default();
            few.iter().for_each(|(hash, _)| self.prefetch(*hash));
            few.iter().for_each(|(hash, place)| self.set(*hash, slot(*hash, *place)));
            self.len += count;
            if count < FETCHED_SEGMENTS {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tuple_keeps_its_place() {
        let tuple = |n: u32| FourTuple::new(4, ([1; 16], n as u16), ([2; 16], (n >> 16) as u16)).0;
        let (hasher, mut places) = (Hasher::default(), Places::default());
        let hash = |n: u32| hasher.hash(&tuple(n));
        for n in 0..100_000 {
            assert_eq!(places.find(hash(n), |place| place == n), None);
            places.add(hash(n), n, || (0..n).map(|n| (hash(n), n)));
        }
        places.replace(hash(7), 7, 123_456);
        for n in 0..100_000 {
            let place = if n == 7 { 123_456 } else { n };
            assert_eq!(places.find(hash(n), |it| it == place), Some(place));
        }
        assert_eq!(places.len(), 100_000);
    }

    #[test]
    fn the_places_of_those_that_came_lately_are_at_hand() {
        let hash = |group: u64, n: u64| n << 32 | group;
        let mut places = Places::default();
        let none = || core::iter::empty();
        let last = LATELY as u64 - 1;
        assert_eq!((places.lately(hash(0, 9)), places.lately(hash(last, 9))), (NOWHERE, NOWHERE));
        for n in 1..=LATELY_WAYS as u64 {
            places.add(hash(last, n), 10 * n as u32, none);
            assert_eq!(places.lately(hash(last, n)), NOWHERE, "most of a flood come once");
            places.came(hash(last, n), 10 * n as u32);
        }
        for n in 1..=LATELY_WAYS as u64 {
            assert_eq!(places.lately(hash(last, n)), 10 * n as u32);
        }
        places.replace(hash(last, 2), 20, 21);
        assert_eq!(places.lately(hash(last, 2)), 21);
        assert_eq!(places.lately(hash(last, 1)), 10, "what it had before went, not the oldest");
        places.came(hash(last, 5), 50);
        assert_eq!(places.lately(hash(last, 1)), NOWHERE, "too many others came");
        places.came(hash(last, 1), 10);
        assert_eq!(places.lately(hash(last, 1)), 10);
        // A table that grows forgets none.
        let others: Vec<_> = (0..SLOTS as u64).map(|n| (hash(n % last, 9), 7)).collect();
        for n in 0..SLOTS as u64 {
            places.add(hash(n % last, 9), 7, || others.iter().copied().take(n as usize));
        }
        assert!(places.slots.len() > SLOTS && places.lately(hash(last, 1)) == 10);
    }

    #[test]
    fn a_glance_finds_nearly_all_and_tells_others_from_them() {
        let hasher = Hasher::default();
        let hash = |n: u32| hasher.mix([n.into(), 0, 0, 0]);
        // As full as a table gets.
        let most = SLOTS as u32 / 4 * 3;
        let places = Places::of(SLOTS / 2, (0..most).map(|n| (hash(n), n)));
        assert_eq!(places.slots.len(), SLOTS);
        let is_found = |n: &u32| places.glance(hash(*n)) == *n;
        assert!((0..most).filter(is_found).count() > most as usize / 10 * 8);
        let others = (most..2 * most).filter(|n| places.glance(hash(*n)) == NOWHERE);
        assert!(others.count() > most as usize / 10 * 8);
    }
}
