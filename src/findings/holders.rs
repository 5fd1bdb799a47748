//! Who holds the sockets that a finding is about, where a host's own table tells.

use crate::addr::HostPort;
use crate::findings::{Finding, Value};
use crate::history::Role;
use crate::infer::state::State;
use crate::sockets::{Join, Outcome, View};

/// Adds to a finding's message, and to its evidence, what the hosts say.
pub fn tell(finding: &mut Finding, join: &Join) {
    let said = match (finding.connection, finding.role) {
        (Some(id), Some(role)) => of_connection(id, role, join),
        (None, Some(role)) => of_service(finding, role, join),
        _ => None,
    };
    if let Some(said) = said {
        finding.message += &format!("; {said}");
        finding.evidence.push(("on_host", Value::Text(said)));
    }
}

/// What is said of the end that the finding is about, and of the other one if that waits for its
/// program to close.
fn of_connection(id: u64, role: Role, join: &Join) -> Option<String> {
    let is_waiting = |view: &View| view.row.is_some_and(|it| it.state == Some(State::CloseWait));
    let own = join.view(id, role).map(|view| (role, view));
    let other = join.view(id, role.peer()).filter(is_waiting).map(|view| (role.peer(), view));
    let said: Vec<String> =
        [own, other].into_iter().flatten().filter_map(|(role, view)| of_end(role, &view)).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

fn of_end(role: Role, view: &View) -> Option<String> {
    let role = role.name();
    let words = view.words();
    let state = view.row.and_then(|row| row.state);
    match (view.outcome, state) {
        (Outcome::HostLacks, _) => Some(format!("but the {role}'s host lists no such socket")),
        (Outcome::Disagrees, Some(state)) if words.is_empty() => {
            Some(format!("but the {role}'s host has its socket in {state}"))
        }
        (Outcome::Disagrees, Some(state)) => {
            Some(format!("but the {role}'s host has its socket in {state}, {words}"))
        }
        _ => (!words.is_empty()).then(|| format!("the {role}'s socket: {words}")),
    }
}

/// What is said of the sockets in CLOSE_WAIT on one side of a service.
fn of_service(finding: &Finding, role: Role, join: &Join) -> Option<String> {
    let host = finding.host?;
    let service: HostPort = match (role, finding.value("service")) {
        (Role::Server, _) => host,
        (Role::Client, Some(Value::Text(service))) => service.parse().ok()?,
        (Role::Client, _) => return None,
    };
    let held = join.held(role, host.ip(), service)?;
    let said = held.to_string();
    (!said.is_empty()).then_some(said)
}
