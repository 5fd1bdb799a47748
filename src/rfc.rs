//! Where a rule comes from: an RFC and its section, as data that the program prints.

use core::fmt;

/// A section of an RFC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cite {
    /// The RFC's number.
    pub rfc: u16,
    /// The section, as in `3.10.7.4`.
    pub section: &'static str,
}

/// A section of RFC 9293, which most rules come from.
pub const fn rfc9293(section: &'static str) -> Cite {
    Cite { rfc: 9293, section }
}

impl fmt::Display for Cite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RFC {} section {}", self.rfc, self.section)
    }
}
