//! Gives what a capture says of its packets to the connections that they are of.

use std::collections::VecDeque;

use super::Watcher;
use crate::capture::Note;
use crate::decode::segment::Segment;
use crate::decode::tuple::End;
use crate::notes::Notes;

/// A watcher that takes notes, and passes on everything to another one.
pub(super) struct Noting<'a, W> {
    inner: &'a mut W,
    /// What is said of the segments to come, by frame.
    pending: VecDeque<Note>,
    pub(super) notes: Notes,
}

impl<'a, W: Watcher> Noting<'a, W> {
    pub(super) fn new(inner: &'a mut W) -> Self {
        Noting { inner, pending: VecDeque::new(), notes: Notes::default() }
    }
}

impl<W: Watcher> Watcher for Noting<'_, W> {
    fn segment(&mut self, id: u64, stream: u32, from: End, segment: &Segment) {
        while let Some(next) = self.pending.front()
            && next.frame <= segment.frame
        {
            // Packets without a segment have notes too.
            let note = self.pending.pop_front().filter(|note| note.frame == segment.frame);
            if let Some(note) = note {
                self.notes.take(id, from, note);
            }
        }
        self.inner.segment(id, stream, from, segment);
    }

    fn progress(&mut self, position: u64, size: Option<u64>) {
        self.inner.progress(position, size);
    }

    fn notes(&mut self, notes: &mut Vec<Note>) {
        self.pending.clear();
        self.pending.extend(notes.drain(..));
    }
}
