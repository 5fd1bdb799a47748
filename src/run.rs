//! A whole run: capture files in, everything that is known about them out.
//!
//! A capture that is damaged or cut short does not stop the run: what stood before is analysed, and
//! [`Analysis::errors`] and [`Analysis::cuts`] say what is missing.

pub mod ending;
mod judging;
pub mod live;
mod masking;
mod names;
mod noting;
mod reading;
mod sharing;

use std::collections::BTreeMap;
use std::path::Path;

use crate::addr::Addr;
use crate::capture::text::Clock;
use crate::capture::{self, Cut, Ending, FileInfo, Merge, Note};
use crate::decode::segment::Segment;
use crate::decode::skip::Skip;
use crate::decode::tunnel::Tunnel;
use crate::decode::tuple::{End, FourTuple};
use crate::findings::{self, CaptureFacts, Finding, Summary, Survey, Thresholds, holders};
use crate::history::archive::Archive;
use crate::history::{History, Role};
use crate::infer::Params;
use crate::limits::CONNECTIONS_MAX;
use crate::notes::Notes;
use crate::owner::Owner;
use crate::pipeline::{Sink, Totals, Tracker};
use crate::sockets::{Join, Snapshot};
use crate::time::{Span, Timestamp};

use ending::Ended;
use noting::Notetaker;

pub use masking::Mask;
pub use names::{Names, NamesError};

/// How to read.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the hosts' TCPs are like.
    pub params: Params,
    /// Four-tuples that are followed at most.
    pub connections_max: usize,
    /// What counts as a finding.
    pub thresholds: Thresholds,
    /// Whether to look into tunnels.
    pub decode_tunnels: bool,
    /// The capture went on until then, without a packet.
    pub until: Option<Until>,
    /// Threads to use. The result does not depend on it.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            params: Params::default(),
            connections_max: CONNECTIONS_MAX,
            thresholds: Thresholds::default(),
            decode_tunnels: false,
            until: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

impl Options {
    /// What finds the connections of segments, as these options have it.
    pub(crate) fn tracker<S: Sink>(&self, sink: S) -> Tracker<S> {
        let tracker = Tracker::new(self.params, self.connections_max, sink)
            .keeping_what_matters(&self.thresholds);
        if self.decode_tunnels { tracker.decoding_tunnels() } else { tracker }
    }
}

/// When a capture ended, if that is known from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Until {
    /// So long after its earliest packet.
    After(Span),
    /// At that time.
    Time(Timestamp),
}

impl Until {
    /// The moment, of a capture that began then.
    pub fn of(self, first: Option<Timestamp>) -> Timestamp {
        match self {
            Until::After(span) => first.unwrap_or_default().after(span),
            Until::Time(ts) => ts,
        }
    }
}

/// Looks on while a capture is read. `()` looks away.
pub trait Watcher {
    /// Whether it looks at segments. If not, they need not come to it in their order, and several
    /// threads can follow the capture.
    const LOOKS_AT_SEGMENTS: bool = true;

    /// A segment was taken into connection `id`, which is `stream` to Wireshark.
    fn segment(&mut self, id: u64, stream: u32, from: End, segment: &Segment) {
        let _ = (id, stream, from, segment);
    }

    /// So many bytes of the input are read, of so many if that is known. Called now and then,
    /// when a slow input has given all that it had, and at the end.
    fn progress(&mut self, position: u64, size: Option<u64>) {
        let _ = (position, size);
    }

    /// What the capture says of packets whose segments come next, in their order; what is left of
    /// it is dropped.
    fn notes(&mut self, notes: &mut Vec<Note>) {
        let _ = notes;
    }
}

impl Watcher for () {
    const LOOKS_AT_SEGMENTS: bool = false;
}

/// Everything that is known about a capture.
#[derive(Debug)]
pub struct Analysis {
    /// The files, by the time of their first packet.
    pub files: Vec<FileInfo>,
    /// What was read, in numbers.
    pub totals: Totals,
    /// All connections.
    pub archive: Archive,
    /// What was found, in numbers, and the worst of it.
    pub findings: Summary,
    /// The connections counted.
    pub survey: Survey,
    /// What counted as a finding.
    pub thresholds: Thresholds,
    /// Transitions and refutations that connections had no room for.
    pub transitions_dropped: u64,
    /// By what the capture's end is known.
    pub ended: Ended,
    /// Files that end inside a packet.
    pub cuts: Vec<Cut>,
    /// Files that are damaged, or could not be read to the end.
    pub errors: Vec<capture::Error>,
    /// Files in a directory that was named which are no captures, and why. One that cannot be read
    /// is among the errors.
    pub left_out: Vec<String>,
    /// Packets that stand in several files and were taken once.
    pub repeated: u64,
    /// Packets that were not looked for in other files.
    repeats_beyond: u64,
    /// What hosts are called, where people read.
    pub names: Names,
    /// What stands for which address, if they are replaced.
    pub mask: Option<Mask>,
    /// What hosts' own socket tables say of the connections, if there are any.
    pub sockets: Option<Join>,
    /// What the capture itself says of the connections, beside their packets.
    pub notes: Notes,
    /// Threads to use for what is still to be done. No result depends on it.
    pub threads: usize,
}

impl Analysis {
    /// Whether all input was read to its end undamaged.
    pub fn is_complete(&self) -> bool {
        self.cuts.is_empty() && self.errors.is_empty()
    }

    /// Judges an archive.
    fn judged(
        archive: Archive,
        totals: Totals,
        parts: Parts,
        errors: Vec<capture::Error>,
        options: &Options,
    ) -> Analysis {
        let facts = facts(&totals, &parts.files);
        let thresholds = options.thresholds.clone().of_capture(totals.only());
        let judged = judging::judge(&archive, &thresholds, &facts, options.threads);
        let ended = Ended::of(&totals, &parts.files, options.until.is_some());
        let Parts { files, cuts, left_out, repeated, repeats_beyond } = parts;
        Analysis {
            findings: judged.findings,
            survey: judged.survey,
            files,
            totals,
            archive,
            thresholds,
            transitions_dropped: judged.transitions_dropped,
            ended,
            cuts,
            errors,
            names: Names::default(),
            mask: None,
            left_out,
            repeated,
            repeats_beyond,
            sockets: None,
            notes: Notes::default(),
            threads: options.threads,
        }
    }

    /// Joins the connections with hosts' own socket tables, each with the moment that it is of.
    /// From then on findings say who holds the sockets that they are about. Tables are masked if
    /// the capture is.
    pub fn join(&mut self, mut snapshots: Vec<(Snapshot, Timestamp)>) {
        if let Some(mask) = &mut self.mask {
            for (at, (snapshot, _)) in (1..).zip(&mut snapshots) {
                snapshot.mask(format!("sockets-{at}"), |addr| mask.addr(addr.into()).ip());
                snapshot.owners_mut().for_each(|owner| mask.owner(owner));
            }
        }
        let first = self.totals.first_ts.unwrap_or_default();
        let last = self.totals.last_ts.unwrap_or_default();
        let join = Join::new(snapshots, &self.archive, first, last);
        let single = self.findings.worst.values_mut().flatten();
        for finding in self.findings.grouped.iter_mut().chain(single) {
            holders::tell(finding, &join);
        }
        self.sockets = Some(join);
    }

    /// The same with what the capture notes.
    fn noted(mut self, notes: Notes) -> Analysis {
        self.notes = notes;
        self.place_notes();
        self
    }

    /// Gives what the capture notes to its connections, and says in findings who holds the
    /// sockets that they are about.
    fn place_notes(&mut self) {
        self.notes.place(&self.archive);
        let single = self.findings.worst.values_mut().flatten();
        for finding in self.findings.grouped.iter_mut().chain(single) {
            holders::tell_noted(finding, &self.notes);
        }
    }

    /// Who holds a role's end of a connection, by its host's own table or else by the capture.
    pub fn owners(&self, id: u64, role: Role) -> &[Owner] {
        let by_host = self.sockets.as_ref().map_or(&[][..], |join| join.owners(id, role));
        if by_host.is_empty() { self.notes.owners(id, role) } else { by_host }
    }

    /// Whether hosts or the capture say who holds sockets.
    pub fn tells_owners(&self) -> bool {
        self.sockets.is_some() || self.notes.has_owners()
    }

    /// The findings about one of its connections.
    pub fn findings_of(&self, history: &History) -> Vec<Finding> {
        let mut found = findings::check(history, &self.thresholds);
        for finding in &mut found {
            holders::tell_noted(finding, &self.notes);
            if let Some(join) = &self.sockets {
                holders::tell(finding, join);
            }
            self.name(finding);
        }
        found
    }

    /// The same with names for hosts: these, and those that the capture has itself for hosts that
    /// are not among them.
    pub fn named(mut self, names: Names) -> Analysis {
        let mask = &mut self.mask;
        self.names = match mask {
            Some(mask) => names.masked(|addr| mask.addr(addr)),
            None => names.and_of(&self.files),
        };
        let mut findings = core::mem::take(&mut self.findings);
        let worst = findings.worst.values_mut().flatten();
        findings.grouped.iter_mut().chain(worst).for_each(|finding| self.name(finding));
        self.findings = findings;
        self
    }

    fn name(&self, finding: &mut Finding) {
        if !self.names.is_empty() {
            finding.message = self.names.text(&finding.message).into_owned();
        }
    }

    /// The address that a host has in reports.
    fn shown(&self, host: Addr) -> Addr {
        self.mask.as_ref().map_or(host, |mask| mask.known(host))
    }

    /// The addresses that these hosts have in reports. A name stands for those of the hosts that
    /// are called so, if there are any; in a text it may be printed itself. An IPv4 address in
    /// IPv6's form stands for itself, too.
    pub fn hosts(&self, wanted: &[Addr]) -> Vec<Addr> {
        let is_text = self.files.iter().any(|file| file.text.is_some());
        let mut hosts = Vec::new();
        for host in wanted {
            let known = hosts.len();
            if !host.is_numeric() {
                hosts.extend(self.names.addrs(&host.to_string()));
            }
            if is_text || hosts.len() == known {
                hosts.push(self.shown(*host));
                // As a dual-stack socket has it; on the wire it is nearly always the other one.
                let plain = host.ip().to_canonical();
                hosts.extend((plain != host.ip()).then(|| self.shown(plain.into())));
            }
        }
        hosts
    }

    /// The findings about a service or the capture that name a connection because it alone raised
    /// them.
    pub fn findings_naming(&self, id: u64) -> impl Iterator<Item = &Finding> {
        let places = self.findings.of_one.get(&id).into_iter().flatten();
        places.filter_map(|place| self.findings.grouped.get(*place))
    }

    /// Whether a finding of that name is about the connection: raised by it alone, or one that
    /// counts it among others.
    pub fn concerns(&self, name: &str, history: &History) -> bool {
        let Some(rule) = findings::rule(name) else { return false };
        let counts = |finding: &Finding| rule.counts(history, finding, &self.thresholds);
        self.findings_of(history).iter().any(|finding| finding.name == name)
            || self.findings.about(rule, history).any(counts)
    }

    /// The tunnel that a connection is in.
    pub fn tunnel_of(&self, history: &History) -> Option<&Tunnel> {
        self.totals.tunnels.get(history.tuple.tunnel())
    }

    /// Rows and holders of socket tables for which there was no room.
    fn snapshot_rows_beyond(&self) -> u64 {
        let taken = self.sockets.iter().flat_map(Join::taken);
        taken.map(|taken| taken.snapshot.left_out).sum()
    }

    /// Packets that the capturing system lost, as the files themselves count them.
    pub fn capture_dropped(&self) -> u64 {
        dropped(&self.files)
    }

    /// What the times of the capture mean: of several files the one that says least.
    pub fn clock(&self) -> Clock {
        let texts = self.files.iter().filter_map(|file| file.text.as_ref());
        texts.map(|text| text.clock).max().unwrap_or_default()
    }

    /// How often each limit of [`crate::limits`] was hit, by its name; only those that were.
    pub fn limits_hit(&self) -> BTreeMap<&'static str, u64> {
        let texts = || self.files.iter().filter_map(|file| file.text.as_ref());
        let names = self.files.iter().map(|file| file.names_left_out);
        let names =
            names.chain(texts().map(|text| text.names_left_out)).fold(0, u64::saturating_add);
        let beyond = texts().map(|text| text.beyond).fold(0, u64::saturating_add);
        let all = [
            ("connections_forgotten", self.totals.forgotten_for_room),
            ("connections_max", self.totals.beyond_connections_max.saturating_add(beyond)),
            ("fragmented_packets_max", self.totals.fragments_forced_out),
            ("names_max", names),
            ("noted_connections_max", self.notes.left_out),
            ("repeats_max", self.repeats_beyond),
            ("seen_tuples_max", self.totals.beyond_seen_tuples_max),
            ("snapshot_rows_max", self.snapshot_rows_beyond()),
            ("services_max", self.findings.groups_beyond),
            ("transitions_max", self.transitions_dropped),
        ];
        all.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

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

/// The same, where what cannot be read at all is among [`Analysis::errors`], even if there is
/// nothing else.
pub fn read_what_can_be<P: AsRef<Path>>(
    paths: &[P],
    options: &Options,
    watcher: &mut impl Watcher,
) -> Analysis {
    analyse(Merge::open_what_can_be(paths), options, watcher)
}

/// Reads opened captures as one, to the end.
pub fn analyse<W: Watcher>(mut merge: Merge, options: &Options, watcher: &mut W) -> Analysis {
    let shared = match W::LOOKS_AT_SEGMENTS {
        true => None,
        false => sharing::read(&mut merge, options, watcher),
    };
    if let Some(read) = shared {
        return read.judged(&merge, options);
    }
    if !merge.may_note() {
        return follow(merge, options, watcher);
    }
    let mut notetaker = Notetaker::new(watcher);
    let analysis = follow(merge.keeping_details(), options, &mut notetaker);
    analysis.noted(notetaker.noting.notes)
}

fn follow(mut merge: Merge, options: &Options, watcher: &mut impl Watcher) -> Analysis {
    let tracker = options.tracker(Told { watcher });
    let read = reading::read(&mut merge, tracker, options);
    read.judged(&merge, options)
}

/// What is known of the captures themselves.
#[derive(Clone, Debug, Default)]
struct Parts {
    files: Vec<FileInfo>,
    cuts: Vec<Cut>,
    left_out: Vec<String>,
    repeated: u64,
    repeats_beyond: u64,
}

impl Parts {
    /// As far as they have been read.
    fn of(merge: &Merge) -> Parts {
        let cut = |source: &capture::Source| match source.ending() {
            Some(Ending::Cut(cut)) => Some(cut.clone()),
            _ => None,
        };
        Parts {
            files: merge.sources().iter().map(|source| source.info().clone()).collect(),
            cuts: merge.sources().iter().filter_map(cut).collect(),
            left_out: merge.left_out().iter().map(ToString::to_string).collect(),
            repeated: merge.repeated(),
            repeats_beyond: merge.repeats_beyond(),
        }
    }
}

/// What findings about the capture as a whole judge.
fn facts(totals: &Totals, files: &[FileInfo]) -> CaptureFacts {
    CaptureFacts {
        packets: totals.packets,
        segments: totals.segments,
        connections: totals.connections,
        duplicates: totals.skipped.get(Skip::Duplicate),
        cut_headers: totals.skipped.get(Skip::CutHeader),
        dropped: dropped(files),
        backwards: totals.backwards,
        backwards_most: totals.backwards_most,
        first_ts: totals.first_ts,
        last_ts: totals.last_ts,
    }
}

fn dropped(files: &[FileInfo]) -> u64 {
    files.iter().map(|file| file.dropped).fold(0, u64::saturating_add)
}

/// Tells a watcher what the pipeline tells.
struct Told<'a, W> {
    watcher: &'a mut W,
}

impl<W: Watcher> Sink for Told<'_, W> {
    fn segment(&mut self, id: u64, stream: u32, _: &FourTuple, from: End, segment: &Segment) {
        self.watcher.segment(id, stream, from, segment);
    }
}
