//! Findings about how connections open, or do not.

pub mod connection_refused;
