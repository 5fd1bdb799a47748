//! `finwait watch`: a capture that still grows, and what is found in it as it becomes true.
//!
//! Time is the capture's, and goes forward only. While nothing comes through a pipe, it goes on as
//! the clock of this machine does, so that a wait is told of when it has lasted too long and not
//! when the next packet comes. What a file tells depends on no clock but its own.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;

use super::args::{ReadArgs, seconds};
use super::check::severity;
use super::interrupt::Interrupt;
use super::progress::Progress;
use super::{Outcome, output, read};
use crate::capture::text::Clock;
use crate::findings::Severity;
use crate::report::standing::{Line, Standing};
use crate::report::table;
use crate::run::live::Live;
use crate::run::{Mask, Names};
use crate::time::{Span, Timestamp};

/// `finwait watch`.
#[derive(Debug, Args)]
// It has no end to set.
#[command(mut_arg("until", |arg| arg.hide(true)))]
pub struct WatchArgs {
    /// Growing captures, such as - for standard input; files are read to their end
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print findings of this severity or above: note, warning or error
    #[arg(long, value_name = "SEVERITY", default_value = "note", value_parser = severity)]
    at_least: Severity,
    /// Print a summary this often, if something has changed; 0 for never
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    every: Span,
    #[command(flatten)]
    pub read: ReadArgs,
}

/// How often what has come is judged, by the capture's clock, unless nothing comes for long.
const INTERVAL: Span = Span::from_secs(1);

/// Beyond so long a silence, it is judged each time when the silence has doubled: whatever waits
/// has waited too long by then, and a clock may jump by centuries.
const SILENCE_LONG: Span = Span::from_secs(86_400);

/// How long nothing may come before what has come is judged.
const QUIET: Duration = Duration::from_millis(250);

/// How late a packet may come here after it was captured: so far the time of a capture from which
/// nothing comes stays behind.
const LATE: Duration = Duration::from_secs(1);

/// Of what comes through a pipe, judging may take a quarter of the time, and this much more, which
/// a short capture has done with.
const SPENT_FREELY: Duration = Duration::from_secs(2);

/// Of a file, for each segment so many connections may be looked at, and so many more for nothing:
/// that is the same on every machine, as a share of the time is not.
const LOOKS_PER_SEGMENT: u64 = 4;
const LOOKS_FREELY: u64 = 1 << 19;

/// Watches captures.
pub fn watch(args: &WatchArgs) -> Result<Outcome> {
    let Some(inputs) = read::inputs(&args.files) else { return read::help(Some("watch")) };
    if args.read.until.is_some() {
        bail!("--until is for a capture that has ended; watch goes on until its capture ends");
    }
    let interrupt = Interrupt::catch();
    let names = read::names(&args.read)?;
    let tables = args.read.sockets.read(&inputs)?;
    let mut live = Live::open(&inputs, args.read.options()?)?;
    let mut desk = Desk::new(args, names, read::are_stored(&inputs));
    let mut progress = Progress::in_lines(args.read.progress);
    loop {
        let goes_on = live.wait(QUIET);
        let (position, size) = live.position();
        progress.update(position, size);
        let came = desk.take(&mut live)?;
        if !goes_on || (interrupt.came() && !came) {
            break;
        }
    }
    drop(progress);
    desk.end(&mut live)?;
    let analysis = live.finish(desk.judged.unwrap_or_default());
    let analysis = match desk.mask {
        Some(mask) => analysis.masked_as(mask),
        None => analysis,
    };
    let analysis = read::joined(analysis, tables, desk.names, &args.read);
    output::to_stdout(Some(args.read.color.color), |out| {
        writeln!(out)?;
        table::report(&analysis, &args.read.finding, &output::paper(), out)
    })?;
    Ok(read::outcome(&analysis, &args.read))
}

/// Where lines are written, and what stands.
struct Desk<'a> {
    args: &'a WatchArgs,
    names: Names,
    mask: Option<Mask>,
    /// The capture is there to its end: no clock of this machine counts.
    is_stored: bool,
    standing: Standing,
    /// The newest segment's time, as far as it was taken.
    newest: Timestamp,
    /// When it came here.
    came: Instant,
    /// When the last judgement was as of.
    judged: Option<Timestamp>,
    /// Something was taken since.
    is_fresh: bool,
    began: Instant,
    spent: Duration,
    /// Connections that were looked at to judge, each time anew.
    looks: u64,
    summed_up: Option<(Timestamp, String)>,
    /// The day that the last line was of.
    day: String,
}

impl<'a> Desk<'a> {
    fn new(args: &'a WatchArgs, names: Names, is_stored: bool) -> Desk<'a> {
        Desk {
            args,
            names,
            mask: args.read.mask.then(Mask::default),
            is_stored,
            standing: Standing::default(),
            newest: Timestamp::default(),
            came: Instant::now(),
            judged: None,
            is_fresh: false,
            began: Instant::now(),
            spent: Duration::ZERO,
            looks: 0,
            summed_up: None,
            day: String::new(),
        }
    }

    /// Takes what has come, and judges where it is time to. Whether anything came.
    fn take(&mut self, live: &mut Live) -> Result<bool> {
        let mut came = false;
        while let Some(next) = live.next_ts() {
            self.judge_up_to(live, next)?;
            let judged = self.judged.unwrap_or(next);
            if self.judged.is_none() {
                (self.judged, self.newest) = (Some(next), next);
            }
            self.newest = live.take_before(judged.after(INTERVAL)).max(self.newest);
            (self.came, self.is_fresh, came) = (Instant::now(), true, true);
        }
        if !came && !self.is_stored && self.judged.is_some() {
            let silence = self.came.elapsed().saturating_sub(LATE);
            let now = self.newest.after(Span::from_nanos(silence.as_nanos() as u64));
            self.judge_until(live, now)?;
            if self.is_fresh {
                self.judge(live, now)?;
            }
        }
        Ok(came)
    }

    /// The capture is over: what its last packets, which may be without a segment, leave time for.
    fn end(&mut self, live: &mut Live) -> Result<()> {
        let end = live.last_ts().unwrap_or(self.newest).max(self.newest);
        self.judge_until(live, end)?;
        self.judge(live, end)
    }

    /// When it is time to judge again: the longer nothing comes, the later.
    fn due(&self) -> Option<Timestamp> {
        let judged = self.judged?;
        let silence = judged.since(self.newest);
        let pause = if silence < SILENCE_LONG {
            Span::from_nanos(silence.as_nanos() / 64)
        } else {
            silence
        };
        Some(judged.after(INTERVAL.max(pause))).filter(|due| *due > judged)
    }

    /// Judges whenever it is time to until then.
    fn judge_until(&mut self, live: &mut Live, now: Timestamp) -> Result<()> {
        while let Some(due) = self.due().filter(|due| *due <= now) {
            self.judge_if_there_is_time(live, due)?;
        }
        Ok(())
    }

    /// The same, and at that moment itself after a silence so long that it may be long until it
    /// is time to: nothing that comes is judged as of earlier than it came.
    fn judge_up_to(&mut self, live: &mut Live, next: Timestamp) -> Result<()> {
        self.judge_until(live, next)?;
        if self.judged.is_some_and(|judged| judged.after(INTERVAL) < next) {
            self.judge_if_there_is_time(live, next)?;
        }
        Ok(())
    }

    /// Judges as long as that leaves time for anything else.
    fn judge_if_there_is_time(&mut self, live: &mut Live, now: Timestamp) -> Result<()> {
        let has_time = if self.is_stored {
            self.looks <= live.segments() * LOOKS_PER_SEGMENT + LOOKS_FREELY
        } else {
            self.spent <= self.began.elapsed() / 4 + SPENT_FREELY
        };
        if has_time {
            return self.judge(live, now);
        }
        self.judged = Some(now);
        Ok(())
    }

    /// Tells what changed until then.
    fn judge(&mut self, live: &mut Live, now: Timestamp) -> Result<()> {
        let now = self.judged.map_or(now, |judged| judged.max(now));
        self.judged = Some(now);
        let begin = Instant::now();
        self.is_fresh = false;
        self.looks += live.connections() as u64;
        let (changes, sum, names, clock) = live.judge(now, |analysis| {
            if let Some(mask) = &mut self.mask {
                mask.meet(&analysis.archive);
            }
            let changes = self.standing.update(analysis, now);
            let is_due = match &self.summed_up {
                None => true,
                Some((before, _)) => now.since(*before) >= self.args.every,
            };
            let sum =
                (is_due && self.args.every > Span::ZERO).then(|| self.standing.summary(analysis));
            let is_told = sum.is_some() || !changes.is_empty();
            let names = is_told.then(|| self.names.clone().and_of(&analysis.files));
            (changes, sum, names.unwrap_or_default(), analysis.clock())
        });
        let wanted = changes.iter().filter(|change| change.severity() >= self.args.at_least);
        let mut lines: Vec<Line> = wanted.map(|change| change.line(now)).collect();
        if let Some(sum) = sum {
            let is_first = self.summed_up.is_none();
            let is_new = self.summed_up.as_ref().is_some_and(|(_, before)| *before != sum);
            self.summed_up = Some((now, if is_first { String::new() } else { sum.clone() }));
            lines.extend(is_new.then(|| Line::of_summary(now, sum)));
        }
        self.write(lines, &names, clock)?;
        live.forget(now);
        self.spent += begin.elapsed();
        Ok(())
    }

    /// Writes lines of one moment, below their day.
    fn write(&mut self, mut lines: Vec<Line>, names: &Names, clock: Clock) -> Result<()> {
        let Some(day) = lines.first().map(|line| line.day(clock)) else { return Ok(()) };
        let is_new_day = self.day != day;
        self.day = day;
        for line in &mut lines {
            line.words = match &mut self.mask {
                Some(mask) => mask.text(&line.words).into_owned(),
                None => names.text(&line.words).into_owned(),
            };
        }
        let paper = output::paper();
        output::to_stdout(Some(self.args.read.color.color), |out| {
            if is_new_day {
                Line::write_day(&self.day, out)?;
            }
            lines.iter().try_for_each(|line| line.write(&paper, out))
        })
    }
}
