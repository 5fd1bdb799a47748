//! Where output goes: standard output, or a file that is written whole or not at all.
//!
//! Reports are written with their colours; the stream takes them out where they are not wanted.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anstream::{AutoStream, ColorChoice, StripStream};
use anyhow::{Context, Result, bail};

use super::args::When;
use crate::capture::Source;
use crate::extract;
use crate::report::paper::Paper;

/// Columns to write for where there is no terminal to ask.
const COLUMNS: u16 = 100;

/// Columns below which tables are not squeezed, and above which they are not stretched.
const COLUMNS_RANGE: (u16, u16) = (60, 200);

/// What standard output is like.
pub fn paper() -> Paper {
    let (least, most) = COLUMNS_RANGE;
    let is_terminal = io::stdout().is_terminal();
    let terminal = is_terminal.then(|| comfy_table::Table::new().width()).flatten();
    Paper { columns: terminal.unwrap_or(COLUMNS).clamp(least, most), is_terminal }
}

/// What a file is like.
pub const FILE: Paper = Paper { columns: COLUMNS, is_terminal: false };

/// Writes to standard output, in colour if that is wanted there. What has no colours, as JSON, is
/// not searched for them.
pub fn to_stdout(
    color: Option<When>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let stdout = io::stdout();
    let choice = match color {
        Some(When::Auto) => AutoStream::choice(&stdout),
        Some(When::Always) => ColorChoice::AlwaysAnsi,
        Some(When::Never) => ColorChoice::Never,
        None => ColorChoice::AlwaysAnsi,
    };
    let mut out = BufWriter::with_capacity(BUFFER, AutoStream::new(stdout.lock(), choice));
    write(&mut out).and_then(|()| out.flush()).context(CANNOT_PRINT)
}

/// Bytes that are written at once.
const BUFFER: usize = 1 << 16;

/// Writes a file that an option names, without colours, in place of any that is there; on an error
/// that one stays as it was.
pub fn to_file(
    path: &Path,
    option: &str,
    inputs: &[PathBuf],
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    refuse_input(inputs, path, option)?;
    replace(path, |file| write_text(file, write))
}

/// Writes a file under another name and puts it in place when it is whole.
fn replace(path: &Path, write: impl FnOnce(File) -> io::Result<()>) -> Result<()> {
    let cannot = || format!("{}: cannot write it", path.display());
    let existing = fs::metadata(path).ok();
    if let Some(existing) = &existing {
        // A device or a pipe cannot be replaced, only written to.
        if !existing.is_file() {
            let file = File::options().write(true).open(path).with_context(cannot)?;
            return write(file).with_context(cannot);
        }
    }
    // A symbolic link stays one.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let name = target.file_name().with_context(cannot)?.to_string_lossy();
    let temporary = target.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let written = File::create(&temporary)
        .and_then(|file| {
            if let Some(existing) = &existing {
                file.set_permissions(existing.permissions())?;
            }
            write(file)
        })
        .and_then(|()| fs::rename(&temporary, &target));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.with_context(cannot)
}

/// Writes packets to the file that -o names, as [`to_file`] does text.
pub fn packets_to_file(
    path: &Path,
    inputs: &[PathBuf],
    write: impl FnOnce(&mut dyn Write) -> Result<(), extract::Error>,
) -> Result<()> {
    refuse_input(inputs, path, "-o")?;
    let mut failed = None;
    let written = replace(path, |file| {
        write(&mut BufWriter::new(file)).map_err(|error| {
            let told = match &error {
                extract::Error::Write(cause) => io::Error::new(cause.kind(), cause.to_string()),
                other => io::Error::other(other.to_string()),
            };
            failed = Some(error);
            told
        })
    });
    match failed {
        // The cause is what was told, with the file.
        Some(extract::Error::Write(_)) | None => written,
        Some(error) => Err(error.into()),
    }
}

/// Writes packets to standard output.
pub fn packets_to_stdout(
    write: impl FnOnce(&mut dyn Write) -> Result<(), extract::Error>,
) -> Result<()> {
    write(&mut BufWriter::new(io::stdout().lock())).map_err(|error| match error {
        extract::Error::Write(cause) => anyhow::Error::new(cause).context(CANNOT_PRINT),
        other => other.into(),
    })
}

/// What to say where standard output takes no more.
pub const CANNOT_PRINT: &str = "cannot write to standard output";

/// Writes bytes as they are to a file, whole or not at all.
pub fn bytes_to_file(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, |mut file| file.write_all(bytes))
}

fn write_text(file: File, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(StripStream::new(file));
    write(&mut out)?;
    out.flush()
}

/// What is written over a capture that is read loses it.
fn refuse_input(inputs: &[PathBuf], path: &Path, option: &str) -> Result<()> {
    let folder = place(path).and_then(|place| Some(place.parent()?.to_path_buf()));
    let is_in = |input: &Path| folder.is_some() && fs::canonicalize(input).ok() == folder;
    // A report may stand in the folder that it is of.
    let is_capture = || path.is_file() && Source::open(path).is_ok();
    if inputs.iter().any(|input| is_same_file(input, path))
        || (inputs.iter().any(|input| is_in(input)) && is_capture())
    {
        bail!("{}: is the capture itself: give {option} another file", path.display());
    }
    Ok(())
}

/// Whether two names are of one file, which may not be there yet.
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    place(one).zip(place(other)).is_some_and(|(one, other)| one == other)
}

/// Where a file is, or would be.
fn place(path: &Path) -> Option<PathBuf> {
    let to_be = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
        Some(folder.join(path.file_name()?))
    };
    fs::canonicalize(path).ok().or_else(to_be)
}
