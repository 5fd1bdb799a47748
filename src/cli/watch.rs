//! `finwait watch`: a capture that still grows, and what is found in it as it becomes true.
//!
//! Time is the capture's. While nothing comes, it goes on as the clock of this machine does, so
//! that a wait is told of when it has lasted too long and not when the next packet comes.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;

use super::args::{ReadArgs, seconds};
use super::check::severity;
use super::interrupt::Interrupt;
use super::{Outcome, output, read};
use crate::findings::Severity;
use crate::report::standing::{Line, Standing};
use crate::report::table;
use crate::run::live::Live;
use crate::run::{Mask, Names};
use crate::time::{Span, Timestamp};

/// `finwait watch`.
#[derive(Debug, Args)]
// It has no end to set, and its lines are its progress.
#[command(mut_arg("until", |arg| arg.hide(true)), mut_arg("progress", |arg| arg.hide(true)))]
pub struct WatchArgs {
    /// Captures that grow, as - for standard input; files are read to their end
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Tell of findings of this severity or a graver one: note, warning or error
    #[arg(long, value_name = "SEVERITY", default_value = "note", value_parser = severity)]
    at_least: Severity,
    /// Sum up after so long, if something changed; 0 for never
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    every: Span,
    #[command(flatten)]
    pub read: ReadArgs,
}

/// How often what has come is judged, by the capture's clock, unless nothing comes for long.
const INTERVAL: Span = Span::from_secs(1);

/// How long nothing may come before what has come is judged.
const QUIET: Duration = Duration::from_millis(250);

/// How late a packet may come here after it was captured: so far the time of a capture from which
/// nothing comes stays behind.
const LATE: Duration = Duration::from_secs(1);

/// Judging may take a quarter of the time, and this much more, which a short capture has done with.
const SPENT_FREELY: Duration = Duration::from_secs(2);

/// Watches captures.
pub fn watch(args: &WatchArgs) -> Result<Outcome> {
    let Some(inputs) = read::inputs(&args.files) else { return read::help(Some("watch")) };
    if args.read.until.is_some() {
        bail!("--until is for a capture that has ended; watch goes on until its capture does");
    }
    let interrupt = Interrupt::catch();
    let names = read::names(&args.read)?;
    let tables = args.read.sockets.read()?;
    let mut live = Live::open(&inputs, args.read.options()?)?;
    let mut desk = Desk::new(args, names);
    loop {
        let goes_on = live.wait(QUIET);
        let came = desk.take(&mut live)?;
        if !goes_on || (interrupt.came() && !came) {
            break;
        }
    }
    desk.judge(&mut live, desk.newest)?;
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
    summed_up: Option<(Timestamp, String)>,
}

impl<'a> Desk<'a> {
    fn new(args: &'a WatchArgs, names: Names) -> Desk<'a> {
        Desk {
            args,
            names,
            mask: args.read.mask.then(Mask::default),
            standing: Standing::default(),
            newest: Timestamp::default(),
            came: Instant::now(),
            judged: None,
            is_fresh: false,
            began: Instant::now(),
            spent: Duration::ZERO,
            summed_up: None,
        }
    }

    /// Takes what has come, and judges where it is time to. Whether anything came.
    fn take(&mut self, live: &mut Live) -> Result<bool> {
        let mut came = false;
        while let Some(next) = live.next_ts() {
            self.judge_until(live, next)?;
            if self.judged.is_none() {
                (self.judged, self.newest) = (Some(next), next);
            }
            self.newest = live.take_before(self.due()).max(self.newest);
            (self.came, self.is_fresh, came) = (Instant::now(), true, true);
        }
        if !came && self.judged.is_some() {
            let silence = self.came.elapsed().saturating_sub(LATE);
            let now = self.newest.after(Span::from_nanos(silence.as_nanos() as u64));
            self.judge_until(live, now)?;
            if self.is_fresh {
                self.judge(live, now)?;
            }
        }
        Ok(came)
    }

    /// When it is time to judge again: the longer nothing comes, the later.
    fn due(&self) -> Timestamp {
        let judged = self.judged.unwrap_or_default();
        let silence = judged.since(self.newest).as_nanos();
        judged.after(INTERVAL.max(Span::from_nanos(silence / 32)))
    }

    /// Judges whenever it is time to until then, as long as that leaves time for anything else.
    fn judge_until(&mut self, live: &mut Live, now: Timestamp) -> Result<()> {
        while self.judged.is_some() && self.due() < now {
            let due = self.due();
            match self.spent <= self.began.elapsed() / 4 + SPENT_FREELY {
                true => self.judge(live, due)?,
                false => self.judged = Some(due),
            }
        }
        Ok(())
    }

    /// Tells what changed until then.
    fn judge(&mut self, live: &mut Live, now: Timestamp) -> Result<()> {
        let now = self.judged.map_or(now, |judged| judged.max(now));
        self.judged = Some(now);
        let begin = Instant::now();
        self.is_fresh = false;
        let (changes, sum, names) = live.judge(now, |analysis| {
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
            (changes, sum, names.unwrap_or_default())
        });
        let wanted = changes.iter().filter(|change| change.severity() >= self.args.at_least);
        let mut lines: Vec<Line> = wanted.map(|change| change.line(now)).collect();
        if let Some(sum) = sum {
            let is_first = self.summed_up.is_none();
            let is_new = self.summed_up.as_ref().is_some_and(|(_, before)| *before != sum);
            self.summed_up = Some((now, if is_first { String::new() } else { sum.clone() }));
            lines.extend(is_new.then(|| Line::of_summary(now, sum)));
        }
        self.write(lines, &names)?;
        live.forget(now);
        self.spent += begin.elapsed();
        Ok(())
    }

    fn write(&mut self, mut lines: Vec<Line>, names: &Names) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        for line in &mut lines {
            line.words = match &mut self.mask {
                Some(mask) => mask.text(&line.words).into_owned(),
                None => names.text(&line.words).into_owned(),
            };
        }
        let paper = output::paper();
        output::to_stdout(Some(self.args.read.color.color), |out| {
            lines.iter().try_for_each(|line| line.write(&paper, out))
        })
    }
}
