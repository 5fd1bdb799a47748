//! The numbers of connections, which stay when others are forgotten.

/// The numbers of the connections. A record's place is its number until connections before it are
/// forgotten.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    /// Those of the first places, ascending.
    pub kept: Vec<u64>,
    /// The number of the first place after them.
    pub next: u64,
}

impl Numbers {
    #[inline]
    /// The number of the connection at a place.
    pub fn of(&self, place: u32) -> u64 {
        match self.kept.get(place as usize) {
            Some(number) => *number,
            None => u64::from(place) - self.kept.len() as u64 + self.next,
        }
    }

    /// The place of the connection of that number, or where it will be.
    pub fn place(&self, number: u64) -> Option<u32> {
        let place = match number.checked_sub(self.next) {
            Some(after) => after.saturating_add(self.kept.len() as u64),
            None => self.kept.binary_search(&number).ok()? as u64,
        };
        u32::try_from(place).ok()
    }
}
