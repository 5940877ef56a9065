"""API keys: shown once, recognised, revoked for good."""

import pytest
from sqlalchemy import select

from recollect.errors import DataError, UsageError
from recollect.service import keys
from recollect.service.tables import KEYS

NOW = 1_700_000_000


def test_a_key_is_recognised_and_nothing_else_is(store):
    made = keys.add(store, "shop", scopes=["write", "read"], now=NOW)
    assert keys.check(store, made.secret) == made.key
    for wrong in ("", "rc_", made.secret[:-1], made.secret + "x", made.secret.lower(), "rc_é", "rc_" + "x" * 10**6):
        assert keys.check(store, wrong) is None


def test_secrets_have_32_random_bytes_and_are_not_kept(store):
    made = [keys.add(store, "shop", scopes=["read"], now=NOW) for _ in range(3)]
    assert len({one.secret for one in made}) == 3
    assert all(one.secret.startswith("rc_") and len(one.secret) == 3 + 43 for one in made)
    with store.reading() as connection:
        kept = str(connection.execute(select(KEYS)).all())
    assert not any(one.secret[3:] in kept for one in made)


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        (["read"], {"read"}),
        (["write"], {"write"}),
        (["read", "write"], {"read", "write"}),
        (["admin"], set(keys.SCOPES)),
    ],
)
def test_scopes_say_what_a_key_is_for(store, scopes, allowed):
    made = keys.add(store, "shop", scopes=scopes, now=NOW).key
    assert {scope for scope in keys.SCOPES if made.allows(scope)} == allowed


def test_a_revoked_key_stays_in_the_list_and_stays_revoked(store):
    first, second = (keys.add(store, name, scopes=["read"], now=NOW + place) for place, name in enumerate("ab"))
    assert keys.revoke(store, first.key.id, now=NOW + 5).revoked == NOW + 5
    assert keys.revoke(store, first.key.id, now=NOW + 9).revoked == NOW + 5
    assert keys.check(store, first.secret) is None
    assert keys.check(store, second.secret) == second.key
    assert [(key.name, key.revoked) for key in keys.list_keys(store)] == [("a", NOW + 5), ("b", None)]
    assert not keys.list_keys(store)[0].allows("read")


@pytest.mark.parametrize("scopes", [[], ["root"], ["read", "Write"]])
def test_unknown_scopes_are_refused(store, scopes):
    with pytest.raises(UsageError, match="a key for nothing we know"):
        keys.add(store, "shop", scopes=scopes, now=NOW)


@pytest.mark.parametrize("name", ["", "x" * 300, "a\0"])
def test_names_that_cannot_be_kept_are_refused(store, name):
    with pytest.raises(DataError, match="a key's name"):
        keys.add(store, name, scopes=["read"], now=NOW)


def test_revoking_what_is_not_there_is_told(store):
    with pytest.raises(DataError, match="no such key"):
        keys.revoke(store, "nothing", now=NOW)
