"""Which of several seeds is kept: the one with the lowest error rate, fairly compared.

Where chance decides what is right, it is the one that costs least above the optimum.

Fair is what was done with the same sequences: seeds are compared on the trials that all
of them share.  Having been tried more, or less, is neither good nor bad in itself.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ntm.tasks import Task
from ntm.tasks.base import bits_asked
from ntm.training.evaluation import Result, error_rate

Trial = tuple[object, ...]
"""A size, a number of locations and one of sequences: the same, the same sequences."""


class Round(NamedTuple):
    """A comparison: how many seeds, and what the one kept did on what they share."""

    seeds: int
    shared: list[Result]


class Selection(NamedTuple):
    """The seed to keep, the rounds it went through, and how many did as well in all."""

    seed: int
    rounds: list[Round]
    equals: int


def select(results: Mapping[int, list[Result]], task: Task) -> Selection:
    """Return the best of the seeds, found in rounds; all of them are in the first.

    In a round a seed is out if another one was tried on all that it was and on more,
    and has the lower error rate on all that it was: so ends who failed early and was
    then given up.  Of the others those stay whose error rate is lowest on the trials
    that they all share, the mean over trials.  Who stays may share more trials than all
    did; hence the next round, until nobody leaves.  Of equals the first is kept.

    If there is no trial that all seeds share, those are out from the beginning that
    lack the one most of them share.

    Args:
        results: what each seed was tried on; at least one seed.
        task: what they were tried at.
    """
    rates = {
        seed: {_trial(r): _rate(r, task) for r in rows}
        for seed, rows in results.items()
    }
    trials = [trial for mine in rates.values() for trial in mine]
    commonest = max(trials, key=trials.count, default=())
    stay = [seed for seed in rates if commonest in rates[seed]] or list(rates)
    rounds: list[tuple[int, set[Trial]]] = []
    before = len(stay) + 1
    while len(stay) < before:
        before = len(stay)
        beaten = [s for s in stay if any(_beats(rates[o], rates[s]) for o in stay)]
        stay = [s for s in stay if s not in beaten]
        shared = set.intersection(*(set(rates[s]) for s in stay))
        rounds.append((len(stay), shared))
        mean = {s: _mean(rates[s], shared) for s in stay}
        stay = [s for s in stay if mean[s] == min(mean.values())]
    rows = results[stay[0]]
    return Selection(
        stay[0],
        [Round(n, [r for r in rows if _trial(r) in shared]) for n, shared in rounds],
        len(stay) - 1,
    )


def how_chosen(selection: Selection, seeds: int) -> str:
    """Return in words how one of so many seeds was chosen, as its card says it."""
    if seeds == 1:
        return "the only seed"
    said: list[str] = []
    before: list[Result] = []
    for count, shared in selection.rounds:
        if count > 1 and shared != before:
            said.append(f"of {count} on {_in_words(shared)}: {_outcome(shared)}")
        elif count == 1 and not said:
            said.append("of each other and it on what that one was tried on")
        before = shared
    equals = f"; the first of {selection.equals + 1}" if selection.equals else ""
    excess = any(r.excess is not None for r in before)
    what = "cost above the optimum" if excess else "error rate"
    return (
        f"of {seeds} seeds the one with the lowest {what}, "
        + ", then ".join(said)
        + equals
    )


def _rate(result: Result, task: Task) -> float:
    """Return what seeds are compared by: wrong bits, or cost, for each bit asked."""
    if result.excess is None:
        return error_rate(result, task)
    return result.excess / bits_asked(task, tuple(result.size.values()))


def _outcome(results: list[Result]) -> str:
    excess = [r.excess for r in results if r.excess is not None]
    if excess:
        return f"{sum(excess) / len(excess):.2f} bits a sequence"
    return f"{sum(r.wrong_bits for r in results)} wrong bits"


def _in_words(results: list[Result]) -> str:
    sizes = []
    for name in results[0].size:
        numbers = {r.size[name] for r in results}
        sizes.append(f"{name} {min(numbers)} to {max(numbers)}")
    sequences = sum(r.sequences for r in results)
    return f"{sequences} sequences of {' and '.join(sizes)}"


def _trial(result: Result) -> Trial:
    return (*result.where, result.sequences)


def _mean(rates: Mapping[Trial, float], trials: set[Trial]) -> float:
    return sum(rates[trial] for trial in sorted(trials, key=str)) / max(len(trials), 1)


def _beats(rates: Mapping[Trial, float], others: Mapping[Trial, float]) -> bool:
    more = rates.keys() > others.keys()
    return more and _mean(rates, set(others)) < _mean(others, set(others))
