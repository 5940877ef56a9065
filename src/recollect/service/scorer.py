"""The scorer: one thread that asks the model, a bounded queue before it, and a deadline for every question.

It decides that questions wait in the order in which they come; that those to one model that wait together share its
passes, as many as the first one's deadline allows; that a question is not even queued when it would wait beyond its
deadline, by what answers took lately; and that whoever gave up waiting is skipped. One thread, since one question
already uses the cores that the model is given.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import Final

from recollect.errors import ModelError, SystemFailure
from recollect.rank.ask import Ask
from recollect.rank.ranking import Ranking
from recollect.service.arms import Arm

_LOG: Final = logging.getLogger(__name__)
_SMOOTHING: Final = 0.1  # weight of the latest pass in the mean time of an answer
_TOGETHER: Final = 16  # questions that share passes, at most


@dataclass(frozen=True, slots=True)
class Scored:
    """Hold a ranking by the model, and the event up to which it knows all."""

    ranking: Ranking
    seq: int


@dataclass(frozen=True, eq=False, slots=True)
class Job:
    """Hold a question that waits.

    Parameters
    ----------
    arm : Arm
        Who answers.
    ask : Ask
        The question.
    until : float
        Deadline, in seconds of `time.perf_counter`.
    future : Future
        Gets the answer; cancelled by whoever waits no longer.
    """

    arm: Arm
    ask: Ask
    until: float
    future: Future[Scored] = field(default_factory=Future[Scored])


class Scorer:
    """Answer questions one after the other.

    Parameters
    ----------
    queue : int
        Most questions that wait.
    prepare : callable, optional
        Called once in the scorer's thread before the first question.
    """

    def __init__(self, *, queue: int, prepare: Callable[[], object] | None = None) -> None:
        self._limit = queue
        self._prepare = prepare
        self._waiting: deque[Job] = deque()
        self._changed = Condition()
        self._busy = 0  # questions that are being answered
        self._stopping = False
        self._seconds = 0.0
        self._thread = Thread(target=self._run, name="scorer", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def alive(self) -> bool:
        """Whether the scorer takes questions."""
        return self._thread.is_alive() and not self._stopping

    def submit(self, job: Job) -> bool:
        """Let a question wait for its answer; False if the queue is full or the answer would come too late."""
        with self._changed:
            ahead = len(self._waiting) + self._busy
            late = ahead > 0 and time.perf_counter() + (ahead + 1) * self._seconds > job.until
            if self._stopping or late or len(self._waiting) >= self._limit:
                return False
            self._waiting.append(job)
            self._changed.notify()
            return True

    def ask(self, job: Job) -> tuple[Scored | None, str]:
        """Wait for the answer to a question until its deadline.

        Returns
        -------
        tuple
            The answer, or None and the reason: "overload", "deadline" or "failure".

        Raises
        ------
        UsageError, DataError
            If the question makes no sense.
        """
        if not self.submit(job):
            return None, "overload" if self.alive else "failure"
        try:
            return job.future.result(timeout=max(job.until - time.perf_counter(), 0.0)), ""
        except TimeoutError:
            job.future.cancel()
            return None, "deadline"
        except (ModelError, SystemFailure, RuntimeError, MemoryError):
            _LOG.exception("the model failed")
            return None, "failure"

    def stop(self) -> None:
        """Answer what waits, then end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        if self._prepare is not None:
            self._prepare()
        while jobs := self._next():
            asked = [job for job in jobs if job.future.set_running_or_notify_cancel()]
            if asked:
                self._answer(asked)
            with self._changed:
                self._busy = 0

    def _next(self) -> list[Job]:
        """Wait for a question, and take those that share its passes; none at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopping)
            if not self._waiting:
                return []
            first = self._waiting.popleft()
            fitting = int((first.until - time.perf_counter()) / self._seconds) if self._seconds else _TOGETHER
            others = [job for job in self._waiting if job.arm is first.arm]
            jobs = [first, *others[: max(0, min(fitting, _TOGETHER) - 1)]]
            for job in jobs[1:]:
                self._waiting.remove(job)
            self._busy = len(jobs)
            return jobs

    def _answer(self, jobs: Sequence[Job]) -> None:
        """Answer questions together, or each alone if that fails, so that none pays for the mistake of another."""
        begun = time.perf_counter()
        recommender = jobs[0].arm.recommender
        seq = recommender.context.seq
        try:
            rankings = recommender.answer_all([job.ask for job in jobs])
        except Exception as error:  # noqa: BLE001 - it goes to those who wait, whatever it is
            if len(jobs) == 1:
                jobs[0].future.set_exception(error)
                return
            for job in jobs:
                self._answer([job])
            return
        for job, ranking in zip(jobs, rankings, strict=True):
            job.future.set_result(Scored(ranking, seq))
        taken = (time.perf_counter() - begun) / len(jobs)
        self._seconds += _SMOOTHING * (taken - self._seconds) if self._seconds else taken
