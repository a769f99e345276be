"""A batch of independent problems as rows."""

import numpy as np

from repinv._core.batch import chosen


def test_rows_are_chosen_whole():
    a, b = np.full((3, 4), 1.0, np.float32), np.full((3, 4), np.nan, np.float32)
    b[1] = 2.0
    found = chosen(np.array([True, False, True]), a, b)
    np.testing.assert_array_equal(found, [[1] * 4, [2] * 4, [1] * 4])
    assert found.dtype == np.float32
    assert not np.shares_memory(found, a)
