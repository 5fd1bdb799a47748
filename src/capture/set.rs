//! Which files a list of names stands for: a directory is the captures in it.
//!
//! Rotating tools number their files in several ways (`a.pcap`, `a.pcap1` … `a.pcap10`;
//! `a_00001_20261120.pcapng`), and a shell's order puts the tenth before the second. Names are only
//! compared where times do not tell.

use core::cmp::Ordering;
use std::io;
use std::path::{Path, PathBuf};

use super::Error;

/// A file to open.
pub(super) struct Member {
    pub(super) path: PathBuf,
    /// The user named the file itself, and not the directory that it is in.
    pub(super) named: bool,
}

/// The files that the names stand for, those of a directory in the order of their names, and why
/// directories cannot be read. Hidden ones and directories in a directory are not looked at.
pub(super) fn members<P: AsRef<Path>>(paths: &[P]) -> (Vec<Member>, Vec<Error>) {
    let (mut members, mut errors) = (Vec::new(), Vec::new());
    for path in paths {
        let path = path.as_ref();
        if !path.is_dir() {
            members.push(Member { path: path.to_path_buf(), named: true });
            continue;
        }
        match files_in(path) {
            Ok(inside) => {
                members.extend(inside.into_iter().map(|path| Member { path, named: false }));
            }
            Err(cause) => {
                errors.push(Error::Open { file: path.to_string_lossy().into(), cause });
            }
        }
    }
    (members, errors)
}

fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        // What the system does not tell of is tried: opening it says why it cannot be read.
        let is_file = entry.path().metadata().map_or(true, |metadata| metadata.is_file());
        if !is_hidden && is_file {
            found.push(entry.path());
        }
    }
    found.sort_by(|a, b| by_name(&a.to_string_lossy(), &b.to_string_lossy()));
    Ok(found)
}

/// The order of names in which numbers count by their value.
pub(super) fn by_name(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    loop {
        let (x, y) = (number(left), number(right));
        let order = match (x, y) {
            // Without leading zeros the longer number is the greater.
            (Some(x), Some(y)) => x.len().cmp(&y.len()).then_with(|| x.cmp(y)),
            _ => left.first().cmp(&right.first()),
        };
        if order != Ordering::Equal {
            return order;
        }
        if left.is_empty() {
            // Equal but for leading zeros.
            return a.cmp(b);
        }
        (left, right) = (after(left), after(right));
    }
}

/// The digits of the number that the text begins with, without leading zeros.
fn number(text: &[u8]) -> Option<&[u8]> {
    let (digits, _) = text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count());
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    digits.get(zeros..).filter(|_| !digits.is_empty())
}

/// The text behind its first number or byte.
fn after(text: &[u8]) -> &[u8] {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.get(digits.max(1)..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count_by_their_value() {
        let ordered = ["a.pcap", "a.pcap1", "a.pcap2", "a.pcap010", "a.pcap10", "a.pcap11", "b"];
        for (at, a) in ordered.iter().enumerate() {
            for (other, b) in ordered.iter().enumerate() {
                assert_eq!(by_name(a, b), at.cmp(&other), "{a} {b}");
            }
        }
    }
}
