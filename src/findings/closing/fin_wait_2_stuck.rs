//! FIN_WAIT_2 for long: the peer does not close.

use crate::findings::rule::{finding, opened, words};
use crate::findings::timeouts::{Ends, consistent};
use crate::findings::waits::{Wait, silence_in, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role, Signs};
use crate::infer::state::State;

finding! {
    /// An end that closed waits for its peer's FIN for a long time.
    ///
    /// ## What it means
    ///
    /// In FIN_WAIT_2 an end has closed its direction and the peer has acknowledged that, but has
    /// not closed its own. It is the other side of CLOSE_WAIT: the program that should act is the
    /// peer's. If this end's program still holds the socket (`shutdown()`), FIN_WAIT_2 lasts for
    /// ever; after `close()` nobody holds it, and Linux frees it after `tcp_fin_timeout`, 60
    /// seconds by default, without telling the peer.
    ///
    /// ## How it is inferred
    ///
    /// The FIN was acknowledged, and for `hold_s` the peer sent neither FIN nor data. Data in the
    /// direction that is still open starts the count again. A FIN that the peer sent ends it, even
    /// if none of its repeats arrived: its program has acted, and last-ack-stuck reports the loss.
    /// The capture does not show when this end's kernel freed the socket; the only sign of it is a
    /// RST to a late segment from the peer.
    ///
    /// ## When it is wrong
    ///
    /// As for long-close-wait: a peer that is still computing its answer is not stuck.
    ///
    /// ## What to do
    ///
    /// Look at the peer's program; see long-close-wait. If sockets in FIN_WAIT_2 pile up at this
    /// end, let its program call `close()` after a timeout instead of `shutdown()` alone.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.3.2 and 3.6; tcp(7), tcp_fin_timeout
    pub FIN_WAIT_2_STUCK = {
        name: "fin-wait-2-stuck",
        severity: Warning,
        since: "0.1.0",
        thresholds: { hold_s: 60.0 "seconds" "Silence in FIN_WAIT_2 that is reported." },
        scope: PerConnection(check),
        looks_for: [Signs::state(State::FinWait2)],
        raises: opened!(
            "1.0 > F. 1:1(0) ack 1
             1.1 < .  1:1(0) ack 2
             70. end"
        ),
        // The peer closes in time.
        near_miss: opened!(
            "1.0 > F. 1:1(0) ack 1
             1.1 < .  1:1(0) ack 2
             30. < F. 1:1(0) ack 2
             30. > .  2:2(0) ack 2
             99. end"
        ),
    }
}

/// The wait for the peer's FIN. It is over for the peer's program when that is sent: whether it
/// arrives is the network's doing.
fn wait_for_fin(history: &History, role: Role) -> Option<Wait> {
    let wait = silence_in(history, role, State::FinWait2, role.peer())?;
    let Some(fin) = history.fin_of(role.peer()) else { return Some(wait) };
    let length = wait.length.min(fin.at.ts.since(wait.since.ts));
    Some(Wait { length, ended_by: wait.ended_by.or(Some(fin.event)), ..wait })
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    let hold = context.span("hold_s");
    // Hardly any stays so long.
    let stayed = |role: &Role| history.stayed_in(*role, State::FinWait2, hold);
    for role in Role::BOTH.into_iter().filter(stayed) {
        let peer = role.peer();
        let Some(wait) = wait_for_fin(history, role) else { continue };
        let unseen = history.side(peer).tally.segments == 0;
        if wait.length < hold || unseen {
            continue;
        }
        let as_long_as = match wait.ended_by {
            Some(_) if context.is_telling() => consistent(wait.length, Ends::HalfClose),
            _ => String::new(),
        };
        let message = words!(
            context,
            "{} closed and waited {} in FIN_WAIT_2{as_long_as} for the FIN of {}, whose \
             application did not call close() in that time{}",
            who(history, role),
            wait.words(),
            history.addr(peer),
            wait.doubt(history),
        );
        let finding = context.about(history, role, wait.stay.entered.at, message);
        out.push(
            finding
                .lasting(wait.length)
                .going_on(wait.goes_on())
                .with("basis", wait.stay.entered.basis.name()),
        );
    }
}
