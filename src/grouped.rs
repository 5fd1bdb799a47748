//! Numbers as people read them.

use core::fmt;

use crate::time::Span;

/// A number with its thousands set apart: `1,234,567`.
pub struct Grouped(pub u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                shown.push(',');
            }
            shown.push(digit);
        }
        f.pad(&shown)
    }
}

/// `1 connection`, `2 connections`.
pub fn plural(count: u64, one: &str) -> String {
    format!("{} {one}{}", Grouped(count), if count == 1 { "" } else { "s" })
}

/// A length of time, with `>=` where it had not ended.
pub fn lasting(length: Span, ongoing: bool) -> String {
    if ongoing { format!(">= {length}") } else { length.to_string() }
}
