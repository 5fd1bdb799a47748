//! A file of lines: its text, and what a dialect makes of one line.

use std::borrow::Cow;

use super::{Dialect, Holders, Place, Row};
use crate::infer::state::State;

/// One line, and the header that it stands under.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The line.
    pub text: &'a str,
    /// The header; empty if there was none.
    pub header: &'a str,
}

/// What a line is.
#[derive(Debug)]
pub enum Reading {
    /// A TCP socket.
    Row(Box<Row>),
    /// The name of the program that holds the socket of the row before.
    Program(String),
    /// Who holds the socket of the row before.
    Holders(Holders),
    /// Something else: another protocol's socket, a title, an empty line.
    Other,
    /// A socket that cannot be read, and why.
    Unreadable(&'static str),
}

impl Reading {
    /// A row of which no more is known than its ends; its line and tool are filled in later.
    pub fn row(local: Place, remote: Place, state: Option<State>) -> Row {
        Row {
            line: 0,
            dialect: Dialect::Ss,
            local,
            remote,
            state,
            recv_q: None,
            send_q: None,
            holders: Holders::default(),
        }
    }
}

impl From<Row> for Reading {
    fn from(row: Row) -> Reading {
        Reading::Row(Box::new(row))
    }
}

/// Text in UTF-8, or in UTF-16 with a mark in front, as PowerShell redirects it.
pub fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Cow<'_, str> {
        let units = bytes.chunks_exact(2).map(|pair| match pair {
            [one, two] => unit([*one, *two]),
            _ => 0,
        });
        let letters = char::decode_utf16(units);
        letters.map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    }
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        _ => String::from_utf8_lossy(bytes),
    }
}
