"""Fingerprints: others for what computes something else, the same in another process."""

import importlib
import os
import subprocess
import sys
import textwrap
from functools import partial

import numpy as np
import pytest
import torch

from phasebook.sampling.fingerprints import fingerprint_of

FACTOR = 1.0


def scaled(x, c=1.0):
    return c * x


def by_a_global(x):
    return FACTOR * scaled(x)


class Scaled:
    def __init__(self, c):
        self.c = c

    def __call__(self, x):
        return self.c * x

    def twice(self, x):
        return 2 * self.c * x


def closed(value):
    def function(x):
        return x * value
    return function


def keyword(c):
    def function(x, *, c=c):
        return c * x
    return function


def executed(text):
    names = {}
    exec(f"f = lambda x: {text}", names)         # without a source, as of a line that was typed
    return names["f"]


def network(c):
    linear = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(linear.weight, c)
    torch.nn.init.zeros_(linear.bias)
    return linear


def recursive(c):
    def function(x):
        return function(x - 1) if x > 0 else c
    return function


OWN = """
import torch
SCALE = {0}
def helper(x): return {1} * x
class Base:
    def inherited(self, x): return {2} * x
class Model(Base):
    constant = {3}
    __slots__ = ("slot",)
    def __init__(self): self.slot = {4}
    @staticmethod
    def static(x): return {5} * x
    @property
    def own(self): return {6}
    def __call__(self, x): return helper(self.inherited(x)) * SCALE
class Layer(torch.nn.Module):
    def forward(self, x): return helper(x) * SCALE
def maker(x): return Model()(x)
"""


def of_own(name, *numbers):
    """What a module of one's own calls `name`, with numbers in it."""
    names = {"__name__": "__main__"}
    exec(OWN.format(*numbers), names)
    return names[name] if name == "maker" else names[name]()


def layers(kind=torch.nn.ReLU, **settings):
    """A network of equal weights, whatever it does with them."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(2, 2, 1, **settings), kind())


LONG = np.zeros(5000)
OTHER = np.where(np.arange(5000) == 2000, 1.0, 0.0)
TWO = [lambda x: 1 + x, lambda x: 1 - x]


@pytest.mark.parametrize("one, other", [
    (partial(scaled, c=1.0), partial(scaled, c=2.0)), (Scaled(1.0), Scaled(2.0)),
    (Scaled(1.0).twice, Scaled(2.0).twice), (Scaled(1.0).twice, Scaled(1.0)), (closed(1.0), closed(2.0)),
    (closed([LONG]), closed([OTHER])),
    (closed({"a": LONG}), closed({"a": OTHER})), (closed(Scaled(LONG)), closed(Scaled(OTHER))),
    (closed(np.zeros((2, 3))), closed(np.zeros((3, 2)))), (keyword(1.0), keyword(2.0)), tuple(TWO),
    (executed("2 * x"), executed("3 * x")), (executed("x.sin()"), executed("x.cos()")), (network(1.0), network(2.0)),
    (closed(torch.ones(3, dtype=torch.bfloat16)), closed(torch.zeros(3, dtype=torch.bfloat16))),
    (closed(torch.ones((), dtype=torch.complex64)), closed(torch.ones((), dtype=torch.bool))),
    (closed(np.array(["a"])), closed(np.array(["b"]))), (closed(np.array([None])), closed(np.array([1], dtype=object))),
    (recursive(1.0), recursive(2.0)), (closed({"a", "b"}), closed({"a", "c"})), (np.sin, np.cos),
    (torch.sin, torch.cos), (closed(torch.ones(1, 2).T), closed(torch.zeros(1, 2).T)),
    (closed(torch.ones(2, 5)[:, :1]), closed(torch.zeros(2, 5)[:, :1])),
], ids=range(24))
def test_what_computes_something_else_has_another(one, other):
    assert fingerprint_of(one) != fingerprint_of(other)
    assert fingerprint_of(one) == fingerprint_of(one)


@pytest.mark.parametrize("name, told", [("Model", 7), ("maker", 7), ("Layer", 2)])
def test_all_that_an_object_of_ones_own_calls_is_part_of_it(name, told):
    """Constants and helpers of its module, bases, what stands in its class, slots."""
    numbers = [[1 + (k == changed) for k in range(7)] for changed in (-1, -1, *range(told))]
    prints = [fingerprint_of(of_own(name, *each)) for each in numbers]
    assert prints[0] == prints[1] and len(set(prints)) == told + 1


def test_layers_of_equal_weights_that_do_something_else_have_another():
    buffers = [layers() for _ in range(2)]
    for k, network in enumerate(buffers):
        network.register_buffer("table", torch.tensor([k]), persistent=False)
    encoders = [torch.nn.TransformerEncoderLayer(2, 1, activation=name) for name in ("relu", "gelu")]
    encoders[1].load_state_dict(encoders[0].state_dict())
    others = [layers(), layers(torch.nn.GELU), layers(stride=2), layers(padding=1), *buffers, *encoders]
    prints = [fingerprint_of(network) for network in others]
    assert len(set(prints)) == len(prints) and fingerprint_of(layers()) == prints[0]


def test_modes_and_traced_constants_tell_networks_apart():
    """What a normalisation or a dropout does hangs on its mode; a traced function's numbers stand in its code alone."""
    eager = torch.nn.Sequential(torch.nn.BatchNorm1d(2))
    mode = [fingerprint_of(eager.train(on)) for on in (True, False, True)]
    assert mode[0] == mode[2] != mode[1]
    x = torch.ones(1, 2)
    traced = [fingerprint_of(torch.jit.trace(lambda x, c=c: c * x, x)) for c in (2.0, 2.0, 3.0)]
    assert traced[0] == traced[1] != traced[2]
    tables = [fingerprint_of(torch.jit.trace(Shifted(torch.arange(2.0) + c), x)) for c in (0, 0, 1)]
    assert tables[0] == tables[1] != tables[2]


class Shifted(torch.nn.Module):
    """By a table that is no parameter and no buffer."""

    def __init__(self, table):
        super().__init__()
        self.table = table

    def forward(self, x):
        return x + self.table


def test_long_chains_of_calls_are_followed_to_their_end():
    def chain(end):
        names = {"__name__": "__main__"}
        lines = [f"def f{k}(x): return f{k + 1}(x)" for k in range(999)]
        exec("\n".join([*lines, f"def f999(x): return {end} * x"]), names)
        return names["f0"]

    assert fingerprint_of(chain(1)) == fingerprint_of(chain(1)) != fingerprint_of(chain(2))


def test_a_module_of_ones_own_is_followed(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    prints = []
    for c in (1, 2):
        (tmp_path / "followed.py").write_text(f"def net(x): return {c} * x")
        monkeypatch.delitem(sys.modules, "followed", raising=False)
        importlib.invalidate_caches()
        names = {"__name__": "__main__", "sys": sys}
        exec("import followed\nf = lambda x: followed.net(x)", names)
        prints.append(fingerprint_of(names["f"]))
    assert prints[0] != prints[1]


def test_a_global_value_is_part_of_what_reads_it(monkeypatch):
    before = fingerprint_of(by_a_global)
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    changed = fingerprint_of(by_a_global)
    monkeypatch.setitem(globals(), "scaled", closed(3.0))
    assert len({before, changed, fingerprint_of(by_a_global)}) == 3


def test_equal_ones_have_the_same_in_another_process(capsys):
    """One that numbers the words of a set in another order."""
    text = textwrap.dedent("""
        import torch
        from functools import partial
        from phasebook.sampling.fingerprints import fingerprint_of
        WORDS = set("abcdefghijkl")
        class Own:
            def __init__(self): self.lock, self.seen = object(), [self]
            def __call__(self, x): return x
        def f(x, own=Own()): return torch.sin(x) if x in {"p", "q", "r"} else (WORDS, own)
        print(fingerprint_of(f, partial(f, 2), Own(), lambda x: f(x)))
    """)
    exec(text, {"__name__": "__main__"})
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    said = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True,
                          env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed}).stdout
    assert len(said) == 17 and capsys.readouterr().out == said
