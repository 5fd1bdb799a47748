//! Findings about the capture itself: what it cannot tell, and why.

pub mod duplicate_packets;
