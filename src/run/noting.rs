//! Gives what a capture says of its packets to the connections that they are of.

use std::collections::VecDeque;

use super::Watcher;
use crate::capture::{Error, Merge, Note, Packet};
use crate::decode::segment::Segment;
use crate::decode::tuple::{End, FourTuple};
use crate::notes::Notes;
use crate::pipeline::Sink;

/// The next packet of a capture, and with it what the capture says of it.
pub(super) fn next<'a>(
    merge: &'a mut Merge,
    notes: &mut Vec<Note>,
) -> Result<Option<Packet<'a>>, Error> {
    let detailed = merge.next_detailed()?;
    Ok(detailed.map(|detailed| {
        notes.extend(Note::of(&detailed));
        detailed.packet
    }))
}

/// Notes on the way to their connections.
#[derive(Debug, Default)]
pub(super) struct Noting {
    /// What is said of the segments to come, by frame.
    pending: VecDeque<Note>,
    pub(super) notes: Notes,
}

impl Noting {
    /// Takes what is said of the next segments, in their order.
    pub(super) fn expect(&mut self, notes: &mut Vec<Note>) {
        self.pending.clear();
        self.pending.extend(notes.drain(..));
    }

    fn place(&mut self, id: u64, from: End, segment: &Segment) {
        while let Some(next) = self.pending.front()
            && next.frame <= segment.frame
        {
            // Packets without a segment have notes too.
            let note = self.pending.pop_front().filter(|note| note.frame == segment.frame);
            if let Some(note) = note {
                self.notes.take(id, from, note);
            }
        }
    }
}

impl Sink for Noting {
    fn segment(&mut self, id: u64, _: u32, _: &FourTuple, from: End, segment: &Segment) {
        self.place(id, from, segment);
    }
}

/// A watcher that takes notes, and passes on everything to another one.
pub(super) struct Notetaker<'a, W> {
    inner: &'a mut W,
    pub(super) noting: Noting,
}

impl<'a, W: Watcher> Notetaker<'a, W> {
    pub(super) fn new(inner: &'a mut W) -> Self {
        Notetaker { inner, noting: Noting::default() }
    }
}

impl<W: Watcher> Watcher for Notetaker<'_, W> {
    fn segment(&mut self, id: u64, stream: u32, from: End, segment: &Segment) {
        self.noting.place(id, from, segment);
        self.inner.segment(id, stream, from, segment);
    }

    fn progress(&mut self, position: u64, size: Option<u64>) {
        self.inner.progress(position, size);
    }

    fn notes(&mut self, notes: &mut Vec<Note>) {
        self.noting.expect(notes);
    }
}
