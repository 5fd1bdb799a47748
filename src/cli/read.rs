//! Reading captures for a command: which files, with progress, and what went wrong on the way.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory};

use super::args::{Cli, ReadArgs, ReportFormat};
use super::at::{At, out_of_range};
use super::interrupt::Interrupt;
use super::progress::Progress;
use super::sockets::Tables;
use super::{ERROR, Outcome, input, sockets};
use crate::capture::{self, FileInfo};
use crate::decode::segment::Segment;
use crate::decode::skip::Skip;
use crate::decode::tuple::End;
use crate::limits::HOSTS_FILE_BYTES_MAX;
use crate::report::text::{Grouped, plural};
use crate::report::verdict::passed_over;
use crate::run::{self, Analysis, Names, Options, Watcher};
use crate::time::{Span, Timestamp};

/// What to read.
#[derive(Debug, Args)]
pub struct FilesArg {
    /// pcap or pcapng captures, compressed or not; several files or a directory are read as one
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// The captures to read: those named, or else standard input; none if that is a terminal.
pub fn inputs(files: &[PathBuf]) -> Option<Vec<PathBuf>> {
    match files {
        [] if io::stdin().is_terminal() => None,
        [] => Some(vec![PathBuf::from("-")]),
        _ => Some(files.to_vec()),
    }
}

/// Whether all of these are there to their ends, so that nobody waits for what comes.
pub fn are_stored(inputs: &[PathBuf]) -> bool {
    let is_stored = |input: &PathBuf| {
        let path = if input.as_os_str() == "-" { Path::new("/dev/stdin") } else { input };
        fs::metadata(path).is_ok_and(|it| it.is_file() || it.is_dir())
    };
    inputs.iter().all(is_stored)
}

/// Prints the help of a command, or of finwait.
pub fn help(command: Option<&str>) -> Result<Outcome> {
    let mut cli = Cli::command();
    // Until then a command does not know whose it is, and calls itself by its own name alone.
    cli.build();
    match command.and_then(|name| cli.find_subcommand_mut(name)) {
        Some(command) => command.print_help()?,
        None => cli.print_help()?,
    }
    Ok(Outcome::default())
}

/// Reads captures, telling `watcher` of every segment.
pub fn read(files: &[PathBuf], args: &ReadArgs, watcher: &mut impl Watcher) -> Result<Analysis> {
    read_by(files, args, watcher, |files, options, watcher| run::read(files, options, watcher))
}

/// Reads captures for a report. One for a program, or for who sees nothing but the report, says
/// which of them could not be opened; at a terminal there is nothing else to say, and so no report.
pub fn read_for(format: ReportFormat, files: &[PathBuf], args: &ReadArgs) -> Result<Analysis> {
    match format {
        ReportFormat::Table => read(files, args, &mut ()),
        _ => read_by(files, args, &mut (), |files, options, watcher| {
            Ok(run::read_what_can_be(files, options, watcher))
        }),
    }
}

fn read_by<W: Watcher>(
    files: &[PathBuf],
    args: &ReadArgs,
    watcher: &mut W,
    read: impl Fn(&[PathBuf], &Options, &mut Watched<'_, W>) -> Result<Analysis, capture::Error>,
) -> Result<Analysis> {
    if files.iter().any(|file| file.as_os_str() == "-") {
        // The pipe ends when what feeds it does.
        Interrupt::catch();
    }
    let mut watched = Watched { watcher, progress: Progress::new(args.progress) };
    let options = args.options()?;
    let tables = args.sockets.read(files)?;
    let analysis = read(files, &options, &mut watched)?;
    check_there_are_packets(&analysis)?;
    fit_to_show(analysis, tables, args)
}

/// What was read with the names that are wanted, without those that are not, and with what hosts'
/// own socket tables say.
pub fn fit_to_show(analysis: Analysis, tables: Tables, args: &ReadArgs) -> Result<Analysis> {
    check_until(&analysis, args)?;
    let analysis = if args.mask { analysis.masked() } else { analysis };
    Ok(joined(analysis, tables, names(args)?, args))
}

/// A text whose lines begin like packets, and none of which is one, is somebody's prose or log.
fn check_there_are_packets(analysis: &Analysis) -> Result<()> {
    let totals = &analysis.totals;
    let unreadable = totals.skipped.get(Skip::UnreadableLine);
    let file = analysis.files.first().filter(|_| unreadable > 0 && unreadable == totals.packets);
    let Some(file) = file else { return Ok(()) };
    let lines = plural(unreadable, "line");
    bail!(
        "{}: is neither a capture nor printed packets: of {lines} that might be tcpdump's, none \
         can be read",
        file.file
    )
}

/// How far `--until` may be before the last packet: a time is often given in whole seconds.
const SECOND: Span = Span::from_secs(1);

/// A capture cannot have ended before its last packet: the time, or its zone, is another one's.
fn check_until(analysis: &Analysis, args: &ReadArgs) -> Result<()> {
    let until = args.until.and_then(At::until).map(|it| it.of(analysis.totals.first_ts));
    let (Some(until), Some(last)) = (until, analysis.totals.last_ts) else { return Ok(()) };
    // So long after the earliest packet, that no time is left.
    if matches!(args.until, Some(At::After(_))) && until == Timestamp::from_nanos(i64::MAX) {
        bail!("--until is {}", out_of_range());
    }
    if until.after(SECOND) <= last && until < last {
        bail!("--until is {} before the last packet, which came at {last}", last.since(until));
    }
    Ok(())
}

/// The same, where addresses are masked already if they are to be.
pub fn joined(mut analysis: Analysis, tables: Tables, names: Names, args: &ReadArgs) -> Analysis {
    args.sockets.join(tables, &mut analysis);
    analysis.named(names)
}

/// The names that are wanted.
pub fn names(args: &ReadArgs) -> Result<Names> {
    let Some(path) = args.names.as_ref().or(args.settings.names.as_ref()) else {
        return Ok(Names::default());
    };
    let text = input::text(path, HOSTS_FILE_BYTES_MAX)
        .with_context(|| format!("{}: cannot read it", path.display()))?;
    Names::parse(&text).with_context(|| path.display().to_string())
}

/// What to say beside an error if it is that there is no file of the line's first word, which may
/// have been meant as a command.
pub fn hint(first: Option<&OsStr>, error: &capture::Error) -> Option<String> {
    let capture::Error::Open { file, cause } = error else { return None };
    let is_like_a_command = cause.kind() == io::ErrorKind::NotFound
        && first.is_some_and(|first| first == &**file)
        && file.chars().all(|it| it.is_ascii_lowercase());
    if !is_like_a_command {
        return None;
    }
    let told = Cli::command().try_get_matches_from(["finwait", &**file]).err();
    let alike = told.as_ref().and_then(|told| told.get(ContextKind::SuggestedSubcommand));
    let help = match alike {
        Some(ContextValue::Strings(names)) => format!(": did you mean `{}`?", names.join("` or `")),
        _ => " (`finwait help` lists them)".to_string(),
    };
    Some(format!("; nor is it a command{help}"))
}

/// What a run over these captures ends with: damage is an error, a cut capture only if asked for.
pub fn outcome(analysis: &Analysis, args: &ReadArgs) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.messages.extend(analysis.left_out.iter().map(|why| format!("warning: {why}")));
    outcome.messages.extend(analysis.files.iter().filter_map(appended));
    if analysis.totals.beyond_connections_max > 0 {
        let segments = plural(analysis.totals.beyond_connections_max, "segment");
        outcome.messages.push(format!(
            "warning: --max-connections left no room for {segments}, which were not followed"
        ));
    }
    outcome.messages.extend(sockets::warnings(analysis));
    for cut in &analysis.cuts {
        let kind = if args.is_strict() { "" } else { "warning: " };
        outcome.messages.push(format!("{kind}{cut}"));
    }
    let hint = |error| hint(args.guess.as_deref(), error).unwrap_or_default();
    outcome.messages.extend(analysis.errors.iter().map(|error| format!("{error}{}", hint(error))));
    if !analysis.errors.is_empty() || (args.is_strict() && !analysis.cuts.is_empty()) {
        outcome.code = ERROR;
    }
    outcome
}

/// What to say of a file that is several: tools that look for one only stop at the second.
fn appended(file: &FileInfo) -> Option<String> {
    let FileInfo { file, appended, .. } = file;
    let stood = match appended {
        0 => return None,
        1 => "another capture follows".to_string(),
        more => format!("{more} captures follow"),
    };
    Some(format!("warning: {file}: {stood} the first one in it, and all are read as one"))
}

/// A connection that is wanted.
#[derive(Clone, Copy)]
pub enum Wanted {
    /// By its id.
    Id(u64),
    /// By Wireshark's tcp.stream, which may hold several lives.
    Stream(u32),
}

impl Wanted {
    /// Whether there is one.
    pub fn is_in(self, analysis: &Analysis) -> bool {
        match self {
            Wanted::Id(id) => analysis.archive.get(id).is_some(),
            Wanted::Stream(stream) => analysis.archive.iter().any(|it| it.stream == stream),
        }
    }

    /// What to say when there is none.
    pub fn none(self, analysis: &Analysis) -> String {
        match (self, analysis.archive.iter().last()) {
            (_, None) => no_connection(analysis),
            (Wanted::Id(id), Some(last)) => {
                format!("there is no connection {id}: ids go from 0 to {}", last.id)
            }
            (Wanted::Stream(stream), Some(_)) => {
                format!("there is no TCP stream {stream} in the capture")
            }
        }
    }
}

/// What to say of a capture without a connection.
pub fn no_connection(analysis: &Analysis) -> String {
    let but = passed_over(analysis).map_or(String::new(), |what| format!(", but {what}"));
    format!("there is no TCP connection in the capture{but}")
}

/// What to say where there are connections, and none is wanted.
pub fn no_match(analysis: &Analysis) -> String {
    match analysis.totals.connections {
        0 => no_connection(analysis),
        1 => "the only connection does not match these filters".to_string(),
        all => format!("none of the {} connections matches these filters", Grouped(all)),
    }
}

/// A watcher, and progress.
struct Watched<'a, W> {
    watcher: &'a mut W,
    progress: Progress,
}

impl<W: Watcher> Watcher for Watched<'_, W> {
    const LOOKS_AT_SEGMENTS: bool = W::LOOKS_AT_SEGMENTS;

    fn segment(&mut self, id: u64, stream: u32, from: End, segment: &Segment) {
        self.watcher.segment(id, stream, from, segment);
    }

    fn progress(&mut self, position: u64, size: Option<u64>) {
        self.progress.update(position, size);
    }
}
