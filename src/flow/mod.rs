//! Segments to flows: which segments share a four-tuple, which are copies of one packet, and which
//! number Wireshark gives them. Nothing here knows a TCP state.

pub mod duplicates;
pub mod kinds;
pub mod stream;
pub mod table;
