//! How captures end: where a packet ends, or before.

use core::fmt;
use std::sync::Arc;

use super::Compression;

/// How a capture ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Where a packet ends: all is well.
    Complete,
    /// Inside a packet, or inside a pcapng block: it was cut short.
    Cut(Cut),
    /// With an [`Error`](super::Error), which has been handed out.
    Failed,
}

/// The place where a capture was cut short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The file as the user named it.
    pub file: Arc<str>,
    /// Where the incomplete record or block begins.
    pub offset: u64,
    /// The number of the frame that it was to be, in this file.
    pub frame: u64,
    /// The file's length in bytes; of a compressed one, how many could be unpacked.
    pub length: u64,
    /// The compression of the stream, if it is that which ends early.
    pub compression: Option<Compression>,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cut { file, offset, frame, length, compression } = self;
        match compression {
            None => write!(
                f,
                "{file}: ends at byte {length}, inside what begins at byte {offset} as frame \
                 {frame}: the capture was cut short, and everything before that frame was read"
            ),
            Some(compression) => write!(
                f,
                "{file}: its {compression} stream ends too early, after {length} bytes unpacked, \
                 where frame {frame} begins at byte {offset}: the file was cut short, and \
                 everything before that frame was read"
            ),
        }
    }
}
