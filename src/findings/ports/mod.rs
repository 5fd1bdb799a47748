//! Findings about four-tuples that are used again, and about TIME_WAIT.

pub mod port_exhaustion;
pub mod time_wait_assassination;
pub mod time_wait_census;
pub mod time_wait_refused;
pub mod time_wait_reuse;
