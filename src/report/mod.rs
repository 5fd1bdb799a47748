//! Histories and findings to what people and programs read.
//!
//! - For programs: [`model`] is the one shape of the machine formats, and [`json`] writes it.
//! - For people, on a [`paper`] of some width: [`table`] is the report, from what the run's survey
//!   counts, with the [`verdict`] on top and the commands that show more at its end; [`list`] has a
//!   row for each connection; [`show`] is the page of one, with its [`ladder`] from the segments on
//!   a [`reel`].
//! - [`sockets`] is the socket table of the capture's hosts at a moment and [`census`] its counts
//!   over time; [`netstat`] and [`plot`] show them to people.
//! - For people elsewhere: [`html`] is the report as one file.
//! - For jobs that run by themselves: [`ci`] has the formats of code hosts and test collectors.
//! - [`hosts`] and [`holders`] tell what hosts' own socket tables say, to programs and to people.
//! - [`standing`] tells what changed in a capture that grows.
//! - [`explain`] says what names mean; [`states`] is what it teaches about each state.

pub mod census;
#[cfg(feature = "cli")]
pub mod ci;
#[cfg(feature = "cli")]
mod columns;
#[cfg(feature = "cli")]
pub mod explain;
#[cfg(feature = "cli")]
pub mod holders;
pub mod hosts;
#[cfg(feature = "cli")]
pub mod html;
pub mod json;
#[cfg(feature = "cli")]
mod kinds;
#[cfg(feature = "cli")]
mod label;
#[cfg(feature = "cli")]
pub mod ladder;
#[cfg(feature = "cli")]
pub mod list;
#[cfg(feature = "cli")]
mod marks;
#[cfg(feature = "cli")]
mod markup;
pub mod model;
#[cfg(feature = "cli")]
pub mod netstat;
#[cfg(feature = "cli")]
mod next;
#[cfg(feature = "cli")]
mod overview;
#[cfg(feature = "cli")]
pub mod paint;
#[cfg(feature = "cli")]
pub mod paper;
#[cfg(feature = "cli")]
pub mod plot;
pub mod reel;
#[cfg(feature = "cli")]
pub mod show;
pub mod sockets;
#[cfg(feature = "cli")]
pub mod standing;
pub mod states;
#[cfg(feature = "cli")]
pub mod table;
#[cfg(feature = "cli")]
pub mod text;
#[cfg(feature = "cli")]
pub mod verdict;
