//! Findings about four-tuples that are used again, and about TIME_WAIT.

pub mod time_wait_assassination;
pub mod time_wait_reuse;
