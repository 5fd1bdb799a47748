//! `finwait explain`: what a name in a report means.

use anyhow::{Result, bail};

use super::args::{ExplainArgs, ExplainFormat};
use super::{Outcome, output};
use crate::findings::ALL;
use crate::findings::thresholds::{did_you_mean, nearest};
use crate::infer::state::State;
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

/// The complaint about a name, with one that is near if there is any.
fn unknown(name: &str) -> String {
    let states = State::ALL.map(|state| state.name().to_ascii_lowercase().replace('_', "-"));
    let known = ALL.iter().map(|rule| rule.name).chain(states.iter().map(String::as_str));
    let wanted = name.to_ascii_lowercase().replace('_', "-");
    let nearest = did_you_mean(nearest(&wanted, known));
    format!("no finding or state is named `{name}`{nearest} (`finwait explain` lists all)")
}
