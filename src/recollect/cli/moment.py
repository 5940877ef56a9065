"""Moments as people write them, to unix seconds. It decides that a moment without an offset is UTC."""

import re
from datetime import UTC, datetime

from recollect.errors import UsageError


def parse_time(text: str, *, option: str) -> int:
    """Read a moment: unix seconds, an ISO date (its first second) or an ISO date and time.

    Parameters
    ----------
    text
        What the user wrote, such as "1356998400", "2013-01-01" or "2013-01-01T12:30:00+02:00".
    option
        Name of the option, for the message.

    Returns
    -------
    int
        Unix seconds; a fraction of a second is cut off.

    Raises
    ------
    UsageError
        If the text is no moment.

    Examples
    --------
    >>> parse_time("2013-01-01", option="--at")
    1356998400
    """
    if re.fullmatch(r"-?\d{1,18}", text.strip()):
        return int(text)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(
            what=f"{option} takes a time",
            got=repr(text),
            expected="unix seconds or an ISO date in UTC, such as 1356998400, 2013-01-01 or 2013-01-01T12:30:00",
            do=f"write {option} in one of these forms",
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() // 1)


def format_time(seconds: int) -> str:
    """Write unix seconds as an ISO moment in UTC, such as "2013-01-01 12:30:00"; as they are beyond year 9999."""
    try:
        return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return str(seconds)
