//! Forgetting connections, so that a capture without an end takes memory only for what is open.

use core::mem::{replace, take};

use crate::flow::table::Places;
use crate::history::History;
use crate::history::archive::{Archive, Room};
use crate::pipeline::{Sink, Tracker};
use crate::time::Timestamp;

impl<S: Sink> Tracker<S> {
    /// How many connections are known.
    pub fn connections(&self) -> usize {
        self.archive.reach() as usize
    }

    /// Hands out the records, told as of `now`; until they are back, nothing may be taken.
    pub fn lend_archive(&mut self, now: Timestamp) -> Archive {
        self.archive.close(now);
        take(&mut self.archive)
    }

    /// Takes the records back.
    pub fn take_back(&mut self, archive: Archive) {
        self.archive = archive;
    }

    /// Lets go of the connections that `is_over` chooses and of all that had their four-tuples
    /// before others; what is left is numbered anew, in the same order. Returns how many went.
    pub fn forget(&mut self, is_over: impl Fn(&History) -> bool) -> u64 {
        let mut old = replace(&mut self.archive, Archive::of(self.params));
        let numberings = self.across_tunnels.as_mut().map(take);
        self.places = Places::default();
        let mut room = Room::default();
        let mut gone = 0;
        for id in 0..old.reach() {
            let kept = match old.read(id, &mut room) {
                Some(history) if !is_over(history) => self.archive.adopt(&mut old, id),
                _ => None,
            };
            let Some(new) = kept else {
                gone += 1;
                continue;
            };
            let tuple = room.history().tuple;
            let (archive, hasher) = (&self.archive, &self.hasher);
            let hash_of = |id| archive.tuple(id).map_or(0, |tuple| hasher.hash(&tuple));
            self.places.add(hasher.hash(&tuple), new, hash_of);
            if let (Some(all), Some(old)) = (&mut self.across_tunnels, &numberings) {
                let bare = tuple.in_tunnel(0);
                all.extend(old.get(&bare).map(|numbering| (bare, *numbering)));
            }
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Merge;
    use crate::infer::Params;

    struct Nobody;

    impl Sink for Nobody {}

    /// The histories of a recording, without what is numbered, and how many were forgotten when so
    /// many segments had been taken.
    fn histories(name: &str, forget_at: usize) -> (Vec<History>, u64) {
        let path = format!("{}/testdata/{name}/server.pcap", env!("CARGO_MANIFEST_DIR"));
        let mut merge = Merge::open(&[path]).unwrap();
        let mut tracker = Tracker::new(Params::default(), 1_000, Nobody);
        let mut intake = tracker.intake();
        let (mut count, mut forgotten) = (0, 0);
        while let Some(it) = merge.next_packet().unwrap() {
            intake.packet(it.link.0, it.data, it.orig_len, it.ts, it.frame, |keyed| {
                count += 1;
                tracker.batch(&[keyed]);
                if count == forget_at {
                    let archive = tracker.lend_archive(keyed.ts());
                    tracker.take_back(archive);
                    forgotten += tracker.forget(|history| !history.is_open());
                }
            });
        }
        let (_, archive, _) = tracker.close(intake);
        let numberless = |mut history: History| {
            (history.id, history.predecessor) = (0, None);
            history
        };
        (archive.iter().map(numberless).collect(), forgotten)
    }

    #[test]
    fn what_is_kept_goes_on_as_if_nothing_had_been_forgotten() {
        let mut all_forgotten = 0;
        for name in ["services/leaks", "services/is-checked", "kernel/demo", "kernel/rough-path"] {
            let (whole, _) = histories(name, usize::MAX);
            for forget_at in (1..200).step_by(7) {
                let (kept, forgotten) = histories(name, forget_at);
                all_forgotten += forgotten;
                assert_eq!(kept.len() as u64 + forgotten, whole.len() as u64, "{name}");
                for history in &kept {
                    assert!(whole.contains(history), "{name} at {forget_at}: {history:#?}");
                }
            }
        }
        assert!(all_forgotten > 100, "{all_forgotten}");
    }
}
