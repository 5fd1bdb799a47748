//! Progress on standard error, for files that take longer than a moment.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::When;

/// How long a run may take before it shows progress.
const PATIENCE: Duration = Duration::from_secs(1);

/// The progress of one run.
pub struct Progress {
    started: Instant,
    how: How,
}

enum How {
    Silent,
    /// A bar on a terminal.
    Bar(Option<ProgressBar>),
    /// A line now and then, where there is no terminal, or other lines come too.
    Lines(Lines),
}

/// The lines of one run.
struct Lines {
    /// The next one is due after so long.
    due: Duration,
    /// What was read when the run told of it last, of how much.
    newest: Option<(u64, Option<u64>)>,
    /// Whether there is a line for that.
    is_told: bool,
}

impl Lines {
    fn tell(&mut self) {
        let Some((position, size)) = self.newest.filter(|_| !self.is_told) else { return };
        self.is_told = true;
        let read = HumanBytes(position);
        let mut stderr = io::stderr().lock();
        let _ = match size {
            Some(size) => writeln!(stderr, "{read} of {} read", HumanBytes(size)),
            None => writeln!(stderr, "{read} read"),
        };
    }
}

impl Progress {
    /// Progress that shows itself when it is wanted.
    pub fn new(when: When) -> Progress {
        let how = match (when, io::stderr().is_terminal()) {
            (When::Never, _) | (When::Auto, false) => How::Silent,
            (_, true) => How::Bar(None),
            (When::Always, false) => {
                How::Lines(Lines { due: PATIENCE, newest: None, is_told: false })
            }
        };
        Progress { started: Instant::now(), how }
    }

    /// Progress of what writes lines all the time, which a bar would break: lines, if it is asked
    /// for.
    pub fn in_lines(when: When) -> Progress {
        let how = match when {
            When::Always => How::Lines(Lines { due: PATIENCE, newest: None, is_told: false }),
            When::Auto | When::Never => How::Silent,
        };
        Progress { started: Instant::now(), how }
    }

    /// So much is read.
    pub fn update(&mut self, position: u64, size: Option<u64>) {
        match &mut self.how {
            How::Silent => {}
            How::Bar(bar) => {
                // It counts from the start, to know the speed, and shows itself later.
                let bar = bar.get_or_insert_with(|| new_bar(size));
                bar.set_position(position);
                if bar.is_hidden() && self.started.elapsed() >= PATIENCE {
                    bar.set_draw_target(ProgressDrawTarget::stderr());
                }
            }
            How::Lines(lines) => {
                let newest = Some((position, size));
                lines.is_told &= lines.newest == newest;
                lines.newest = newest;
                if self.started.elapsed() >= lines.due {
                    lines.due = self.started.elapsed() + PATIENCE;
                    lines.tell();
                }
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        match &mut self.how {
            How::Bar(Some(bar)) => bar.finish_and_clear(),
            // A short run has no other line.
            How::Lines(lines) => lines.tell(),
            How::Silent | How::Bar(None) => {}
        }
    }
}

fn new_bar(size: Option<u64>) -> ProgressBar {
    let (bar, template) = match size {
        Some(size) => (
            ProgressBar::new(size),
            "{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
        ),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes} read, {bytes_per_sec}"),
    };
    bar.set_draw_target(ProgressDrawTarget::hidden());
    // The templates are fixed; should one be refused, the default style does.
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
