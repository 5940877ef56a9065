"""The comparison of caches runs on a small model: fewer bits are fewer bytes, and move scores a little."""


def test_fewer_bits_take_less_and_move_scores_a_little(compared):
    result, _ = compared("caches", "--rows", "20")
    exact, narrow, least = result.values()
    assert exact["bytes of a token"] > narrow["bytes of a token"] > least["bytes of a token"]
    assert exact["log-odds moved, mean"] == 0 < narrow["log-odds moved, mean"] < least["log-odds moved, mean"] < 0.1
    assert abs(least["log loss"] - exact["log loss"]) < 0.01
