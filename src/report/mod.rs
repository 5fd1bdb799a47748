//! Histories and findings to what people and programs read.
//!
//! [`model`] is the one shape of the machine formats and [`json`] writes it; [`states`] is what
//! `explain` teaches about each state.

pub mod json;
pub mod model;
