//! When a capture ended, where its last packet does not tell: it was given, or a file says it.

use crate::capture::FileInfo;
use crate::pipeline::Totals;
use crate::time::Timestamp;

/// By what the end of a capture is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ended {
    /// It is the last packet's time.
    #[default]
    Packet,
    /// It was given, by [`super::Options::until`].
    Given,
    /// A file says so in its statistics.
    File,
    /// It was waited for more, so long.
    Watched,
}

impl Ended {
    /// By what it is known of a capture with these totals.
    pub(super) fn of(totals: &Totals, files: &[FileInfo], is_given: bool) -> Ended {
        match totals.last_packet_ts {
            None => Ended::Packet,
            Some(_) if is_given => Ended::Given,
            Some(_) if files.iter().any(|file| file.end == totals.last_ts) => Ended::File,
            Some(_) => Ended::Watched,
        }
    }

    /// Its word in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Ended::Packet => "packet",
            Ended::Given => "until",
            Ended::File => "file",
            Ended::Watched => "watch",
        }
    }
}

/// When the capture in these files ended, by the last of them that says so; none where that is not
/// after the last packet of all.
pub(super) fn of<'a>(
    files: impl Iterator<Item = &'a FileInfo>,
    last: Option<Timestamp>,
) -> Option<Timestamp> {
    files.filter_map(|file| file.end).max().filter(|end| last.is_some_and(|last| last < *end))
}
