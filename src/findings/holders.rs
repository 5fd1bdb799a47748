//! Who holds the sockets that a finding is about, where a host's own table tells, or the capture
//! itself.

use crate::addr::{Addr, HostPort};
use crate::findings::{Finding, Value};
use crate::history::Role;
use crate::infer::state::State;
use crate::notes::Notes;
use crate::owner::Owner;
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

/// Adds to a finding's message, and to its evidence, what the capture itself notes.
pub fn tell_noted(finding: &mut Finding, notes: &Notes) {
    if !notes.has_owners() {
        return;
    }
    let said = match (finding.connection, finding.role) {
        (Some(id), Some(role)) => {
            let owners = notes.owners(id, role);
            (!owners.is_empty()).then(|| format!("the {}'s socket: {}", role.name(), by(owners)))
        }
        (None, Some(role)) => side(finding, role)
            .and_then(|(host, service)| notes.held(role, host, service))
            .map(ToString::to_string),
        _ => None,
    };
    if let Some(said) = said {
        finding.message += &format!("; {said}, as the capture notes");
        finding.evidence.push(("noted", Value::Text(said)));
    }
}

/// `held by curl (pid 812), nginx (pid 813)`.
pub fn by(owners: &[Owner]) -> String {
    let owners: Vec<String> = owners.iter().map(ToString::to_string).collect();
    format!("held by {}", owners.join(", "))
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
    let (host, service) = side(finding, role)?;
    let held = join.held(role, host, service)?;
    let said = held.to_string();
    (!said.is_empty()).then_some(said)
}

/// The host and the service of the side that a finding is about.
fn side(finding: &Finding, role: Role) -> Option<(Addr, HostPort)> {
    let host = finding.host?;
    let service = match (role, finding.value("service")) {
        (Role::Server, _) => host,
        (Role::Client, Some(Value::Text(service))) => service.parse().ok()?,
        (Role::Client, _) => return None,
    };
    Some((host.ip(), service))
}
