"""The command that scans alanine dipeptide: its molecule, the tracked scan, and one line without OpenMM."""

import os
import time
from importlib.util import find_spec

import numpy as np
import pytest

from phasebook.models.assets import asset
from phasebook.paths.barrier import minimax_energy
from phasebook.paths.potential import of_grid
from tools import scan_alanine

simulating = pytest.mark.skipif(find_spec("openmm") is None, reason="openmm: not installed; pip install openmm")


def test_the_molecule_is_an_l_amino_acid_with_the_angles_asked_for():
    x = scan_alanine.positions()
    angles = [scan_alanine.dihedral(x, four) for four in scan_alanine.BACKBONE.values()]
    assert np.allclose(np.degrees(angles), [-80, 70])
    nitrogen, carbonyl, side = x[[6, 14, 10]] - x[8]
    assert np.cross(nitrogen, carbonyl) @ side > 0
    apart = np.linalg.norm(x[:, None] - x, axis=-1) + np.eye(len(x))
    assert apart.min() > 0.09


def test_the_tracked_scan_has_the_wells_that_are_known():
    energy = np.load(asset("alanine/scan.npy"), allow_pickle=False)
    angle = -np.pi + 2 * np.pi * np.arange(89) / 89
    assert energy.shape == (89, 89) and energy.min() == 0
    lowest = np.unravel_index(energy.argmin(), energy.shape)
    assert np.allclose(angle[list(lowest)], [-1.4, 1.0], atol=0.15)
    axial = energy[np.ix_((angle > 0.5) & (angle < 1.5), (angle > -1.2) & (angle < 0))]
    assert 4 < axial.min() < 8


@simulating
def test_a_small_scan_is_the_tracked_one_at_its_nodes():
    """A grid of 5 x 5 shares its first node with the tracked grid; elsewhere both are above their minimum."""
    energy = scan_alanine.scan(5)
    tracked = np.load(asset("alanine/scan.npy"), allow_pickle=False)
    near = np.rint(np.arange(5) * 89 / 5).astype(int)
    assert np.corrcoef(energy.ravel(), tracked[np.ix_(near, near)].ravel())[0, 1] > 0.97


def test_without_openmm_there_is_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(scan_alanine, "find_spec", lambda name: None)
    assert scan_alanine.main([str(tmp_path / "scan.npy")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "pip install openmm" in said and not list(tmp_path.iterdir())


def test_the_file_is_named_as_it_is_written_and_tried_before_the_scan(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(scan_alanine, "find_spec", lambda name: True)
    monkeypatch.setattr(scan_alanine, "scan", lambda: np.zeros((3, 3)))
    assert scan_alanine.main([str(tmp_path / "own")]) == 0
    assert str(tmp_path / "own.npy") in capsys.readouterr().out and (tmp_path / "own.npy").is_file()
    called = []
    monkeypatch.setattr(scan_alanine, "scan", lambda: called.append(1) or np.zeros((3, 3)))
    assert scan_alanine.main([str(tmp_path / "none" / "own.npy")]) == 2
    assert not called and capsys.readouterr().err.count("\n") == 1


@simulating
@pytest.mark.slow
@pytest.mark.skipif("SCAN" not in os.environ, reason="half a minute of two processors of its own: SCAN=1")
def test_the_whole_scan_is_the_tracked_one_within_a_minute():
    began = time.perf_counter()
    energy = scan_alanine.scan()
    assert time.perf_counter() - began < 60
    tracked = np.load(asset("alanine/scan.npy"), allow_pickle=False)
    assert np.abs(energy - tracked).max() < 0.05
    wells = np.array([[-2.55, 2.7], [0.95, -0.4]])
    surface = of_grid(energy, 1.0)
    assert minimax_energy(surface, surface.within(wells)) == pytest.approx(36.34, abs=0.05)
