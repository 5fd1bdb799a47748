//! Findings about open connections.

pub mod dead_peer;
pub mod ignored_reset;
pub mod zero_window_stall;
