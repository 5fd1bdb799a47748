//! Findings about four-tuples that are used again, and about TIME_WAIT.
