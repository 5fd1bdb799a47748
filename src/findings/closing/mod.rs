//! Findings about how connections close, or do not.

pub mod close_wait_leak;
pub mod fin_ack_skips_fin_wait_2;
pub mod long_close_wait;
