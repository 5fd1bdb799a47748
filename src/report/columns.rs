//! Tables too long to be kept, written row by row. A file or a program gets all columns; on a
//! terminal the less important ones are left out, and where not even the others have room side by
//! side, as with IPv6, some stand beneath others. Addresses are never broken: they are to be
//! copied.

use std::io::{self, Write};

use crate::report::paint::Tone;
use crate::report::paper::Paper;
use crate::report::text::{fit, width, wrap};

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// What stands on top of it.
    pub title: &'static str,
    /// Who comes first where there is no room for all; 0 is always there.
    rank: u8,
    /// Numbers stand to the right.
    is_number: bool,
    /// Whether it stands beneath the column before it where that is needed.
    is_beneath: bool,
}

impl Column {
    /// From this rank on, a column that is left out is not told of.
    pub const NEVER_MISSED: u8 = 6;

    /// A column of words.
    pub const fn words(title: &'static str, rank: u8) -> Column {
        Column { title, rank, is_number: false, is_beneath: false }
    }

    /// A column of numbers.
    pub const fn numbers(title: &'static str, rank: u8) -> Column {
        Column { title, rank, is_number: true, is_beneath: false }
    }

    /// The same, beneath the column before it where not all have room.
    pub const fn or_beneath(self) -> Column {
        Column { is_beneath: true, ..self }
    }
}

/// How wide each column is: its title, and its cells in all rows.
pub fn widths<R>(columns: &[Column], rows: impl Iterator<Item = R>) -> Vec<usize>
where
    R: IntoIterator<Item: AsRef<str>>,
{
    let mut widths: Vec<usize> = columns.iter().map(|column| width(column.title)).collect();
    for row in rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = width(cell.as_ref()).max(*widest);
        }
    }
    widths
}

/// Columns that the last cell of a row needs at least to say anything.
const LAST_MIN: usize = 8;

/// How far what stands beneath another column stands to the right, to be told from a row's start.
const INDENT: usize = 1;

/// Where the cells of each row go.
#[derive(Debug)]
pub struct Layout<'a> {
    columns: &'a [Column],
    slots: Vec<Slot>,
    /// Columns of the terminal.
    sheet: usize,
    /// Columns that are left for the last cell of a row.
    room: usize,
}

/// A column of the sheet, for one column of the table or for two.
#[derive(Debug)]
struct Slot {
    upper: usize,
    lower: Option<usize>,
    width: usize,
}

impl<'a> Layout<'a> {
    /// Chooses the columns to be shown, of these widths. Behind them each row has one more cell,
    /// for which `last` columns are wanted; 0 if it has none.
    pub fn new(columns: &'a [Column], widths: &[usize], last: usize, paper: &Paper) -> Layout<'a> {
        let all: Vec<u8> = columns.iter().map(|column| column.rank).collect();
        if !paper.is_terminal {
            return Layout {
                columns,
                slots: slots(columns, widths, &all, false),
                sheet: usize::MAX,
                room: usize::MAX,
            };
        }
        let sheet = usize::from(paper.columns);
        // Without a last cell, there is no blank before it either.
        let fits =
            |slots: &[Slot], last: usize| taken(slots) + last <= sheet + usize::from(last == 0);
        let is_stacked = !fits(&slots(columns, widths, &[0], false), last.min(LAST_MIN));
        let mut ranks = vec![0];
        for rank in 1..=all.iter().copied().max().unwrap_or_default() {
            ranks.push(rank);
            if !fits(&slots(columns, widths, &ranks, is_stacked), last) {
                ranks.pop();
            }
        }
        let slots = slots(columns, widths, &ranks, is_stacked);
        let room = sheet.saturating_sub(taken(&slots));
        Layout { columns, slots, sheet, room }
    }

    /// Writes the titles.
    pub fn head(&self, last: &str, out: &mut dyn Write) -> io::Result<()> {
        let titles = self.columns.iter().map(|column| (column.title.to_string(), Tone::Faint));
        self.row(titles.collect(), (last.to_string(), Tone::Faint), out)
    }

    /// Writes below the table which columns there was no room for, if there are any that somebody
    /// would miss.
    pub fn foot(&self, out: &mut dyn Write) -> io::Result<()> {
        let is_shown =
            |at: usize| self.slots.iter().any(|slot| slot.upper == at || slot.lower == Some(at));
        let hidden = self.columns.iter().enumerate().filter(|(at, _)| !is_shown(*at));
        let missed = hidden.filter(|(_, column)| column.rank < Column::NEVER_MISSED);
        let titles: Vec<&str> = missed.map(|(_, column)| column.title).collect();
        if titles.is_empty() {
            return Ok(());
        }
        let text = format!("No room for the columns {}.", titles.join(", "));
        let text = if titles.len() == 1 { text.replace("columns", "column") } else { text };
        let lines = wrap(&text, self.sheet);
        lines.iter().try_for_each(|line| writeln!(out, "{}", Tone::Faint.paint(line)))
    }

    /// Writes one row: its cells, and the last one, which is cut to what is left.
    pub fn row(
        &self,
        cells: Vec<(String, Tone)>,
        last: (String, Tone),
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut line = Line { blanks: 0, out };
        for slot in &self.slots {
            self.put(slot.upper, &cells, slot.width, &mut line)?;
        }
        line.put(&fit(&last.0, self.room), last.1, 0, false)?;
        line.end()?;
        if self.slots.iter().all(|slot| slot.lower.is_none()) {
            return Ok(());
        }
        for slot in &self.slots {
            match slot.lower {
                Some(lower) => {
                    line.blanks += INDENT;
                    self.put(lower, &cells, slot.width - INDENT, &mut line)?;
                }
                None => line.blanks += slot.width + 1,
            }
        }
        line.end()
    }

    fn put(
        &self,
        at: usize,
        cells: &[(String, Tone)],
        width: usize,
        line: &mut Line,
    ) -> io::Result<()> {
        let is_number = self.columns.get(at).is_some_and(|column| column.is_number);
        let Some((cell, tone)) = cells.get(at) else { return Ok(()) };
        line.put(cell, *tone, width, is_number)?;
        line.blanks += 1;
        Ok(())
    }
}

/// A line, without blanks at its end.
struct Line<'a> {
    blanks: usize,
    out: &'a mut dyn Write,
}

impl Line<'_> {
    fn put(&mut self, cell: &str, tone: Tone, columns: usize, is_number: bool) -> io::Result<()> {
        let blanks = columns.saturating_sub(width(cell));
        let (before, after) = if is_number { (blanks, 0) } else { (0, blanks) };
        self.blanks += before;
        if !cell.is_empty() {
            write!(self.out, "{:1$}{2}", "", self.blanks, tone.paint(cell))?;
            self.blanks = 0;
        }
        self.blanks += after;
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.blanks = 0;
        self.out.write_all(b"\n")
    }
}

/// The columns of these ranks, side by side or some beneath others.
fn slots(columns: &[Column], widths: &[usize], ranks: &[u8], is_stacked: bool) -> Vec<Slot> {
    let mut slots: Vec<Slot> = Vec::new();
    let shown = columns.iter().zip(widths).enumerate();
    for (at, (column, width)) in shown.filter(|(_, (column, _))| ranks.contains(&column.rank)) {
        match slots.last_mut() {
            Some(slot) if is_stacked && column.is_beneath => {
                (slot.lower, slot.width) = (Some(at), slot.width.max(*width + INDENT));
            }
            _ => slots.push(Slot { upper: at, lower: None, width: *width }),
        }
    }
    slots
}

/// Columns that they take, each with a blank behind it.
fn taken(slots: &[Slot]) -> usize {
    slots.iter().map(|slot| slot.width + 1).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 5] = [
        Column::numbers("id", 0),
        Column::words("client", 0),
        Column::words("server", 0).or_beneath(),
        Column::numbers("start", 2),
        Column::words("close", 1),
    ];

    /// The table at a terminal of so many columns, or in a file.
    fn table(rows: &[[&str; 6]], columns: Option<u16>) -> String {
        let paper = Paper { columns: columns.unwrap_or(20), is_terminal: columns.is_some() };
        let widths = widths(&COLUMNS, rows.iter().map(|row| &row[..5]));
        let layout = Layout::new(&COLUMNS, &widths, 10, &paper);
        let mut out = Vec::new();
        layout.head("findings", &mut out).unwrap();
        for row in rows {
            let cells = row[..5].iter().map(|cell| (cell.to_string(), Tone::Plain)).collect();
            layout.row(cells, (row[5].to_string(), Tone::Plain), &mut out).unwrap();
        }
        let text = anstream::adapter::strip_str(core::str::from_utf8(&out).unwrap()).to_string();
        let most = text.lines().map(width).max().unwrap();
        assert!(columns.is_none_or(|columns| most <= usize::from(columns)), "{most}:\n{text}");
        format!("\n{text}")
    }

    const SHORT: [&str; 6] = ["7", "10.0.0.1:9", "10.0.0.2:80", "0.5", "reset", "keepalive-race"];

    #[test]
    fn a_column_is_left_out_where_there_is_no_room_for_it() {
        let all = "
id client     server      start close findings
 7 10.0.0.1:9 10.0.0.2:80   0.5 reset keepalive-race
";
        assert_eq!(table(&[SHORT], None), all);
        assert_eq!(table(&[SHORT], Some(60)), all);
        let without_start = "
id client     server      close findings
 7 10.0.0.1:9 10.0.0.2:80 reset keepalive…
";
        assert_eq!(table(&[SHORT], Some(42)), without_start);
    }

    #[test]
    fn ends_stand_one_beneath_the_other_where_both_have_no_room() {
        let long =
            ["7", "[2001:db8::1:2:3]:9", "[2001:db8::2]:80", "0.5", "reset", "keepalive-race"];
        let stacked = "
id client              start close findings
    server
 7 [2001:db8::1:2:3]:9   0.5 reset keepalive…
    [2001:db8::2]:80
";
        assert_eq!(table(&[long], Some(45)), stacked);
        assert!(table(&[long], Some(60)).contains("9 [2001:db8::2]:80 reset keepalive-race"));
    }
}
