//! Compressed captures, told by their first bytes.

use core::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::Error;
use super::window::Window;

/// How a capture is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// LZ4 frames.
    Lz4,
    /// xz.
    Xz,
    /// bzip2.
    Bzip2,
}

impl Compression {
    /// Every compression that is read.
    pub const ALL: [Compression; 5] = [
        Compression::Gzip,
        Compression::Zstd,
        Compression::Lz4,
        Compression::Xz,
        Compression::Bzip2,
    ];

    /// Its name, which is also the program's that makes it.
    pub const fn name(self) -> &'static str {
        match self {
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::Lz4 => "lz4",
            Compression::Xz => "xz",
            Compression::Bzip2 => "bzip2",
        }
    }

    /// The bytes that a member or frame begins with.
    const fn magic(self) -> &'static [u8] {
        match self {
            Compression::Gzip => &[0x1f, 0x8b],
            Compression::Zstd => &[0x28, 0xb5, 0x2f, 0xfd],
            Compression::Lz4 => &[0x04, 0x22, 0x4d, 0x18],
            Compression::Xz => &[0xfd, b'7', b'z', b'X', b'Z', 0],
            Compression::Bzip2 => b"BZh",
        }
    }

    /// The compression of a member or frame that begins with these bytes.
    fn of(start: &[u8]) -> Option<Compression> {
        Compression::ALL.into_iter().find(|it| start.starts_with(it.magic()))
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Bytes of the longest magic.
const MAGIC_BYTES: usize = 6;

/// The compression of what the window shows, past skippable frames at its beginning, which zstd
/// and lz4 have in common.
pub(super) fn detect(window: &mut Window) -> io::Result<Option<Compression>> {
    skip_frames(window)?;
    window.fill(MAGIC_BYTES)?;
    Ok(Compression::of(window.bytes()))
}

/// Steps over skippable frames (RFC 8878 section 3.1.2).
fn skip_frames(window: &mut Window) -> io::Result<()> {
    const HEADER_BYTES: usize = 8;
    while window.fill(4)? && matches!(window.bytes(), [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]) {
        window.fill(HEADER_BYTES)?;
        let [_, _, _, _, a, b, c, d, ..] = *window.bytes() else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let mut left = HEADER_BYTES + u32::from_le_bytes([a, b, c, d]) as usize;
        while left > 0 {
            if !window.fill(1)? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let here = left.min(window.bytes().len());
            window.take(here);
            left -= here;
        }
    }
    Ok(())
}

/// A window over what the packed bytes in this one unpack to, and a count of the packed bytes that
/// have been consumed.
pub(super) fn unpack(
    file: &Arc<str>,
    compression: Compression,
    packed: Window,
    capacity: usize,
) -> Result<(Window, Arc<AtomicU64>), Error> {
    let unsupported = |format| {
        let (file, program) = (Arc::clone(file), compression.name());
        let way_out = format!("decompress it first: {program} -dc {{file}} | finwait -");
        Error::Unsupported { file, format, way_out }
    };
    #[cfg(not(feature = "compression"))]
    {
        let _ = (packed, capacity);
        Err(unsupported("compressed"))
    }
    #[cfg(feature = "compression")]
    {
        let failed = |cause| opening_failed(file, Some(compression), cause);
        let (reader, consumed) = super::unpack::unpack(packed).map_err(failed)?;
        let mut window = Window::new(reader, capacity);
        match detect(&mut window).map_err(failed)? {
            Some(_) => Err(unsupported("compressed twice")),
            None => Ok((window, consumed)),
        }
    }
}

/// What is wrong with a compressed stream.
pub(super) enum Broken {
    /// It ends too early.
    Cut(Compression),
    /// It takes more memory than it may.
    TooLarge(Compression),
    /// It is corrupt.
    Corrupt(String),
}

/// What an error of reading says of the compressed stream; none if it is the system's.
pub(super) fn broken(compression: Option<Compression>, cause: &io::Error) -> Option<Broken> {
    let compression = compression.filter(|_| cause.raw_os_error().is_none())?;
    Some(match cause.kind() {
        io::ErrorKind::UnexpectedEof => Broken::Cut(compression),
        io::ErrorKind::OutOfMemory => Broken::TooLarge(compression),
        _ => Broken::Corrupt(format!("the {compression} stream is corrupt ({cause})")),
    })
}

/// Why nothing of a file can be read.
pub(super) fn opening_failed(
    file: &Arc<str>,
    compression: Option<Compression>,
    cause: io::Error,
) -> Error {
    let file = Arc::clone(file);
    // Only a skippable frame ends too early before it is known what follows, and zstd writes most.
    let is_cut = cause.kind() == io::ErrorKind::UnexpectedEof;
    let compression = compression.or(is_cut.then_some(Compression::Zstd));
    match broken(compression, &cause) {
        Some(Broken::Cut(compression)) => Error::StreamCut { file, compression },
        Some(Broken::TooLarge(compression)) => {
            Error::StreamTooLarge { file, compression, frame: 0 }
        }
        Some(Broken::Corrupt(what)) => {
            Error::Damaged { file, offset: 0, unpacked: true, frame: 1, what }
        }
        None => Error::Read { file, offset: 0, frame: 0, cause },
    }
}
