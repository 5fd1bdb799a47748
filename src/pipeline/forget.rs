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

    /// The records, and what everything is told to.
    pub fn archive_and_sink(&mut self) -> (&Archive, &mut S) {
        (&self.archive, &mut self.sink)
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
    /// before others; what is left keeps its numbers.
    pub fn forget(&mut self, is_over: impl Fn(&History) -> bool) {
        let new = Archive::after(&self.archive);
        let mut old = replace(&mut self.archive, new);
        let numberings = self.across_tunnels.as_mut().map(take);
        self.places = Places::default();
        let mut room = Room::default();
        for place in 0..old.reach() {
            let kept = match old.read(place, &mut room) {
                Some(history) if !is_over(history) => self.archive.adopt(&mut old, place),
                _ => None,
            };
            let Some(new) = kept else { continue };
            let tuple = room.history().tuple;
            let (archive, hasher) = (&self.archive, &self.hasher);
            let hashes_of = |few: &[u32], hashes: &mut Vec<u64>| {
                archive.hashes(hasher, few, hashes);
            };
            self.places.add(hasher.hash(&tuple), new, hashes_of);
            if let (Some(all), Some(old)) = (&mut self.across_tunnels, &numberings) {
                let bare = tuple.in_tunnel(0);
                all.extend(old.get(&bare).map(|numbering| (bare, *numbering)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Merge;
    use crate::infer::Params;

    struct Nobody;

    impl Sink for Nobody {}

    /// The histories of a recording, without who had their four-tuples before, and how many were
    /// forgotten when so many segments had been taken, and once more when twice as many had.
    fn histories(name: &str, forget_at: usize) -> (Vec<History>, u64) {
        let path = format!("{}/testdata/{name}/server.pcap", env!("CARGO_MANIFEST_DIR"));
        let mut merge = Merge::open(&[path]).unwrap();
        let mut tracker = Tracker::new(Params::default(), 1_000, Nobody);
        let mut intake = tracker.intake();
        let mut count = 0;
        while let Some(it) = merge.next_packet().unwrap() {
            intake.packet(it.link.0, it.data, it.orig_len, it.ts, it.frame, |keyed| {
                count += 1;
                tracker.batch(&[keyed]);
                if count == forget_at || count == 2 * forget_at {
                    let archive = tracker.lend_archive(keyed.ts());
                    tracker.take_back(archive);
                    tracker.forget(|history| !history.is_open());
                }
            });
        }
        let (_, archive, _) = tracker.close(intake);
        for history in archive.iter() {
            assert_eq!(archive.get(history.id).as_ref(), Some(&history), "found by its number");
        }
        let alone = |mut history: History| {
            history.predecessor = None;
            history
        };
        (archive.iter().map(alone).collect(), archive.forgotten())
    }

    #[test]
    fn what_is_kept_goes_on_as_if_nothing_had_been_forgotten() {
        let mut all_forgotten = 0;
        for name in ["services/leaks", "services/is-checked", "kernel/demo", "kernel/rough-path"] {
            let (whole, _) = histories(name, usize::MAX / 2);
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
