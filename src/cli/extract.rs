//! `finwait extract`: the packets of chosen connections.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use super::args::{FilterArgs, ReadArgs};
use super::{Outcome, output, read};
use crate::capture::Merge;
use crate::extract::{self, Frames};
use crate::history::History;
use crate::run::Analysis;

/// `finwait extract`.
#[derive(Debug, Args)]
pub struct ExtractArgs {
    /// Captures, pcap or pcapng, also compressed; several, or a directory, are read as one
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A connection, as `list` numbers it; may be repeated
    #[arg(long, value_name = "ID")]
    id: Vec<u64>,
    /// The connections of Wireshark's tcp.stream; may be repeated
    #[arg(long, value_name = "N")]
    stream: Vec<u32>,
    /// Write to FILE, as a whole or not at all; else to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What to write; without it, what loses nothing
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
    let Some(inputs) = read::inputs(&args.files) else { return read::help(Some("extract")) };
    if args.output.is_none() && io::stdout().is_terminal() {
        bail!("packets are not for a terminal: give -o FILE, or send them into a pipe");
    }
    let (inputs, _spooled) = spool(inputs)?;
    let analysis = read::read(&inputs, &args.read, &mut ())?;
    if let Some(text) = analysis.files.iter().find(|file| file.text.is_some()) {
        bail!("{}: is text, in which there are no packets to copy", text.file);
    }
    let mut outcome = read::outcome(&analysis, &args.read);
    let decode_tunnels = args.read.options()?.decode_tunnels;
    let frames = {
        let wanted = |history: &History| is_wanted(args, &analysis, history);
        extract::find(Merge::open(&inputs)?, &analysis, decode_tunnels, wanted)
    };
    let copy = |out: &mut dyn Write| {
        let mask = analysis.mask.clone();
        let format = args.format.map(Into::into);
        extract::copy(Merge::open(&inputs)?, &frames, format, decode_tunnels, mask, out)
    };
    match &args.output {
        Some(path) if path.as_os_str() != "-" => output::packets_to_file(path, &inputs, copy)?,
        _ => copy(&mut BufWriter::new(io::stdout().lock()))?,
    }
    outcome.messages.push(said(&frames, &analysis));
    Ok(outcome)
}

fn said(frames: &Frames, analysis: &Analysis) -> String {
    match (frames.count(), analysis.totals.connections) {
        (0, 0) => "there is no TCP connection in the capture".to_string(),
        (0, all) => format!("none of the {all} connections is wanted by these filters"),
        (count, _) => format!("{count} of {} packets", analysis.totals.packets),
    }
}

fn is_wanted(args: &ExtractArgs, analysis: &Analysis, history: &History) -> bool {
    let is_named = args.id.is_empty() && args.stream.is_empty()
        || args.id.contains(&history.id)
        || args.stream.contains(&history.stream);
    is_named && args.filter.filter().admits(analysis, history)
}

/// What comes through a pipe is read three times, and so kept in a file as long as that is there.
fn spool(inputs: Vec<PathBuf>) -> Result<(Vec<PathBuf>, Vec<Spooled>)> {
    let (mut files, mut spooled) = (Vec::new(), Vec::new());
    for input in inputs {
        let is_stdin = input == Path::new("-");
        if !is_stdin && (input.is_file() || input.is_dir() || !input.exists()) {
            files.push(input);
            continue;
        }
        let name = format!("finwait-{}-{}.pcap", std::process::id(), spooled.len());
        let path = std::env::temp_dir().join(name);
        let cannot = || format!("{}: cannot keep what comes from the pipe", path.display());
        let mut file = File::create_new(&path).with_context(cannot)?;
        spooled.push(Spooled(path.clone()));
        match is_stdin {
            true => io::copy(&mut io::stdin().lock(), &mut file),
            false => io::copy(&mut File::open(&input)?, &mut file),
        }
        .with_context(cannot)?;
        files.push(path);
    }
    Ok((files, spooled))
}

/// A file that goes away with its value.
struct Spooled(PathBuf);

impl Drop for Spooled {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
