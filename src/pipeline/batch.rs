//! Segments are followed in batches, so that what each needs can be fetched from memory while
//! others before it are followed.

use super::{Keyed, Sink, Tracker};
use crate::flow::table::NOWHERE;
use crate::limits::FETCHED_SEGMENTS;

/// Segments from one step of fetching what one needs to the next.
const AHEAD: usize = FETCHED_SEGMENTS / 4;

impl<S: Sink> Tracker<S> {
    /// Takes the next segments.
    ///
    /// What each will need is fetched from memory while others before it are taken, in four steps:
    /// where its four-tuple's place is if it came lately, where it is else, the record that is
    /// there, and what the record points to.
    pub fn batch(&mut self, batch: &[Keyed]) {
        let (groups, rest) = batch.as_chunks::<AHEAD>();
        let [mut near, mut found, mut fetched] = [[NOWHERE; AHEAD]; 3];
        for step in 0..groups.len() + 4 {
            // Each group is at another step, and the one that is furthest comes first.
            let begun_before = |steps| groups.get(step.wrapping_sub(steps));
            if let Some(group) = begun_before(4) {
                for (keyed, likely) in group.iter().zip(fetched) {
                    self.take(keyed, likely);
                }
            }
            fetched = found;
            fetched.iter().for_each(|likely| self.shelf.prefetch_close(*likely));
            found = near;
            if let Some(group) = begun_before(2) {
                for (keyed, likely) in group.iter().zip(&mut found) {
                    self.duplicates.prefetch(keyed.fingerprint);
                    if *likely == NOWHERE {
                        *likely = self.places.glance(keyed.hash);
                        if *likely != NOWHERE {
                            self.places.came(keyed.hash, *likely);
                            self.shelf.prefetch(*likely);
                        }
                    }
                }
            }
            if let Some(group) = begun_before(1) {
                for (keyed, likely) in group.iter().zip(&mut near) {
                    *likely = self.places.lately(keyed.hash);
                    match *likely {
                        NOWHERE => self.places.prefetch(keyed.hash),
                        likely => self.shelf.prefetch(likely),
                    }
                }
            }
            if let Some(group) = begun_before(0) {
                group.iter().for_each(|keyed| self.places.prefetch_lately(keyed.hash));
            }
        }
        // Too few to be worth it.
        for keyed in rest {
            self.take(keyed, self.places.glance(keyed.hash));
        }
    }
}
