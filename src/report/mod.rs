//! Histories and findings to what people and programs read.
//!
//! [`model`] is the one shape of the machine formats and [`json`] writes it; [`states`] is what
//! `explain` teaches about each state.

#[cfg(feature = "cli")]
pub mod explain;
pub mod json;
#[cfg(feature = "cli")]
pub mod ladder;
#[cfg(feature = "cli")]
pub mod list;
pub mod model;
#[cfg(feature = "cli")]
pub mod paint;
#[cfg(feature = "cli")]
pub mod paper;
pub mod reel;
#[cfg(feature = "cli")]
pub mod show;
pub mod states;
pub mod survey;
#[cfg(feature = "cli")]
pub mod table;
#[cfg(feature = "cli")]
pub mod text;
