//! `finwait extract`: the packets of chosen connections.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use tempfile::{Builder, NamedTempFile};

use super::args::{FilterArgs, ReadArgs};
use super::interrupt::Interrupt;
use super::read::Wanted;
use super::{ERROR, Outcome, output, read};
use crate::capture::Merge;
use crate::extract::{self, Chosen, How};
use crate::history::History;
use crate::pipeline::Totals;
use crate::report::text::plural;
use crate::time::{Span, Timestamp};

/// `finwait extract`.
#[derive(Debug, Args)]
pub struct ExtractArgs {
    #[command(flatten)]
    input: read::FilesArg,
    /// A connection's id, as `list` prints it; may be repeated
    #[arg(long, value_name = "ID")]
    id: Vec<u64>,
    /// Select by Wireshark's tcp.stream; may be repeated
    #[arg(long, value_name = "N")]
    stream: Vec<u32>,
    /// Write the packets to FILE, in whole or not at all [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Format to write [default: one that loses nothing]
    #[arg(long, value_name = "FORMAT")]
    format: Option<PacketFormat>,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    pub read: ReadArgs,
}

/// What `extract` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PacketFormat {
    /// Classic pcap
    Pcap,
    /// pcapng
    Pcapng,
}

impl From<PacketFormat> for extract::PacketFormat {
    fn from(format: PacketFormat) -> Self {
        match format {
            PacketFormat::Pcap => extract::PacketFormat::Pcap,
            PacketFormat::Pcapng => extract::PacketFormat::Pcapng,
        }
    }
}

/// Copies packets.
pub fn extract(args: &ExtractArgs) -> Result<Outcome> {
    let Some(inputs) = read::inputs(&args.input.files) else { return read::help(Some("extract")) };
    if args.output.is_none() && io::stdout().is_terminal() {
        bail!("packets do not belong on a terminal: give -o FILE, or send them into a pipe");
    }
    let spools = Spools::new(&inputs)?;
    match copy_wanted(args, &spools.files()) {
        Ok(mut outcome) => {
            outcome.messages.iter_mut().for_each(|said| *said = spools.as_named(said));
            Ok(outcome)
        }
        Err(error) => {
            let said = format!("{error:#}");
            let named = spools.as_named(&said);
            Err(if named == said { error } else { anyhow!(named) })
        }
    }
}

/// Reads captures and copies what is wanted of them.
fn copy_wanted(args: &ExtractArgs, inputs: &[PathBuf]) -> Result<Outcome> {
    let analysis = read::read(inputs, &args.read, &mut ())?;
    if let Some(text) = analysis.files.iter().find(|file| file.text.is_some()) {
        bail!("{}: is text, so there are no packets to copy", text.file);
    }
    let mut outcome = read::outcome(&analysis, &args.read);
    let ids = args.id.iter().map(|id| Wanted::Id(*id));
    let streams = args.stream.iter().map(|stream| Wanted::Stream(*stream));
    if let Some(missing) = ids.chain(streams).find(|wanted| !wanted.is_in(&analysis)) {
        outcome.messages.push(missing.none(&analysis));
        return Ok(Outcome { code: ERROR, ..outcome });
    }
    let options = args.read.options()?;
    let filter = args.filter.filter(&analysis);
    let is_wanted =
        |history: &History| is_named(args, history) && filter.admits(&analysis, history);
    let chosen = Chosen::new(&analysis, is_wanted);
    let none = read::no_match(&analysis);
    // The capture is followed once more, and what is known of it takes as much memory then.
    let Totals { packets, last_ts: end, .. } = analysis.totals;
    let how = How {
        format: args.format.map(Into::into),
        decode_tunnels: options.decode_tunnels,
        mask: analysis.mask,
        end,
    };
    drop(analysis.archive);
    let frames = extract::find(Merge::open(inputs)?, &options, &chosen);
    let is_masked = how.mask.is_some();
    let mut copied = None;
    let copy = |out: &mut dyn Write| {
        copied = Some(extract::copy(Merge::open(inputs)?, &frames, how, out)?);
        Ok(())
    };
    match &args.output {
        Some(path) if path.as_os_str() != "-" => output::packets_to_file(path, inputs, copy)?,
        _ => output::packets_to_stdout(copy)?,
    };
    outcome.messages.push(match frames.count() {
        0 => none,
        count => format!("{count} of {packets} packets"),
    });
    if copied.is_some_and(|it| it.format == extract::PacketFormat::Pcap) {
        outcome.messages.extend(silence(frames.last_ts, end));
    }
    if is_masked && frames.count() > 0 {
        outcome.messages.extend(unmasked(copied.map_or(0, |it| it.blanked)));
    }
    Ok(outcome)
}

/// What `--mask` cannot do with packets.
fn unmasked(blanked: u64) -> impl Iterator<Item = String> {
    let parts = (blanked > 0).then(|| {
        format!(
            "warning: the content of {} is blanked, as no address can be found in it: it is part \
             of a tunnel's packet, and the copy shows no connection of it",
            plural(blanked, "packet")
        )
    });
    let payload = "warning: --mask leaves payload as it was captured, whatever it says: cut it off \
                   before you publish, for example with `editcap -s 96`";
    parts.into_iter().chain([payload.to_string()])
}

/// What a capture's wait after the last of the packets proves is lost with a pcap file, which holds
/// nothing else: how to say it.
fn silence(last: Option<Timestamp>, end: Option<Timestamp>) -> Option<String> {
    let silent = end?.since(last?);
    (silent >= SILENCE_TOLD).then(|| {
        format!(
            "the capture went on for {silent} after the last of them, which a pcap file cannot \
             record: give --until {} when you read it, or write --format pcapng",
            end.unwrap_or_default()
        )
    })
}

/// A shorter silence hardly ever changes a state or a finding.
const SILENCE_TOLD: Span = Span::from_secs(1);

fn is_named(args: &ExtractArgs, history: &History) -> bool {
    args.id.is_empty() && args.stream.is_empty()
        || args.id.contains(&history.id)
        || args.stream.contains(&history.stream)
}

/// What comes through a pipe is read three times, and so kept in a file for that long.
struct Spools(Vec<Spool>);

/// One input.
struct Spool {
    named: PathBuf,
    /// Where it is kept, if it comes through a pipe.
    kept: Option<NamedTempFile>,
}

impl Spools {
    /// Keeps what comes through pipes, until they end.
    fn new(inputs: &[PathBuf]) -> Result<Spools> {
        let mut spools = Spools(Vec::new());
        for named in inputs {
            let is_kept = named.is_file() || named.is_dir() || !named.exists();
            let is_pipe = named == Path::new("-") || !is_kept;
            let kept = is_pipe.then(|| Builder::new().prefix("finwait-").tempfile()).transpose();
            let kept = kept.context("cannot make a temporary file for what comes from the pipe")?;
            spools.0.push(Spool { named: named.clone(), kept });
        }
        let all: Vec<PathBuf> = spools.pipes().map(|(_, kept)| kept.path().to_owned()).collect();
        if !all.is_empty() {
            // The pipe ends when what feeds it does.
            Interrupt::catch_with(move || all.iter().for_each(|path| drop(fs::remove_file(path))));
        }
        for (named, kept) in spools.pipes() {
            match named == Path::new("-") {
                true => io::copy(&mut io::stdin().lock(), &mut kept.as_file()),
                false => io::copy(&mut File::open(named)?, &mut kept.as_file()),
            }
            .with_context(|| {
                format!("{}: cannot keep what comes from it", kept.path().display())
            })?;
        }
        Ok(spools)
    }

    fn pipes(&self) -> impl Iterator<Item = (&Path, &NamedTempFile)> {
        self.0.iter().filter_map(|spool| Some((spool.named.as_path(), spool.kept.as_ref()?)))
    }

    /// Where to read each input.
    fn files(&self) -> Vec<PathBuf> {
        let path = |spool: &Spool| match &spool.kept {
            Some(kept) => kept.path().to_owned(),
            None => spool.named.clone(),
        };
        self.0.iter().map(path).collect()
    }

    /// The text with inputs as the user named them.
    fn as_named(&self, text: &str) -> String {
        self.pipes().fold(text.to_owned(), |text, (named, kept)| {
            text.replace(&*kept.path().to_string_lossy(), &named.to_string_lossy())
        })
    }
}
