"""Scenarios whose capture in the middle is at fault, while both hosts and the path are in order.

The captures at the two ends stay whole.  They are recorded apart (`--observers`):
what the middle one shows is no account of the path.
"""

from closing import exchange_and_close
from impair import Impairment
from observer import Nth, begins, ends, exchanges, misses, twice
from packet import (answering_syn, client_data, client_fin, client_pure_ack, opening_syn,
                    server_data, server_fin, server_pure_ack)
from registry import scenario
from sequences import CLIENT_FIRST, CLIENT_OPEN, CROSSED, SERVER_OPEN

FOURTHS = tuple(range(4, 40, 4))
CROSSING = Impairment(to_server=0.04, to_client=0.04)


def everything(_):
    return True


def of_client(packet):
    return packet.sender == "client"


def closing_ack(fin, ack):
    """The pure ACK that follows a FIN."""
    closed = []

    def is_it(packet):
        closed.extend([True] if fin(packet) else [])
        return bool(closed) and ack(packet)

    return is_it


def observed(name, observer, mirror=True, **more):
    """A normal close before a faulty observer."""
    expect = more.pop("expect", CLIENT_FIRST)

    def run(lab):
        exchange_and_close(lab)

    run.__name__ = name
    title = f"A normal close; {observer.what}"
    return scenario(title, expect, observer=observer, mirror=mirror, **more)(run)


# What it misses.
observed("capture_misses_syn", misses("the SYN", opening_syn), mirror="opening")
observed("capture_misses_syn_ack", misses("the SYN+ACK", answering_syn), mirror="opening")
observed("capture_misses_last_ack_of_opening", misses("the handshake's ACK", client_pure_ack),
         mirror="opening")
observed("capture_misses_first_fin", misses("the FIN of the client", client_fin))
observed("capture_misses_ack_of_first_fin",
         misses("the ACK of the client's FIN", closing_ack(client_fin, server_pure_ack)))
observed("capture_misses_second_fin", misses("the FIN of the server", server_fin))
observed("capture_misses_last_ack",
         misses("the ACK of the server's FIN", closing_ack(server_fin, client_pure_ack)))
observed("capture_misses_data", misses("the data of the client", client_data))
observed("capture_misses_every_fourth", misses("every fourth packet", everything, FOURTHS),
         mirror="symmetric")
observed("one_direction", misses("all that the server sends", lambda p: not of_client(p), None))

# Where it begins: in each of the synchronized states.
observed("capture_begins_in_established", begins("data of the client", client_data))
observed("capture_begins_in_fin_wait_1", begins("the FIN of the client", client_fin))
observed("capture_begins_in_fin_wait_2",
         begins("the ACK of the client's FIN", closing_ack(client_fin, server_pure_ack)))
observed("capture_begins_in_last_ack", begins("the FIN of the server", server_fin))
observed("capture_begins_in_time_wait",
         begins("the ACK of the server's FIN", closing_ack(server_fin, client_pure_ack)))

# Where it ends.
observed("capture_ends_in_syn_sent", ends("the SYN+ACK", answering_syn), mirror="opening")
observed("capture_ends_in_syn_rcvd", ends("the handshake's ACK", client_pure_ack),
         mirror="opening")
observed("capture_ends_in_established", ends("the FIN of the client", client_fin))
observed("capture_ends_in_fin_wait_1",
         ends("the ACK of the client's FIN", closing_ack(client_fin, server_pure_ack)))
observed("capture_ends_in_fin_wait_2", ends("the FIN of the server", server_fin))
observed("capture_ends_in_last_ack",
         ends("the ACK of the server's FIN", closing_ack(server_fin, client_pure_ack)))

# What it has too often, or in another's place.
observed("capture_twice", twice(), mirror="symmetric")
observed("capture_exchanges_opening", exchanges("the SYN", opening_syn), mirror="opening")
observed("capture_exchanges_data", exchanges("the data of the server", server_data))
observed("capture_exchanges_fins", exchanges("the ACK before the FIN of the server",
                                             closing_ack(client_fin, server_pure_ack)))


@scenario("Both FINs cross; the middle capture begins between them",
          [(CLIENT_OPEN + CROSSED, SERVER_OPEN + CROSSED)], path=CROSSING,
          observer=begins("the second of the crossing FINs", Nth(lambda p: p.fin, (2,))),
          mirror="symmetric")
def capture_begins_in_closing(lab):
    _close_at_once(lab)


@scenario("Both FINs cross; the middle capture ends before they are acknowledged",
          [(CLIENT_OPEN + CROSSED, SERVER_OPEN + CROSSED)], path=CROSSING,
          observer=ends("the ACK of the client's FIN", closing_ack(client_fin, server_pure_ack)),
          mirror="symmetric")
def capture_ends_in_closing(lab):
    _close_at_once(lab)


def _close_at_once(lab):
    client, server = lab.open()
    lab.exchange(client, server)
    client.close()
    server.close()
    lab.pause(0.3)


@scenario("A SYN is refused; the middle capture misses the SYN: a RST+ACK is all there is",
          [("SYN_SENT CLOSED", "")], observer=misses("the SYN", opening_syn), mirror="opening")
def capture_holds_a_refusal_only(lab):
    lab.client.start_connect(lab.server, 7001)
    lab.pause()
