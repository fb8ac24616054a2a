from __future__ import annotations

from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from passivbot_ws_plugin.access.gate import Gate
from passivbot_ws_plugin.settings.options import CONNECTIONS_MIN, Limits

LIMITS = Limits(
    unauthenticated=4,
    unauthenticated_per_address=2,
    connections=16,
    connections_per_address=3,
    connections_per_key=2,
)


class Guests:
    """Connections as numbers, and where they came from."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.gate: Gate[int] = Gate(limits)
        self.inside: dict[int, str] = {}
        self._last = 0

    def enter(self, peer: str) -> int | tuple[int, str]:
        """The new guest's number, or why it was turned away."""
        self._last += 1
        turned = self.gate.enter(self._last, peer)
        if turned is not None:
            return turned.status.value, turned.reason
        self.inside[self._last] = peer
        return self._last

    def promote(self, guest: int, limited_key: str | None = None) -> bool:
        return self.gate.promote(guest, self.inside[guest], limited_key)

    def leave(self, guest: int) -> None:
        self.gate.leave(guest, self.inside.pop(guest))


def test_strangers_of_one_address() -> None:
    guests = Guests()
    assert [guests.enter("a") for _ in range(3)] == [1, 2, (429, "unauthenticated_per_address")]
    guests.promote(1)
    assert guests.enter("a") == 4
    assert guests.enter("b") == 5


def test_connections_of_one_address() -> None:
    guests = Guests()
    for guest in (1, 2, 3):
        assert guests.enter("a") == guest
        guests.promote(guest)
    assert guests.enter("a") == (429, "connections_per_address")
    guests.leave(1)
    assert guests.enter("a") == 5


def test_connections_of_one_limited_key() -> None:
    guests = Guests()
    numbers = [guests.enter(peer) for peer in "abcd"]
    assert numbers == [1, 2, 3, 4]
    assert [guests.promote(1, "phone"), guests.promote(2, "phone")] == [True, True]
    assert not guests.promote(3, "phone")
    assert guests.promote(3, "page")
    assert guests.promote(4)
    guests.leave(1)
    assert guests.enter("a") == 5
    assert guests.promote(5, "phone")
    for guest in tuple(guests.inside):
        guests.leave(guest)
    assert not guests.gate._keys


def test_strangers_and_limited_keys_leave_the_owner_a_quarter() -> None:
    guests = Guests(msgspec.structs.replace(LIMITS, connections=8, unauthenticated=8))
    for number in (1, 2):
        assert guests.enter(f"phone {number}") == number
        assert guests.promote(number, f"key {number}")
    assert [guests.enter(peer) for peer in "aabb"] == [3, 4, 5, 6]
    assert not guests.promote(3, "one more key")
    assert guests.enter("the owner's") == (503, "unauthenticated")
    assert guests.gate.make_room("the owner's") == 3
    for number in (8, 9):  # the one that had to go has its own end before it
        assert guests.enter("the owner's") == number
        assert guests.promote(number)
    assert guests.enter("the owner's") == (503, "connections")


@given(connections=st.integers(CONNECTIONS_MIN, 64), unauthenticated=st.integers(1, 64))
def test_however_few_the_places_the_owner_has_one_and_so_have_the_others(
    connections: int, unauthenticated: int
) -> None:
    guests = Guests(Limits(connections=connections, unauthenticated=unauthenticated))
    while isinstance(guest := guests.enter(str(len(guests.inside))), int):
        if not guests.promote(guest, f"key {guest}"):
            break
    assert isinstance(guest, int), "a key took every place"
    assert len(guests.inside) > 1, "no further key has a place"
    guests.leave(guest)
    while isinstance(guests.enter(f"stranger {len(guests.inside)}"), int):
        pass
    quarter = max(1, connections // 4)
    assert connections - len(guests.inside) >= quarter


def test_all_strangers_and_all_connections() -> None:
    guests = Guests()
    for peer in "abcd":
        guests.enter(peer)
    assert guests.enter("e") == (503, "unauthenticated")
    for guest in tuple(guests.inside):
        guests.promote(guest)
    for number, peer in enumerate("efghijklmnop", 6):
        assert guests.enter(peer) == number
        guests.promote(number)
    assert guests.enter("q") == (503, "connections")


def test_an_ipv6_household_is_one_address() -> None:
    guests = Guests()
    assert [guests.enter(f"2001:db8::{number}") for number in range(3)][-1] == (
        429,
        "unauthenticated_per_address",
    )


def test_who_holds_many_places_makes_way_for_who_holds_fewer() -> None:
    guests = Guests()
    for peer in "aabb":
        guests.enter(peer)
    assert guests.gate.make_room("c") == 1  # the oldest of those who hold most
    assert guests.enter("c") == 5
    assert guests.gate.make_room("d") == 3
    assert guests.enter("d") == 6
    # Now each address has one: nobody has more than a newcomer would have.
    assert guests.gate.make_room("e") is None
    # Who had to go frees no second place when it is gone.
    guests.leave(1)
    guests.leave(3)
    assert guests.enter("e") == (503, "unauthenticated")


def test_nobody_makes_way_where_a_place_is_not_all_that_lacks() -> None:
    guests = Guests()
    for peer in "aab":
        guests.enter(peer)
    assert guests.gate.make_room("c") is None  # there is a place
    guests.enter("b")
    assert guests.gate.make_room("a") is None  # its own limit
    assert guests.gate.make_room("b") is None
    full = Guests(Limits(connections=CONNECTIONS_MIN))
    for guest in range(1, CONNECTIONS_MIN + 1):
        assert full.enter("a") == guest
        full.promote(guest)
    assert full.gate.make_room("b") is None  # the limit of all connections
    assert full.enter("b") == (503, "connections")


def test_one_more_does_not_take_a_place_from_its_equals() -> None:
    guests = Guests()
    for peer in "aabc":
        guests.enter(peer)
    assert guests.gate.make_room("b") is None  # would have two, as `a` has
    assert guests.gate.make_room("d") == 1


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["enter", "promote", "leave"]))))
def test_whoever_comes_and_goes_the_counts_are_right_and_return_to_nothing(
    events: list[tuple[str, str]],
) -> None:
    guests, strangers = Guests(), set[int]()
    for peer, event in events:
        of_peer = [guest for guest, home in guests.inside.items() if home == peer]
        homes = Counter(guests.inside[guest] for guest in strangers)
        if event == "enter":
            ousted = guests.gate.make_room(peer)
            if ousted is not None:
                assert ousted == min(
                    guest for guest in strangers if guests.inside[guest] == guests.inside[ousted]
                )
                assert homes[guests.inside[ousted]] == max(homes.values()) > homes[peer] + 1
                strangers.remove(ousted)
            entered = guests.enter(peer)
            assert isinstance(entered, int) or ousted is None  # nobody goes for nothing
            if isinstance(entered, int):
                strangers.add(entered)
        elif event == "promote" and of_peer:
            guests.promote(of_peer[0])
            strangers.discard(of_peer[0])
        elif event == "leave" and of_peer:
            guests.leave(of_peer[-1])
            strangers.discard(of_peer[-1])
        assert len(guests.inside) <= LIMITS.connections
        assert len(strangers) <= LIMITS.unauthenticated
        homes = Counter(guests.inside[guest] for guest in strangers)
        assert all(count <= LIMITS.unauthenticated_per_address for count in homes.values())
    for guest in tuple(guests.inside):
        guests.leave(guest)
    assert guests.gate.addresses == 0
    assert not guests.gate._strangers
