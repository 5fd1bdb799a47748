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
    /// A line now and then, where there is no terminal; the next one is due after so long.
    Lines(Duration),
}

impl Progress {
    /// Progress that shows itself when it is wanted.
    pub fn new(when: When) -> Progress {
        let how = match (when, io::stderr().is_terminal()) {
            (When::Never, _) | (When::Auto, false) => How::Silent,
            (_, true) => How::Bar(None),
            (When::Always, false) => How::Lines(PATIENCE),
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
            How::Lines(due) => {
                if self.started.elapsed() >= *due {
                    *due = self.started.elapsed() + PATIENCE;
                    let read = HumanBytes(position);
                    let mut stderr = io::stderr().lock();
                    let _ = match size {
                        Some(size) => writeln!(stderr, "{read} of {} read", HumanBytes(size)),
                        None => writeln!(stderr, "{read} read"),
                    };
                }
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let How::Bar(Some(bar)) = &self.how {
            bar.finish_and_clear();
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
