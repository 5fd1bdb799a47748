//! What human reports are written on: a width, and the few shapes that all of them use.

use std::io::{self, Write};

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};

use crate::report::paint::Tone;
use crate::report::text::wrap;

/// The sheet that a report is written on.
#[derive(Clone, Copy, Debug)]
pub struct Paper {
    /// How wide it is.
    pub columns: u16,
    /// Whether somebody looks at it: on a terminal a long sentence is broken at blanks, for a
    /// program it stays one line.
    pub is_terminal: bool,
}

impl Paper {
    /// Writes a report's first sentence.
    pub fn sentence(&self, text: &str, tone: Tone, out: &mut dyn Write) -> io::Result<()> {
        match self.is_terminal {
            false => writeln!(out, "{}", tone.paint(text)),
            true => wrap(text, usize::from(self.columns))
                .iter()
                .try_for_each(|line| writeln!(out, "{}", tone.paint(line))),
        }
    }
}

/// Writes a heading, set apart.
pub fn heading(text: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{}", Tone::Strong.paint(text))
}

/// A table without lines, at most that wide.
pub fn plain_table(columns: u16) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(columns)
        .enforce_styling();
    // Otherwise the blanks that fill a cell end in a colour and cannot be cut.
    table.style_text_only();
    table
}

/// Whether a table has room as it stands, with no cell broken.
pub fn fits(table: &Table, columns: u16) -> bool {
    let widths = table.column_max_content_widths();
    let blanks = 2 * widths.len();
    widths.into_iter().map(usize::from).sum::<usize>() + blanks <= usize::from(columns)
}

/// Keeps columns of a table from being broken: names and addresses are to be copied.
pub fn keep_whole(table: &mut Table, columns: &[usize]) {
    for at in columns {
        if let Some(column) = table.column_mut(*at) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
}

/// Writes a table, without the blanks that end its lines.
pub fn put_table(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    table.lines().try_for_each(|line| writeln!(out, "{}", line.trim_end()))
}
