"""A progress that interrupts the work, to see that it goes on afterwards."""


class Stops:
    """Raise `KeyboardInterrupt` after some steps."""

    def __init__(self, after: int) -> None:
        self.left = after

    def start(self, label: str, total: int) -> None:
        pass

    def advance(self, *_: object, **__: object) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def finish(self, note: str = "") -> None:
        pass
