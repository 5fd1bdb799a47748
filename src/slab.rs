//! Many small things of one size, kept in pieces of a fixed number: what is there never moves, so
//! that a million of them need no second million's room to grow.

/// Things in one piece. A power of two.
const PIECE: usize = 1 << 12;

/// Things of one size, found by their places.
#[derive(Clone, Debug)]
pub struct Slab<T> {
    pieces: Vec<Vec<T>>,
    /// Places that were given back.
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { pieces: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Keeps a thing, and returns its place: one that was given back, or else the next.
    pub fn put(&mut self, thing: T) -> u32 {
        if let Some(place) = self.free.pop()
            && let Some(old) = self.get_mut(place)
        {
            *old = thing;
            return place;
        }
        let place = self.reach();
        match self.pieces.last_mut() {
            Some(piece) if piece.len() < PIECE => piece.push(thing),
            _ => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(thing);
                self.pieces.push(piece);
            }
        }
        place
    }

    /// Gives a place back; what stands there is overwritten by what comes next.
    pub fn give_back(&mut self, place: u32) {
        self.free.push(place);
    }

    /// Takes a thing out, and gives its place back.
    pub fn remove(&mut self, place: u32) -> Option<T>
    where
        T: Default,
    {
        let thing = core::mem::take(self.get_mut(place)?);
        self.give_back(place);
        Some(thing)
    }

    /// The thing at a place.
    #[inline]
    pub fn get(&self, place: u32) -> Option<&T> {
        self.pieces.get(place as usize / PIECE)?.get(place as usize % PIECE)
    }

    /// The same, to be changed.
    #[inline]
    pub fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        self.pieces.get_mut(place as usize / PIECE)?.get_mut(place as usize % PIECE)
    }

    /// Drops the things from that place on; none of the places before is one that was given back.
    pub fn truncate(&mut self, reach: u32) {
        let reach = reach as usize;
        self.pieces.truncate(reach.div_ceil(PIECE));
        if let Some(last) = self.pieces.last_mut().filter(|_| !reach.is_multiple_of(PIECE)) {
            last.truncate(reach % PIECE);
        }
        self.free.clear();
    }

    /// How many places there are, those given back among them.
    pub fn reach(&self) -> u32 {
        let full = self.pieces.len().saturating_sub(1) * PIECE;
        (full + self.pieces.last().map_or(0, Vec::len)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_in_order_and_again() {
        let mut slab = Slab::default();
        for number in 0..10_000_u32 {
            assert_eq!(slab.put(number), number);
        }
        slab.give_back(7);
        assert_eq!(slab.put(70), 7);
        assert_eq!(
            (slab.get(7), slab.get(9_999), slab.get(10_000)),
            (Some(&70), Some(&9_999), None)
        );
        assert_eq!(slab.reach(), 10_000);
        for reach in [9_000, 8_192, 0] {
            slab.truncate(reach);
            assert_eq!((slab.reach(), slab.get(reach)), (reach, None));
            assert_eq!(slab.put(1), reach);
        }
    }
}
