//! Finished connections, packed, found by their numbers.

use crate::history::{History, pack};

/// Histories in the order of their numbers, whatever the order in which they were finished.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    /// For each number, where its history begins, plus one; 0 for none.
    places: Vec<u64>,
}

impl Archive {
    /// Keeps a finished history.
    pub fn push(&mut self, history: &History) {
        let Ok(id) = usize::try_from(history.id) else { return };
        if self.places.len() <= id {
            self.places.resize(id + 1, 0);
        }
        if let Some(place) = self.places.get_mut(id) {
            *place = self.bytes.len() as u64 + 1;
            pack::write(history, &mut self.bytes);
        }
    }

    /// The history of that number.
    pub fn get(&self, id: u64) -> Option<History> {
        let place = *self.places.get(usize::try_from(id).ok()?)?;
        let begins = usize::try_from(place.checked_sub(1)?).ok()?;
        pack::read(self.bytes.get(begins..)?)
    }

    /// All histories, by number.
    pub fn iter(&self) -> impl Iterator<Item = History> {
        (0..self.places.len() as u64).filter_map(|id| self.get(id))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.iter().filter(|place| **place > 0).count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
