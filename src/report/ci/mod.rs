//! Reports for machines that run jobs: what a build server, a code host or a test collector shows.
//!
//! [`issues`] groups the findings as people think, by service and side; [`gate`] judges which of
//! them fail a job, and [`baseline`] which are known; each format is a file. All of them are
//! deterministic, all have a bound that the service which takes them sets, and none names an
//! ephemeral port or a time where the service compares runs.

pub mod baseline;
pub mod form;
pub mod gate;
pub mod github;
pub mod gitlab;
pub mod issues;
pub mod junit;
pub mod markdown;
mod place;
pub mod rows;
pub mod sarif;

use crate::report::verdict::passed_over;
use crate::run::Analysis;

/// What kept the capture from being judged in full: damage, or nothing to judge. Where a run is
/// strict, a file that ends inside a packet is damaged.
pub fn obstacles(analysis: &Analysis, is_strict: bool) -> Vec<String> {
    let mut obstacles: Vec<String> = analysis.errors.iter().map(ToString::to_string).collect();
    if is_strict {
        obstacles.extend(analysis.cuts.iter().map(ToString::to_string));
    }
    if analysis.totals.segments == 0 {
        obstacles.push(no_segment(analysis));
    }
    obstacles
}

/// What is said of a capture that shows nothing: one taken in the wrong place must not pass.
pub fn no_segment(analysis: &Analysis) -> String {
    let but = passed_over(analysis).map_or(String::new(), |what| format!(" ({what})"));
    format!("there is no TCP segment in the capture: nothing was checked{but}")
}
