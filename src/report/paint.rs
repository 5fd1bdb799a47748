//! Colours, by meaning. They repeat what a word says already, never more.

use anstyle::{AnsiColor, Style};

use crate::findings::Severity;
use crate::infer::state::State;

/// What a colour stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    Plain,
    /// Headings and the verdict.
    Strong,
    /// Past, or beside the point.
    Faint,
    /// As it should be.
    Good,
    /// On its way: a short state, a note.
    Busy,
    /// To be looked at.
    Warning,
    /// Wrong.
    Error,
}

impl Tone {
    /// The tone of a state.
    pub const fn of_state(state: State) -> Tone {
        match state {
            State::Established => Tone::Good,
            State::CloseWait => Tone::Error,
            State::FinWait2 | State::LastAck => Tone::Warning,
            State::SynSent | State::SynRcvd | State::FinWait1 | State::Closing => Tone::Busy,
            State::Closed | State::Listen | State::TimeWait | State::Unknown => Tone::Faint,
        }
    }

    /// The tone of a severity.
    pub const fn of_severity(severity: Severity) -> Tone {
        match severity {
            Severity::Error => Tone::Error,
            Severity::Warning => Tone::Warning,
            Severity::Note => Tone::Busy,
        }
    }

    const fn style(self) -> Style {
        match self {
            Tone::Plain => Style::new(),
            Tone::Strong => Style::new().bold(),
            Tone::Faint => Style::new().dimmed(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Busy => AnsiColor::Cyan.on_default(),
            Tone::Warning => AnsiColor::Yellow.on_default(),
            Tone::Error => AnsiColor::Red.on_default().bold(),
        }
    }

    /// Text in this tone.
    pub fn paint(self, text: &str) -> String {
        match self {
            Tone::Plain => text.to_string(),
            _ => format!("{0}{text}{0:#}", self.style()),
        }
    }

    /// A table's cell in this tone.
    pub fn cell(self, text: impl ToString) -> comfy_table::Cell {
        use comfy_table::{Attribute, Cell, Color};
        let cell = Cell::new(text);
        match self {
            Tone::Plain => cell,
            Tone::Strong => cell.add_attribute(Attribute::Bold),
            Tone::Faint => cell.add_attribute(Attribute::Dim),
            Tone::Good => cell.fg(Color::DarkGreen),
            Tone::Busy => cell.fg(Color::DarkCyan),
            Tone::Warning => cell.fg(Color::DarkYellow),
            Tone::Error => cell.fg(Color::DarkRed).add_attribute(Attribute::Bold),
        }
    }
}
