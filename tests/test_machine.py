from phasebook.machine import free_memory


def test_something_is_free():
    assert 1e8 < free_memory() < 1e14
