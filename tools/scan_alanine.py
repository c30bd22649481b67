"""Make the energy scan of alanine dipeptide: 89 x 89 angles (phi, psi), everything else relaxed.

    python -m tools.scan_alanine [FILE]                 (default: assets/alanine/scan.npy)

ACE-ALA-NME in vacuum under amber99sb-ildn {Lindorff-Larsen et al. 2010}, by OpenMM (PyPI `openmm`), on its reference
platform: no random number. The molecule is built from bond lengths and angles, so no file is needed. Both dihedrals are
held by springs; each node starts from the last one's positions and is visited by two sweeps, forth and back, each with
a thread and a molecule of its own, of which the lower energy counts (a relaxation may follow another branch one way
than the other).
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from phasebook.models.assets import ROOT

__all__ = ["ATOMS", "BACKBONE", "GRID", "dihedral", "main", "positions", "scan"]

GRID = 89                       # odd: the Fourier interpolation of the scan has no ambiguous mode
STIFF = 1e4                     # of the springs, kJ/mol/rad^2
PHI, PSI = (4, 6, 8, 14), (6, 8, 14, 16)
BACKBONE = {"phi": PHI, "psi": PSI}

# residue, name, bonded to, angle with, dihedral with; length (Angstrom), angle, dihedral (degrees)
ATOMS = [
    ("ACE", "CH3", (), ()), ("ACE", "HH31", (0,), (1.09,)), ("ACE", "HH32", (0, 1), (1.09, 109.5)),
    ("ACE", "HH33", (0, 1, 2), (1.09, 109.5, 120)), ("ACE", "C", (0, 1, 2), (1.52, 109.5, -120)),
    ("ACE", "O", (4, 0, 1), (1.23, 120.5, 0)), ("ALA", "N", (4, 0, 5), (1.335, 116.6, 180)),
    ("ALA", "H", (6, 4, 0), (1.01, 119.8, 0)), ("ALA", "CA", (6, 4, 0), (1.45, 121.9, 180)),
    ("ALA", "HA", (8, 6, 4), (1.09, 109.5, 39)), ("ALA", "CB", (8, 6, 4), (1.53, 109.7, 158)),
    ("ALA", "HB1", (10, 8, 6), (1.09, 109.5, 60)), ("ALA", "HB2", (10, 8, 6), (1.09, 109.5, 180)),
    ("ALA", "HB3", (10, 8, 6), (1.09, 109.5, -60)), ("ALA", "C", (8, 6, 4), (1.52, 110.1, -80)),
    ("ALA", "O", (14, 8, 6), (1.23, 120.5, -110)), ("NME", "N", (14, 8, 6), (1.335, 116.6, 70)),
    ("NME", "H", (16, 14, 8), (1.01, 119.8, 0)), ("NME", "C", (16, 14, 8), (1.45, 121.9, 180)),
    ("NME", "H1", (18, 16, 14), (1.09, 109.5, 60)), ("NME", "H2", (18, 16, 14), (1.09, 109.5, 180)),
    ("NME", "H3", (18, 16, 14), (1.09, 109.5, -60)),
]


def positions() -> Float[ndarray, "22 3"]:
    """The molecule near its lowest minimum, atom after atom by length, angle and dihedral; nanometres.

    The dihedrals of HA, CB and C about N-CA are 120 degrees apart in the order of the L form.
    """
    x = np.zeros((len(ATOMS), 3))
    for i, (_, _, to, (*size,)) in enumerate(ATOMS):
        if not to:
            continue
        a = x[to[0]]
        if len(to) == 1:
            x[i] = a + [size[0], 0, 0]
            continue
        length, angle, turn = size[0], np.radians(size[1]), np.radians(size[2] if len(to) == 3 else 0)
        along = _unit(x[to[0]] - x[to[1]])
        beside = x[to[1]] - x[to[2]] if len(to) == 3 else np.array([0.0, 0, 1])
        normal = _unit(np.cross(beside, along))
        frame = np.stack([-along, np.cross(normal, along), normal])
        out = np.sin(angle)
        x[i] = a + length * np.array([np.cos(angle), out * np.cos(turn), out * np.sin(turn)]) @ frame
    return x / 10


def _unit(v: Float[ndarray, " 3"]) -> Float[ndarray, " 3"]:
    return v / np.linalg.norm(v)


def dihedral(x: Float[ndarray, "n 3"], atoms: tuple[int, int, int, int]) -> float:
    """The dihedral angle of four atoms in (-pi, pi], by the convention of IUPAC."""
    a, b, c, d = x[list(atoms)]
    first, axis, last = b - a, c - b, d - c
    left, right = np.cross(first, axis), np.cross(axis, last)
    return float(np.arctan2(np.linalg.norm(axis) * first @ right, left @ right))


def _context():
    """The molecule with its two springs: a context of OpenMM, parameters `phi0`, `psi0`; the springs are group 1."""
    import openmm
    from openmm import app, unit

    topology, residues, atoms = app.Topology(), {}, []
    chain = topology.addChain()
    for residue, name, _, _ in ATOMS:
        if residue not in residues:
            residues[residue] = topology.addResidue(residue, chain)
        element = app.Element.getBySymbol(name[0])
        atoms.append(topology.addAtom(name, element, residues[residue]))
    for i, (_, _, to, _) in enumerate(ATOMS):
        if to:
            topology.addBond(atoms[to[0]], atoms[i])
    system = app.ForceField("amber99sbildn.xml").createSystem(topology, nonbondedMethod=app.NoCutoff, constraints=None)
    for name, four in BACKBONE.items():
        spring = openmm.CustomTorsionForce(f"0.5*{STIFF}*turn^2; turn = min(away, {2 * np.pi} - away); "
                                           f"away = abs(theta - {name}0)")
        spring.addGlobalParameter(f"{name}0", 0.0)
        spring.addTorsion(*four)
        spring.setForceGroup(1)
        system.addForce(spring)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001 * unit.picoseconds),
                             openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(positions())
    return context


def scan(size: int = GRID) -> Float[ndarray, "n n"]:
    """Relaxed energies over (phi, psi), kJ/mol above the lowest.

    Args:
        size: nodes of each angle: `-pi + 2 pi i / size`.

    Returns:
        Energies, phi first. The springs' pull is undone to second order: `U + 2 U_spring` at the relaxed positions.
    """
    start = [round((dihedral(positions(), four) + np.pi) / (2 * np.pi) * size) % size for four in (PHI, PSI)]
    rows, columns = ([(first + i) % size for i in range(size)] for first in start)
    with ThreadPoolExecutor(2) as pool:
        energy = np.minimum(*pool.map(lambda order: _swept(order, columns), (rows, rows[::-1])))
    return energy - energy.min()


def _swept(rows: list[int], columns: list[int]) -> Float[ndarray, "n n"]:
    """Relaxed energies, row after row, to and fro; each node from the last one's positions."""
    import openmm
    from openmm import unit

    context, size = _context(), len(rows)
    angle = -np.pi + 2 * np.pi * np.arange(size) / size
    energy = np.zeros((size, size))
    for r, i in enumerate(rows):
        for j in columns if r % 2 == 0 else columns[::-1]:
            context.setParameter("phi0", angle[i])
            context.setParameter("psi0", angle[j])
            openmm.LocalEnergyMinimizer.minimize(context, tolerance=2.0, maxIterations=0)
            parts = [context.getState(getEnergy=True, groups={g}).getPotentialEnergy() for g in (0, 1)]
            own, spring = (part.value_in_unit(unit.kilojoule_per_mole) for part in parts)
            energy[i, j] = own + 2 * spring
    return energy


def _writable(file: Path) -> None:
    """OSError, before the scan and not after it, where the file cannot be written; what is there stays."""
    new = not file.exists()
    file.open("ab").close()
    if new:
        file.unlink()


def main(arguments: list[str] | None = None) -> int:
    """The command; exit code 2 and one line where OpenMM is missing or the file cannot be written."""
    parser = argparse.ArgumentParser(prog="python -m tools.scan_alanine", description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", default=ROOT / "alanine" / "scan.npy")
    file = parser.parse_args(arguments).file
    file = file if file.suffix == ".npy" else file.with_name(f"{file.name}.npy")        # as NumPy names it
    if find_spec("openmm") is None:
        print("openmm: not installed; the scan takes OpenMM (pip install openmm)", file=sys.stderr)
        return 2
    try:
        _writable(file)
        energy = scan()
        np.save(file, energy.astype(np.float32))
    except OSError as error:
        print(str(error).splitlines()[0], file=sys.stderr)
        return 2
    print(f"{energy.shape[0]} x {energy.shape[1]} energies up to {energy.max():.1f} kJ/mol in {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
