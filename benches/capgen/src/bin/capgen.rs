//! The command line of the generator: a shape, a size and a file name become a capture and its
//! sidecar.

use std::path::PathBuf;
use std::process::ExitCode;

use finwait_capgen::file::Format;
use finwait_capgen::{Options, Shape, write_files};

const USAGE: &str = "\
usage: capgen --shape web|bulk|flood|concurrent [--packets 10M] [--snaplen 96]
              [--format pcap|pcapng] [--ns] [--conns N] [--drop-permille N] [--seed N] -o FILE
Numbers may end in k or M. FILE.json tells what the capture holds.";

fn main() -> ExitCode {
    let (options, path) = match parse(std::env::args().skip(1)) {
        Ok(parsed) => parsed,
        Err(what) => {
            eprintln!("capgen: {what}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match write_files(&options, &path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("capgen: {}: {error}", path.display());
            ExitCode::from(2)
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<(Options, PathBuf), String> {
    let mut options = Options::new(Shape::Web, 1_000_000);
    let (mut path, mut conns) = (None, None);
    while let Some(arg) = args.next() {
        if arg == "--ns" {
            options.style.nanos = true;
            continue;
        }
        let value = args.next().ok_or_else(|| format!("{arg}: a value is missing, or unknown"))?;
        match arg.as_str() {
            "--shape" => {
                let named = Shape::ALL.into_iter().find(|shape| shape.name() == value);
                options.shape = named.ok_or_else(|| format!("no shape {value}"))?;
            }
            "--packets" => options.packets = number(&value)?,
            "--conns" => conns = Some(number(&value)?.max(1)),
            "--snaplen" => options.style.snaplen = number(&value)?.clamp(1, 262_144) as u32,
            "--drop-permille" => options.drop_permille = number(&value)?,
            "--seed" => options.seed = number(&value)?,
            "--format" if value == "pcap" => options.style.format = Format::Pcap,
            "--format" if value == "pcapng" => options.style.format = Format::Pcapng,
            "-o" => path = Some(PathBuf::from(value)),
            _ => return Err(format!("cannot read: {arg} {value}")),
        }
    }
    options.conns = conns.unwrap_or((options.packets / 5).max(1));
    Ok((options, path.ok_or("-o FILE is missing")?))
}

/// A whole number, in thousands with `k`, in millions with `M`.
fn number(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.strip_suffix(['k', 'M']) {
        Some(digits) if text.ends_with('k') => (digits, 1_000),
        Some(digits) => (digits, 1_000_000),
        None => (text, 1),
    };
    let whole = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(factor));
    whole.ok_or_else(|| format!("no number: {text}"))
}
