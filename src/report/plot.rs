//! A census for people: of each state a small plot over the capture's time, and its numbers.

use std::io::{self, Write};

use comfy_table::{CellAlignment, Table};

use crate::addr::Addr;
use crate::report::census::{Census, Count};
use crate::report::paint::Tone;
use crate::report::paper::{Paper, fits, heading, plain_table, put_table};
use crate::report::text::{Grouped, NO_MOMENT, moment};
use crate::time::Timestamp;

/// Columns that the numbers beside a plot take.
const BESIDE: usize = 46;

/// Moments whose numbers are written out where not all have room.
const NUMBERS: usize = 7;

/// Columns that the numbers of one moment take at least: `+1 s` and two blanks.
const NUMBER_MIN: usize = 6;

/// The heights of a plot's columns.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Writes the census.
pub fn census(
    census: &Census,
    hosts: &[Addr],
    paper: &Paper,
    out: &mut dyn Write,
) -> io::Result<()> {
    let of: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let of = if of.is_empty() { "all hosts".to_string() } else { of.join(", ") };
    let (Some(first), Some(last)) = (census.moments.first(), census.moments.last()) else {
        let title = format!("Sockets of {of} by state: {NO_MOMENT}");
        return paper.sentence(&title, Tone::Strong, out);
    };
    let title = format!(
        "Sockets of {of} by state, at {} moments in {} from {}",
        census.moments.len(),
        last.since(*first),
        moment(*first, census.clock)
    );
    paper.sentence(&title, Tone::Strong, out)?;
    writeln!(out)?;
    plots(census, *first, paper, out)?;
    numbers(census, *first, paper, out)
}

fn plots(census: &Census, first: Timestamp, paper: &Paper, out: &mut dyn Write) -> io::Result<()> {
    let columns = usize::from(paper.columns).saturating_sub(BESIDE);
    let mut table = plain_table(paper.columns);
    let head = ["state", "over time", "most", "at", "at end", "entered"];
    table.set_header(head.map(|name| Tone::Faint.cell(name)));
    for (state, count) in census.states.iter().rev() {
        let most = count.at.iter().copied().max().unwrap_or_default();
        let peak = count.at.iter().position(|count| *count == most).unwrap_or_default();
        let peak = census.moments.get(peak).filter(|_| most > 0);
        let peak = peak.map_or(String::new(), |at| format!("+{}", at.since(first)));
        let tone = Tone::of_state(*state);
        table.add_row([
            tone.cell(state),
            tone.cell(bars(count, columns)),
            Tone::Plain.cell(Grouped(most)),
            Tone::Plain.cell(peak),
            Tone::Plain.cell(Grouped(count.at.last().copied().unwrap_or_default())),
            Tone::Plain.cell(Grouped(count.entered)),
        ]);
    }
    right(&mut table, [2, 3, 4, 5]);
    put_table(&table, out)?;
    let says = "`most` is the peak at these moments; `entered` also counts what came between them";
    writeln!(out, " {}", Tone::Faint.paint(says))
}

/// Numbers stand to the right.
fn right(table: &mut Table, columns: impl IntoIterator<Item = usize>) {
    for at in columns {
        if let Some(column) = table.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// The plot: the most of every few moments, by its share of the most of all. None is a blank.
fn bars(count: &Count, columns: usize) -> String {
    let most = count.at.iter().copied().max().unwrap_or_default();
    let each = count.at.len().div_ceil(columns.max(1)).max(1);
    let repeat = (columns / count.at.len().max(1)).max(1);
    let tops = count.at.chunks(each).map(|some| some.iter().copied().max().unwrap_or_default());
    tops.flat_map(|top| std::iter::repeat_n(bar(top, most), repeat)).collect()
}

fn bar(top: u64, most: u64) -> char {
    let eighths = (u128::from(top) * BARS.len() as u128).div_ceil(u128::from(most.max(1)));
    let height = usize::try_from(eighths).ok().and_then(|eighths| eighths.checked_sub(1));
    height.and_then(|height| BARS.get(height)).copied().unwrap_or(' ')
}

/// The counts at all moments where they have room, or else at a few that are evenly chosen.
fn numbers(
    census: &Census,
    first: Timestamp,
    paper: &Paper,
    out: &mut dyn Write,
) -> io::Result<()> {
    let all = census.moments.len();
    let may_fit = all * NUMBER_MIN <= usize::from(paper.columns);
    let whole = may_fit.then(|| number_table(census, first, (0..all).collect(), paper));
    if let Some(table) = whole.filter(|table| fits(table, paper.columns)) {
        heading("In numbers", out)?;
        return put_table(&table, out);
    }
    let last = all.saturating_sub(1);
    let mut chosen: Vec<usize> = (0..NUMBERS).map(|at| last * at / (NUMBERS - 1)).collect();
    chosen.dedup();
    heading(&format!("In numbers, at {} of the {all} moments", chosen.len()), out)?;
    put_table(&number_table(census, first, chosen, paper), out)
}

fn number_table(census: &Census, first: Timestamp, chosen: Vec<usize>, paper: &Paper) -> Table {
    let mut table = plain_table(paper.columns);
    let moments = chosen.iter().filter_map(|at| census.moments.get(*at));
    let head = moments.map(|moment| format!("+{}", moment.since(first)));
    let head = ["state".to_string()].into_iter().chain(head);
    table.set_header(head.map(|name| Tone::Faint.cell(name)));
    for (state, count) in census.states.iter().rev() {
        let counts = chosen.iter().filter_map(|at| count.at.get(*at));
        let counts = counts.map(|count| Tone::Plain.cell(Grouped(*count)));
        table.add_row([Tone::of_state(*state).cell(state)].into_iter().chain(counts));
    }
    right(&mut table, 1..=chosen.len());
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_shows_shares_of_the_most_and_leaves_none_blank() {
        let plot = |at: &[u64], columns| bars(&Count { at: at.to_vec(), entered: 0 }, columns);
        assert_eq!(plot(&[0, 1, 4, 8, 8, 0], 6), " ▁▄██ ");
        assert_eq!(plot(&[0, 1, 4, 8, 8, 0], 3), "▁██");
        assert_eq!(plot(&[1, 2], 5), "▄▄██");
        assert_eq!(plot(&[0, 0], 2), "  ");
        assert_eq!(plot(&[1_000_000, 1], 2), "█▁");
        assert_eq!(plot(&[], 5), "");
        assert_eq!(plot(&[u64::MAX, u64::MAX - 1], 2), "██");
    }
}
