from __future__ import annotations

import itertools
import math

import pytest

from octopack_tasks import UserError
from octopack_tasks.metrics import Tally, mean_pass_at_k, pass_at_k, reportable_ks, score


@pytest.mark.parametrize(("samples", "correct"), [(1, 0), (5, 0), (5, 2), (6, 6), (8, 1)])
def test_the_estimate_is_the_share_of_draws_with_a_right_sample(samples: int, correct: int) -> None:
    for k in range(1, samples + 1):
        draws = list(itertools.combinations(range(samples), k))
        share = sum(min(draw) < correct for draw in draws) / len(draws)
        assert pass_at_k(samples, correct, k) == pytest.approx(share, abs=1e-12)


def test_fewer_wrong_samples_than_k_is_a_pass() -> None:
    assert pass_at_k(10, 1, 10) == 1.0
    assert pass_at_k(1, 0, 2) == 1.0  # as in the reference, which never reports such a k
    with pytest.raises(ValueError, match="k must be at least 1"):
        pass_at_k(10, 1, 0)


def test_ks_are_reported_for_which_every_problem_has_samples() -> None:
    tallies = [Tally(20, 3), Tally(9, 9)]
    assert reportable_ks(tallies) == (1,)
    assert reportable_ks([Tally(20, 3)]) == (1, 10)
    assert reportable_ks([]) == ()
    assert mean_pass_at_k(tallies) == {"pass@1": pytest.approx((3 / 20 + 1) / 2)}


def test_a_tally_counts() -> None:
    assert Tally.of([True, False, True]) == Tally(samples=3, correct=2)
    with pytest.raises(ValueError, match="4 correct of 3"):
        Tally(3, 4)


def test_a_score_has_its_uncertainty() -> None:
    tallies = [Tally(1, index % 4 == 0) for index in range(164)]
    (result,) = score(tallies)
    assert (result.k, result.value, result.problems) == (1, 0.25, 164)
    assert result.stderr == pytest.approx(math.sqrt(0.25 * 0.75 / 163))
    # The bootstrap agrees with the normal approximation for so many problems.
    assert result.low == pytest.approx(0.25 - 1.96 * result.stderr, abs=0.01)
    assert result.high == pytest.approx(0.25 + 1.96 * result.stderr, abs=0.01)
    assert score(tallies) == [result]  # seeded
    (narrow,) = score(tallies, confidence=0.5)
    assert result.low < narrow.low < narrow.high < result.high


def test_any_list_of_ks() -> None:
    assert [result.k for result in score([Tally(20, 3), Tally(20, 0)])] == [1, 10]
    assert [result.k for result in score([Tally(20, 3)], ks=[2, 5])] == [2, 5]
    with pytest.raises(UserError, match=r"pass@21 needs 1 <= k <= 20.*draw more samples"):
        score([Tally(20, 3)], ks=[1, 21])


def test_nothing_to_score_is_an_error_not_a_zero() -> None:
    with pytest.raises(UserError, match="nothing to score"):
        score([])
    with pytest.raises(UserError, match="confidence"):
        score([Tally(1, 1)], confidence=95)
    assert math.isnan(score([Tally(1, 1)])[0].stderr)


def test_a_single_problem_has_no_interval() -> None:
    (alone,), (of_two,) = score([Tally(2, 1)]), score([Tally(2, 1)] * 2)
    assert (alone.value, alone.has_interval, of_two.has_interval) == (0.5, False, True)


def test_descriptions_of_one_problem_are_no_independent_problems() -> None:
    # Ten problems, each with twenty descriptions that all pass or all fail: as uncertain as ten samples.
    tallies = [Tally(1, number % 2) for number in range(10) for _ in range(20)]
    owners = [f"Problem/{number}" for number in range(10) for _ in range(20)]
    (joined,), (ten,) = score(tallies, problems=owners), score([Tally(1, number % 2) for number in range(10)])
    assert (joined.value, joined.problems) == (ten.value, ten.problems) == (0.5, 10)
    assert joined.stderr == pytest.approx(ten.stderr)
    assert (joined.low, joined.high) == pytest.approx((ten.low, ten.high))
    (apart,) = score(tallies)
    assert apart.high - apart.low < (joined.high - joined.low) / 3
