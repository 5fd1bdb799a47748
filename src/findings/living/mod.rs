//! Findings about open connections.
