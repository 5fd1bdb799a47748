//! Segments to flows: which segments share a four-tuple, which are copies of one packet, and which
//! number Wireshark gives them; and which thread follows which. Nothing here knows a TCP state.

pub mod duplicates;
pub mod share;
pub mod stream;
pub mod table;
