//! The table of four-tuples: found by a seeded hash, kept in the order of their first sight.
//!
//! The hash is seeded anew in each run, because captures come from attackers; its order reaches no
//! output, since walking the table goes by first sight.

use core::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::decode::tuple::FourTuple;

/// What is kept of each four-tuple.
#[derive(Debug)]
pub struct Table<T> {
    places: HashTable<u32>,
    slots: Vec<(FourTuple, T)>,
    hasher: RandomState,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { places: HashTable::new(), slots: Vec::new(), hasher: RandomState::default() }
    }
}

impl<T> Table<T> {
    /// The entry of a four-tuple, made by `new` at first sight.
    pub fn entry(&mut self, tuple: &FourTuple, new: impl FnOnce() -> T) -> &mut T {
        let hash = self.hasher.hash_one(tuple);
        let slots = &mut self.slots;
        let same = |place: &u32| slots.get(*place as usize).is_some_and(|slot| slot.0 == *tuple);
        let place = match self.places.find(hash, same) {
            Some(place) => *place,
            None => {
                let place = slots.len() as u32;
                slots.push((*tuple, new()));
                let rehash = |place: &u32| {
                    let slot = slots.get(*place as usize);
                    slot.map_or(0, |slot| self.hasher.hash_one(slot.0))
                };
                self.places.insert_unique(hash, place, rehash);
                place
            }
        };
        &mut self.slots[place as usize].1
    }

    /// Whether the four-tuple has an entry.
    pub fn contains(&self, tuple: &FourTuple) -> bool {
        let same = |place: &u32| self.slots.get(*place as usize).is_some_and(|s| s.0 == *tuple);
        self.places.find(self.hasher.hash_one(tuple), same).is_some()
    }

    /// The entry of a four-tuple, if it has one.
    pub fn get_mut(&mut self, tuple: &FourTuple) -> Option<&mut T> {
        let same = |place: &u32| self.slots.get(*place as usize).is_some_and(|s| s.0 == *tuple);
        let place = *self.places.find(self.hasher.hash_one(tuple), same)?;
        self.slots.get_mut(place as usize).map(|slot| &mut slot.1)
    }

    /// Takes everything out, by first sight.
    pub fn drain(&mut self) -> impl Iterator<Item = (FourTuple, T)> {
        self.places.clear();
        self.slots.drain(..)
    }

    /// How many four-tuples there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tuple_keeps_its_entry_and_its_turn() {
        let tuple = |port| FourTuple::new(4, ([1; 16], port), ([2; 16], 80)).0;
        let mut table = Table::default();
        for port in [9, 7, 8, 7, 9] {
            *table.entry(&tuple(port), || 0) += 1;
        }
        assert_eq!(table.len(), 3);
        let order: Vec<_> = table.drain().collect();
        assert_eq!(order, [(tuple(9), 2), (tuple(7), 2), (tuple(8), 1)]);
    }
}
