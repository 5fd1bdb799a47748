//! The read buffer: a window that moves over the input and shows its next bytes in one piece.
//!
//! It reads only when asked for more bytes than it has, so a quiet live pipe is never waited on
//! for bytes that nobody needs, and then as many as are there, because large reads are what makes
//! reading fast. Interrupted reads are tried again; other errors reach the caller as they are.

use std::io::{self, ErrorKind, Read};

/// Bytes by which the buffer grows at least.
const MIN_GROWTH: usize = 64;

/// A read that brings less, and less than there was room for, has emptied a slow input.
const SLOW_READ: usize = 1 << 14;

/// A window over a reader's bytes.
pub(super) struct Window {
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// The bytes in the window are `buffer[start..end]`.
    start: usize,
    end: usize,
    /// Bytes of the input before `buffer[0]`.
    base: u64,
    /// Whether the input had no more than was read last.
    has_emptied: bool,
}

impl Window {
    /// An empty window with room for `capacity` bytes; more only if one block needs it.
    pub(super) fn new(reader: Box<dyn Read + Send>, capacity: usize) -> Self {
        Window { reader, buffer: vec![0; capacity], start: 0, end: 0, base: 0, has_emptied: false }
    }

    /// Lets go of the input and of the buffer, but not of the place in it.
    pub(super) fn close(&mut self) {
        self.base = self.offset();
        (self.start, self.end) = (0, 0);
        self.buffer = Vec::new();
        self.reader = Box::new(io::empty());
    }

    /// The bytes that were read and not yet consumed.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// The same, to be put into a form that a parser understands.
    #[inline]
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// How many bytes of the input stand before the window.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.base.saturating_add(self.start as u64)
    }

    /// Whether a read has emptied a slow input since this was asked last: the next one may have to
    /// wait.
    pub(super) fn take_emptied(&mut self) -> bool {
        core::mem::take(&mut self.has_emptied)
    }

    /// Moves the window `count` bytes on, at most to the end of what was read. Says where in the
    /// buffer it stood before: what it moved over can be had from there until the next filling.
    #[inline]
    pub(super) fn take(&mut self, count: usize) -> usize {
        let before = self.start;
        self.start = before.saturating_add(count).min(self.end);
        before
    }

    /// Bytes that the window has moved over since it was last filled.
    #[inline]
    pub(super) fn taken(&self, at: usize, count: usize) -> &[u8] {
        let end = at.saturating_add(count);
        self.buffer.get(at..end).unwrap_or_default()
    }

    /// Sees to it that the window holds at least `need` bytes; false if the input ends before.
    /// The caller bounds `need`.
    #[inline]
    pub(super) fn fill(&mut self, need: usize) -> io::Result<bool> {
        if self.end - self.start >= need {
            return Ok(true);
        }
        self.read_up_to(need)
    }

    #[cold]
    fn read_up_to(&mut self, need: usize) -> io::Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.base = self.base.saturating_add(self.start as u64);
        self.end -= self.start;
        self.start = 0;
        while self.end < need {
            if self.end == self.buffer.len() {
                // By doubling, so that a length alone takes no memory: the bytes must come too.
                let doubled = self.buffer.len().saturating_mul(2).max(MIN_GROWTH);
                self.buffer.resize(doubled.min(need), 0);
            }
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            let most = room.len().min(SLOW_READ);
            match self.reader.read(room) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.has_emptied = count < most;
                    // A reader that claims more than the room it got is broken; do not follow it.
                    self.end = self.end.saturating_add(count).min(self.buffer.len());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::testing::Chunks;

    #[test]
    fn bytes_stay_in_one_piece_while_the_window_moves() {
        let input: Vec<u8> = (0..100).collect();
        let mut window = Window::new(Box::new(Chunks::new(input, 7)), 10);
        assert!(window.fill(8).unwrap());
        window.take(8);
        assert!(window.fill(20).unwrap(), "grows past its capacity");
        assert_eq!((window.bytes()[0], window.offset()), (8, 8));
        assert!(!window.fill(93).unwrap());
        assert_eq!(window.bytes().len(), 92);
        window.take(1000);
        assert_eq!((window.bytes().len(), window.offset()), (0, 100));
        assert!(window.take_emptied() && !window.take_emptied());
    }
}
