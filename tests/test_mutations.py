"""Tests that bite: one quantity of a module is changed in a copy of the package, and a small named test must fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from phasebook.site.paths import HOME

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


class Mutation(NamedTuple):
    """A line of a module, what it becomes, and the test that notices."""

    module: str
    line: str
    changed: str
    test: str


MUTATIONS = [
    Mutation("slices/metric.py", "bb.double().clamp(min=0) * u2, det * u2**2)",
             "bb.double().clamp(min=0) * u2, 3 * det * u2**2)",
             "slices/test_metric.py::test_pullback_equals_eigenvalues_of_j_transpose_j"),
    Mutation("slices/geodesic.py", "total += np.sqrt(speed.clip(0)) / count",
             "total += 1.01 * np.sqrt(speed.clip(0)) / count",
             "slices/test_geodesic.py::test_flat_sheared_and_stretched[1-0-1]"),
    Mutation("slices/measures/splits.py", "crossing = height[before] + part * (",
             "crossing = height[before] + 1.05 * part * (",
             "slices/measures/test_splits.py::test_levels_are_interpolated_in_the_logarithm_of_the_noise"),
    Mutation("sampling/levels.py", "return float(alpha_next), ",
             "return 1.001 * float(alpha_next), ",
             "sampling/test_levels.py::test_the_step_is_that_of_euler_in_sigma_and_of_flow_matching"),
    Mutation("models/gram_sweep.py", "torch.add(offset, products, alpha=float(factor))",
             "torch.add(offset, products, alpha=1.01 * float(factor))",
             "models/test_exact.py::test_denoiser_is_the_mixture_of_equation_6"),
    Mutation("theory/heat/torus.py", "return grad_laplacian / rho - ratio * s -",
             "return grad_laplacian / rho - 1.001 * ratio * s -",
             "theory/heat/test_torus.py::test_density_derivatives"),
    Mutation("theory/cells/power_cells.py", "masses = np.bincount(walls.left, mass, n) -",
             "mass = 1.001 * mass\n    masses = np.bincount(walls.left, mass, n) -",
             "theory/cells/test_power_cells.py::test_hessian_is_the_derivative_of_the_masses"),
    Mutation("mixtures/modes/modes.py", "return Critical(roots[rising[change]], ",
             "return Critical(roots[rising[change]][1:], ",
             "mixtures/modes/test_modes.py::test_two_atoms_split_at_their_half_distance"),
    Mutation("edits/editing.py", "return np.where(success, np.asarray(k_values), -1).max(1)",
             "return np.where(success, np.asarray(k_values), -1).max(1) - 1",
             "edits/test_editing.py::test_k_star_is_the_largest_even_where_success_is_not_monotone"),
    Mutation("site/results/claims.py", "if least <= low and high <= most:", "if 0.9 * least <= low and high <= most:",
             "site/results/test_claims.py::test_the_rule_by_examples"),
    Mutation("fewstep/bound.py", "return ndtr(ndtri(p) + width) - p", "return ndtr(ndtri(p) - width) - p",
             "fewstep/test_bound.py::test_a_ramp_attains_the_bound_and_tells_its_own_constant"),
    Mutation("fewstep/bound.py", "room = -(ndtri(p) + ndtri(q))", "room = -(ndtri(p) - ndtri(q))",
             "fewstep/test_bound.py::test_a_ramp_attains_the_bound_and_tells_its_own_constant"),
    Mutation("fewstep/bound.py", "return ndtri(c * a) + ndtri(c * b) + width",
             "return ndtri(c * a) + ndtri(c * b) - width",
             "fewstep/test_bound.py::test_in_the_right_proportion_the_leak_is_that_of_the_ramp"),
    Mutation("theory/heat/gaussians.py", "return a**2 / (2 * (1 + np.sqrt(1 + a)) ** 2)",
             "return 1.001 * a**2 / (2 * (1 + np.sqrt(1 + a)) ** 2)",
             "theory/heat/test_gaussians.py::test_the_jko_gap_keeps_its_digits"),
    Mutation("theory/heat/interpolation.py", "return float(gap(float(top) * eps))",
             "return 1.001 * float(gap(float(top) * eps))",
             "theory/heat/test_line.py::test_w2_against_quantiles"),
    Mutation("theory/heat/corners.py", "return Leading(1.25, kink, ", "return Leading(1.25, 1.01 * kink, ",
             "theory/heat/test_corners.py::test_kink_constant_of_laplace"),
    # and by the outputs that a chapter's reference holds
    Mutation("theory/heat/expansion.py", "return Expansion(size, -8 * float((weight",
             "return Expansion(1.01 * size, -8 * float((weight",
             "reference/01_heat_and_transport.ipynb"),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The package, to be spoilt."""
    folder = tmp_path_factory.mktemp("mutated")
    # with what is compiled of it: a changed file is younger. Another worker may be writing such a file
    shutil.copytree(ROOT / "src" / "phasebook", folder / "phasebook", ignore=shutil.ignore_patterns("*.pyc.*"))
    return folder


# what the package stands on is imported once; each run, of which a line tells, is a copy of the process that did
SERVER = """
import os, sys
import hypothesis, pydantic, pytest, scipy.optimize, scipy.stats, torch, xarray
for line in sys.stdin:
    out, *arguments = line.split()
    child = os.fork()
    if not child:
        os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT), 1)
        os._exit(pytest.main(arguments))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def runs(copy, tmp_path_factory):
    """pytest on some tests, with the copy in place of the package: its exit code, and what it said."""
    variables = {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", HOME: str(ROOT),
                 "PYTEST_ADDOPTS": "",
                 "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}       # a quarter of the time of so small a run
    server = subprocess.Popen([sys.executable, "-c", SERVER], cwd=ROOT, env=os.environ | variables, text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    logs = tmp_path_factory.mktemp("logs")

    def run(*tests: str) -> tuple[int, str]:
        # of the second that so small a run takes the last plugin looks through the libraries' objects for most
        options = ["-q", "-x", "--noconftest", "-p", "no:cacheprovider", "-p", "no:unraisableexception"]
        if any(test.endswith(".ipynb") for test in tests):
            options += ["-p", "nbval.plugin", "--nbval-lax", "--nbval-current-env"]
        log = logs / str(len(list(logs.iterdir())))
        print(log, *options, *(f"tests/{test}" for test in tests), file=server.stdin, flush=True)
        return int(server.stdout.readline()), log.read_text(encoding="utf-8")

    yield run
    server.stdin.close()
    server.wait()


def test_all_of_them_pass_on_an_unchanged_copy(copy, runs):
    tests = [mutation.test for mutation in MUTATIONS if "::" in mutation.test]      # nbval replays the others anyway
    code, said = runs(*tests)
    assert code == 0, said[-2000:]
    where = subprocess.run([sys.executable, "-c", "import phasebook; print(phasebook.__file__)"], cwd=ROOT, text=True,
                           env=os.environ | {"PYTHONPATH": str(copy)}, capture_output=True)
    assert where.stdout.startswith(str(copy))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.module)
def test_a_changed_quantity_is_noticed(copy, runs, mutation):
    file = copy / "phasebook" / mutation.module
    whole = file.read_text(encoding="utf-8")
    assert whole.count(mutation.line) == 1
    file.write_text(whole.replace(mutation.line, mutation.changed), encoding="utf-8")
    try:
        code, said = runs(mutation.test)
    finally:
        file.write_text(whole, encoding="utf-8")
    assert code == 1 and "1 failed" in said and "error" not in said.splitlines()[-1]
