//! Sockets by state over the capture's time: a row of bars for each state.

use maud::{Markup, html};

use super::chip;
use crate::infer::state::State;
use crate::report::census::Census;
use crate::report::text::Grouped;
use crate::time::Span;

/// Draws the counts. Each row has a scale of its own, which ends with the number beside it.
pub(super) fn draw(census: &Census, whole: Span) -> Markup {
    let counts = census.states.iter().filter(|(state, _)| !is_nothing(**state));
    html! {
        div class="chart" {
            @for (state, count) in counts {
                @let most = count.at.iter().copied().max().unwrap_or_default();
                @if most > 0 {
                    div class="lane" {
                        span class="who" { (chip(*state)) }
                        div class="bars" role="img"
                            aria-label={ (state) ": at most " (Grouped(most)) " at once" } {
                            @for at in &count.at {
                                @let share = (*at as f64 / most as f64 * 100.0).clamp(0.0, 100.0);
                                @let style = format!("height:{share:.0}%");
                                span class={ "state " (state) } style=(style) {}
                            }
                        }
                        span class="most" { (Grouped(most)) }
                    }
                }
            }
            div class="lane faint" {
                span class="who" {}
                div class="axis" { span { "0" } span { (whole) } }
                span class="most" { "most" }
            }
        }
    }
}

const fn is_nothing(state: State) -> bool {
    matches!(state, State::Closed | State::Listen | State::Unknown)
}
