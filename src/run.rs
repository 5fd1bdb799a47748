//! A whole run: capture files in, everything that is known about them out.
//!
//! ```no_run
//! use finwait::run::{Options, read};
//!
//! let analysis = read(&["server.pcap"], &Options::default(), &mut ())?;
//! for history in analysis.archive.iter() {
//!     println!("{}: {:?}", history.tuple, history.close());
//! }
//! # Ok::<(), finwait::capture::Error>(())
//! ```
//!
//! A capture that is damaged or cut short does not stop the run: what stood before is analysed, and
//! [`Analysis::errors`] and [`Analysis::cuts`] say what is missing.

use std::collections::BTreeMap;
use std::path::Path;

use crate::capture::{self, Cut, Ending, FileInfo, Merge};
use crate::decode::segment::Segment;
use crate::decode::tuple::{End, FourTuple};
use crate::history::History;
use crate::history::archive::Archive;
use crate::infer::Params;
use crate::limits::CONNECTIONS_MAX;
use crate::pipeline::{Pipeline, Sink, Totals};

/// How to read.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the hosts' TCPs are like.
    pub params: Params,
    /// Four-tuples that are followed at most.
    pub connections_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { params: Params::default(), connections_max: CONNECTIONS_MAX }
    }
}

/// Looks on while a capture is read. `()` looks away.
pub trait Watcher {
    /// A segment was taken into connection `id`, which is `stream` to Wireshark.
    fn segment(&mut self, id: u64, stream: u32, from: End, segment: &Segment) {
        let _ = (id, stream, from, segment);
    }

    /// So many bytes of the input are read, of so many if that is known. Called now and then.
    fn progress(&mut self, position: u64, size: Option<u64>) {
        let _ = (position, size);
    }
}

impl Watcher for () {}

/// Everything that is known about a capture.
#[derive(Debug)]
pub struct Analysis {
    /// The files, in the order in which they were named.
    pub files: Vec<FileInfo>,
    /// What was read, in numbers.
    pub totals: Totals,
    /// All connections.
    pub archive: Archive,
    /// Transitions and refutations that connections had no room for.
    pub transitions_dropped: u64,
    /// Files that end inside a packet.
    pub cuts: Vec<Cut>,
    /// Files that are damaged, or could not be read to the end.
    pub errors: Vec<capture::Error>,
}

impl Analysis {
    /// Whether all input was read to its end undamaged.
    pub fn is_complete(&self) -> bool {
        self.cuts.is_empty() && self.errors.is_empty()
    }

    /// Packets that the capturing system lost, as the files themselves count them.
    pub fn capture_dropped(&self) -> u64 {
        self.files.iter().map(|file| file.dropped).fold(0, u64::saturating_add)
    }

    /// How often each limit of [`crate::limits`] was hit, by its name; only those that were.
    pub fn limits_hit(&self) -> BTreeMap<&'static str, u64> {
        let names = self.files.iter().map(|file| file.names_left_out).fold(0, u64::saturating_add);
        let all = [
            ("connections_max", self.totals.beyond_connections_max),
            ("names_max", names),
            ("transitions_max", self.transitions_dropped),
        ];
        all.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

/// Packets between two calls of [`Watcher::progress`]: a few milliseconds.
const PROGRESS_PACKETS: u64 = 1 << 15;

/// Reads these captures as one, to the end. `-` is standard input.
///
/// An error is returned only where a file cannot be read at all.
pub fn read<P: AsRef<Path>>(
    paths: &[P],
    options: &Options,
    watcher: &mut impl Watcher,
) -> Result<Analysis, capture::Error> {
    Ok(analyse(Merge::open(paths)?, options, watcher))
}

/// Reads opened captures as one, to the end.
pub fn analyse(mut merge: Merge, options: &Options, watcher: &mut impl Watcher) -> Analysis {
    let sink = Keeper { watcher, archive: Archive::default(), transitions_dropped: 0 };
    let mut pipeline = Pipeline::new(options.params, options.connections_max, sink);
    let mut errors = Vec::new();
    let mut packets: u64 = 0;
    loop {
        match merge.next_packet() {
            Ok(Some(packet)) => {
                let link = packet.link.0;
                pipeline.packet(link, packet.data, packet.orig_len, packet.ts, packet.frame);
            }
            Ok(None) => break,
            Err(error) => errors.push(error),
        }
        packets += 1;
        if packets.is_multiple_of(PROGRESS_PACKETS) {
            pipeline.sink.watcher.progress(merge.position(), merge.size());
        }
    }
    let (keeper, totals) = pipeline.finish();
    let cut = |source: &capture::Source| match source.ending() {
        Some(Ending::Cut(cut)) => Some(cut.clone()),
        _ => None,
    };
    Analysis {
        files: merge.sources().iter().map(|source| source.info().clone()).collect(),
        totals,
        archive: keeper.archive,
        transitions_dropped: keeper.transitions_dropped,
        cuts: merge.sources().iter().filter_map(cut).collect(),
        errors,
    }
}

/// Keeps what the pipeline finishes.
struct Keeper<'a, W> {
    watcher: &'a mut W,
    archive: Archive,
    transitions_dropped: u64,
}

impl<W: Watcher> Sink for Keeper<'_, W> {
    fn segment(&mut self, id: u64, stream: u32, _: &FourTuple, from: End, segment: &Segment) {
        self.watcher.segment(id, stream, from, segment);
    }

    fn finished(&mut self, history: History) {
        self.transitions_dropped += u64::from(history.dropped);
        self.archive.push(&history);
    }
}
