//! A file that is read at several places at once.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

/// Reads a file from its beginning on, wherever others read it.
pub(super) struct Pread {
    file: Arc<File>,
    at: u64,
}

impl Pread {
    /// From the beginning.
    pub fn new(file: Arc<File>) -> Pread {
        Pread { file, at: 0 }
    }
}

impl Read for Pread {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        let count = std::os::unix::fs::FileExt::read_at(&*self.file, room, self.at)?;
        #[cfg(windows)]
        let count = std::os::windows::fs::FileExt::seek_read(&*self.file, room, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
