//! From the capture to the archive: one thread makes segments of packets, another one finds their
//! connections. With one thread, both are done in turn, batch by batch; and with two if another one
//! unpacks.

use std::sync::mpsc::{channel, sync_channel};
use std::thread;

use crate::capture::{self, Merge, Note, Packet, Source};
use crate::history::archive::Archive;
use crate::limits::{BATCH_SEGMENTS, HANDED_SEGMENTS};
use crate::pipeline::{Intake, Keyed, Totals, Tracker};
use crate::run::{Analysis, Options, Parts, Told, Watcher, ending, noting};

/// Batches on their way from one thread to the other.
const BATCHES: usize = 4;
/// Packets without a segment after which a batch is handed on as it is, for the progress.
const PACKETS: usize = 16 * HANDED_SEGMENTS;
/// Batches between two calls of [`Watcher::progress`]: a few milliseconds.
pub(super) const PROGRESS_BATCHES: u64 = 64;

/// What was read.
pub(super) struct Read {
    pub archive: Archive,
    pub totals: Totals,
    /// Why captures could not be read to the end.
    pub errors: Vec<capture::Error>,
}

impl Read {
    /// What there is to tell of it; the captures have been read to their ends.
    pub fn judged(self, merge: &Merge, options: &Options) -> Analysis {
        let Read { archive, totals, errors } = self;
        Analysis::judged(archive, totals, Parts::of(merge), errors, options)
    }
}

/// Segments, and how far the capture had been read when they were complete.
pub(super) struct Batch {
    pub segments: Vec<Keyed>,
    /// What the capture says of its packets, if that is kept.
    notes: Vec<Note>,
    pub position: u64,
    /// Whether it is handed on before it is full, as the next packets may be long in coming.
    is_early: bool,
    room: usize,
}

impl Batch {
    /// Of no segments yet, to be filled with so many.
    pub fn new(room: usize) -> Batch {
        Batch { segments: Vec::new(), notes: Vec::new(), position: 0, is_early: false, room }
    }
}

/// Reads the capture to its end.
pub(super) fn read<W: Watcher>(
    merge: &mut Merge,
    mut tracker: Tracker<Told<'_, W>>,
    options: &Options,
) -> Read {
    let is_noting = merge.keeps_details();
    let mut filler = Filler::new(tracker.intake(), is_noting);
    let (mut batches, size) = (0_u64, merge.size());
    let mut track = |batch: &mut Batch| {
        if !batch.notes.is_empty() {
            tracker.sink().watcher.notes(&mut batch.notes);
        }
        tracker.batch(&batch.segments);
        batches += 1;
        if batch.is_early || batches.is_multiple_of(PROGRESS_BATCHES) {
            tracker.sink().watcher.progress(batch.position, size);
        }
    };
    // Whoever unpacks takes about as long as one that does all the rest of this, or longer.
    let is_unpacked = merge.sources().iter().all(|it| it.info().compression.is_some());
    if options.threads <= 1 + usize::from(is_unpacked) {
        let mut batch = Batch::new(BATCH_SEGMENTS);
        while filler.fill(merge, &mut batch, Vec::push) {
            track(&mut batch);
        }
    } else {
        in_two_threads(merge, &mut filler, track);
    }
    tracker.sink().watcher.progress(merge.position(), size);
    filler.last_until(merge, options);
    let (_, archive, totals) = tracker.close(filler.intake);
    Read { archive, totals, errors: filler.errors }
}

/// Fills batches in a thread of its own.
fn in_two_threads(merge: &mut Merge, filler: &mut Filler, mut track: impl FnMut(&mut Batch)) {
    let (hand_over, filled) = sync_channel(BATCHES);
    let (hand_back, empty) = channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..BATCHES {
                let mut batch = Batch::new(HANDED_SEGMENTS);
                if !filler.fill(merge, &mut batch, Vec::push) || hand_over.send(batch).is_err() {
                    return;
                }
            }
            while let Ok(mut batch) = empty.recv() {
                if !filler.fill(merge, &mut batch, Vec::push) || hand_over.send(batch).is_err() {
                    return;
                }
            }
        });
        for mut batch in filled {
            track(&mut batch);
            // The other thread may have come to the end.
            let _ = hand_back.send(batch);
        }
    });
}

/// Makes segments of the capture's packets.
pub(super) struct Filler {
    pub intake: Intake,
    pub errors: Vec<capture::Error>,
    is_noting: bool,
}

impl Filler {
    /// Of what goes through `intake`; `is_noting` whether notes are kept.
    pub fn new(intake: Intake, is_noting: bool) -> Filler {
        Filler { intake, errors: Vec::new(), is_noting }
    }

    /// Has the capture go on until the options say that it ended, or else itself.
    pub fn last_until(&mut self, merge: &Merge, options: &Options) {
        let Totals { first_ts, last_ts, .. } = *self.intake.totals();
        let end = match options.until {
            Some(until) => Some(until.of(first_ts)),
            None => ending::of(merge.sources().iter().map(Source::info), last_ts),
        };
        end.into_iter().for_each(|end| self.intake.silence(end));
    }

    /// Fills a batch anew: `push` puts each segment among its, or elsewhere. Whether there was
    /// anything left.
    pub fn fill(
        &mut self,
        merge: &mut Merge,
        batch: &mut Batch,
        mut push: impl FnMut(&mut Vec<Keyed>, Keyed),
    ) -> bool {
        batch.segments.clear();
        batch.notes.clear();
        batch.is_early = false;
        let (mut packets, mut segments) = (0, 0);
        let is_left = loop {
            // Nearly every packet is one segment at most.
            let room = batch.room.saturating_sub(segments).min(PACKETS - packets);
            if room == 0 {
                break true;
            }
            let mut push = |keyed| {
                segments += 1;
                push(&mut batch.segments, keyed);
            };
            let taken = merge.take_at_hand(room, |packet| self.take(packet, &mut push));
            packets += taken;
            if taken == room {
                continue;
            }
            batch.is_early = packets > 0 && merge.take_emptied();
            if batch.is_early {
                break true;
            }
            if !self.fetch(merge, &mut batch.notes, push) {
                break packets > 0;
            }
            packets += 1;
        };
        batch.position = merge.position();
        is_left
    }

    /// Takes the next packet, wherever it is. Whether there was one.
    #[inline(never)]
    fn fetch(&mut self, merge: &mut Merge, notes: &mut Vec<Note>, push: impl FnMut(Keyed)) -> bool {
        let next = match self.is_noting {
            true => noting::next(merge, notes),
            false => merge.next_packet(),
        };
        match next {
            Ok(Some(packet)) => self.take(&packet, push),
            Ok(None) => return false,
            Err(error) => self.errors.push(error),
        }
        true
    }

    #[inline(always)]
    fn take(&mut self, packet: &Packet<'_>, push: impl FnMut(Keyed)) {
        self.intake.packet(packet, push);
    }
}
