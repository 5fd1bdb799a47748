//! `--sockets`: hosts' own socket tables, from their files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::at::At;
use super::input;
use crate::capture::text::Clock;
use crate::limits::SNAPSHOT_BYTES_MAX;
use crate::report::holders;
use crate::run::Analysis;
use crate::sockets::Snapshot;
use crate::time::Timestamp;

/// The options.
#[derive(Debug, Args)]
pub struct SocketsArgs {
    /// A host's socket table, to tell which process holds what: ss, netstat, lsof or
    /// /proc/net/tcp; may be repeated
    #[arg(long, value_name = "FILE")]
    sockets: Vec<PathBuf>,
    /// When the socket tables were taken [default: when their files were last written]
    #[arg(long, value_name = "TIME", requires = "sockets", value_parser = At::parse)]
    snapshot_at: Option<At>,
}

/// Tables that are read, with the times of their files.
pub struct Tables(Vec<(Snapshot, Timestamp)>);

impl SocketsArgs {
    /// Reads the files, beside these captures.
    pub fn read(&self, captures: &[PathBuf]) -> Result<Tables> {
        let is_stdin = |path: &&PathBuf| path.as_os_str() == "-";
        let taken = self.sockets.iter().chain(captures).filter(is_stdin).count();
        if taken > 1 && self.sockets.iter().any(|path| is_stdin(&path)) {
            bail!("--sockets: standard input, `-`, is one file, but is named {taken} times");
        }
        let is_dated = self.snapshot_at.is_some();
        self.sockets.iter().map(|path| table(path, is_dated)).collect::<Result<_>>().map(Tables)
    }

    /// Joins the tables with a capture.
    pub fn join(&self, tables: Tables, analysis: &mut Analysis) {
        if tables.0.is_empty() {
            return;
        }
        // A capture without a date has no moment that is a file's.
        let has_date = matches!(analysis.clock(), Clock::Utc | Clock::NoZone);
        let at = self.snapshot_at.or((!has_date).then_some(At::End)).and_then(|at| at.of(analysis));
        let tables = tables.0.into_iter().map(|(table, written)| (table, at.unwrap_or(written)));
        analysis.join(tables.collect());
    }
}

/// A table, and when its file was written; `is_dated` whether that does not matter.
fn table(path: &Path, is_dated: bool) -> Result<(Snapshot, Timestamp)> {
    let is_stdin = path.as_os_str() == "-";
    if is_stdin && !is_dated {
        bail!(
            "--sockets takes a file, whose time says when the table was taken: `-` has none, so \
             give --snapshot-at as well"
        );
    }
    let name = if is_stdin { "standard input".into() } else { path.display().to_string() };
    let cannot = || format!("{name}: cannot read it");
    let bytes = if is_stdin {
        input::bytes_of(io::stdin().lock(), SNAPSHOT_BYTES_MAX)
    } else {
        input::bytes(path, SNAPSHOT_BYTES_MAX)
    };
    let bytes = bytes.with_context(cannot)?;
    let snapshot = Snapshot::parse(&name, &bytes);
    if !snapshot.is_one() {
        bail!(
            "{name}: is not a socket table: give the output of `ss -tanp`, `netstat -anp` \
             (Windows: `netstat -ano`), `lsof -nP -iTCP`, or /proc/net/tcp"
        );
    }
    if is_stdin {
        return Ok((snapshot, Timestamp::default()));
    }
    let written = fs::metadata(path).and_then(|it| it.modified()).with_context(cannot)?;
    let nanos = written.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    Ok((snapshot, Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))))
}

/// What is to be said of tables that were not read whole.
pub fn warnings(analysis: &Analysis) -> Vec<String> {
    let taken = analysis.sockets.iter().flat_map(|join| join.taken());
    let unread = taken.filter_map(|taken| holders::unread(&taken.snapshot));
    unread.map(|said| format!("warning: {said}")).collect()
}
