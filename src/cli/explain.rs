//! `finwait explain`: what a name in a report means.

use anyhow::{Result, bail};

use super::args::{ExplainArgs, ExplainFormat};
use super::{Outcome, output};
use crate::findings::Thresholds;
use crate::report::explain::{self, Subject};

/// Explains one name, or lists all.
pub fn explain(args: &ExplainArgs) -> Result<Outcome> {
    let subject = match &args.name {
        None => None,
        Some(name) => match Subject::named(name) {
            Some(subject) => Some(subject),
            None => bail!(unknown(name)),
        },
    };
    let color = (args.format == ExplainFormat::Table).then_some(args.color.color);
    output::to_stdout(color, |out| match (args.format, subject) {
        (ExplainFormat::Json, subject) => explain::as_json(subject, out),
        (ExplainFormat::Table, Some(subject)) => explain::explain(subject, &output::paper(), out),
        (ExplainFormat::Table, None) => explain::list(&output::paper(), out),
    })?;
    Ok(Outcome::default())
}

/// The complaint about a name, with the nearest that there is.
fn unknown(name: &str) -> String {
    let nearest = Thresholds::default().allow(name).err();
    let nearest = nearest.map_or(String::new(), |error| error.to_string());
    format!("{nearest} (`finwait explain` lists all findings and states)")
}
