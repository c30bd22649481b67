// Atoms in the plane under noise: what `phasebook.mixtures.modes.critical_points` and `plane_tree` compute, in typed
// arrays. `p_s` is the sum of the weights times Gaussians of standard deviation s around the atoms.
function phasebookToyModel() {
  "use strict";
  const AHEAD = 1.02;

  class Mixture {
    constructor(atoms, weights) {
      const total = weights.reduce((sum, w) => sum + w, 0);
      this.count = atoms.length;
      this.x = Float64Array.from(atoms, (a) => a[0]);
      this.y = Float64Array.from(atoms, (a) => a[1]);
      this.weights = Float64Array.from(weights, (w) => w / total);
      this.log = this.weights.map(Math.log);
      this.r = new Float64Array(this.count);
    }

    // The posterior weights of the atoms at a point, into `this.r`; returns log p up to a constant of s.
    posterior(x, y, s) {
      const { count, r } = this, half = 1 / (2 * s * s);
      let top = -Infinity;
      for (let i = 0; i < count; i++) {
        const dx = x - this.x[i], dy = y - this.y[i];
        r[i] = this.log[i] - (dx * dx + dy * dy) * half;
        if (r[i] > top) top = r[i];
      }
      let total = 0;
      for (let i = 0; i < count; i++) total += r[i] = Math.exp(r[i] - top);
      for (let i = 0; i < count; i++) r[i] /= total;
      return top + Math.log(total);
    }

    // E[x_0 | x]; x + s^2 times the score. Into `this.dx`, `this.dy`.
    denoise(x, y, s) {
      this.posterior(x, y, s);
      let dx = 0, dy = 0;
      for (let i = 0; i < this.count; i++) { dx += this.r[i] * this.x[i]; dy += this.r[i] * this.y[i]; }
      this.dx = dx;
      this.dy = dy;
    }

    // s^2 times the Hessian of log p: Cov[x_0 | x] / s^2 - 1, as [xx, xy, yy]; leaves the denoiser in dx, dy.
    hessian(x, y, s) {
      this.denoise(x, y, s);
      let xx = 0, xy = 0, yy = 0;
      for (let i = 0; i < this.count; i++) {
        const a = this.x[i] - this.dx, b = this.y[i] - this.dy;
        xx += this.r[i] * a * a;
        xy += this.r[i] * a * b;
        yy += this.r[i] * b * b;
      }
      return [xx / (s * s) - 1, xy / (s * s), yy / (s * s) - 1];
    }

    // Mean shift: steps of s^2 times the score, until they are small.
    climb(x, y, s, steps, least = 1e-7) {
      for (let k = 0; k < steps; k++) {
        this.denoise(x, y, s);
        const moved = Math.max(Math.abs(this.dx - x), Math.abs(this.dy - y));
        x = this.dx;
        y = this.dy;
        if (moved < least * s) break;
      }
      return [x, y];
    }

    // Newton's steps from near a critical point; null where they end on no mode.
    settled(x, y, s) {
      for (let k = 0; k < 30; k++) {
        const [xx, xy, yy] = this.hessian(x, y, s), det = xx * yy - xy * xy;
        const gx = this.dx - x, gy = this.dy - y;
        const ux = (yy * gx - xy * gy) / det, uy = (xx * gy - xy * gx) / det, size = Math.hypot(ux, uy);
        const part = Math.min(1, s / 4 / Math.max(size, 1e-300));
        x -= part * ux;
        y -= part * uy;
        if (size < 1e-12 * s) break;
      }
      const [xx, xy, yy] = this.hessian(x, y, s);
      const still = Math.hypot(this.dx - x, this.dy - y) < 1e-9 * s;
      const top = (xx + yy) / 2 + Math.hypot((xx - yy) / 2, xy);
      return still && top < 0 ? [x, y] : null;
    }

    // Where modes are searched from: the atoms, the middles of every two and three, the common mean.
    get starts() {
      const groups = [], n = this.count;
      for (let i = 0; i < n; i++) groups.push([i]);
      for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) groups.push([i, j]);
      for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) for (let k = j + 1; k < n; k++) groups.push([i, j, k]);
      const middle = (of, g) => g.reduce((sum, i) => sum + of[i], 0) / g.length;
      const mean = (of) => this.weights.reduce((sum, w, i) => sum + w * of[i], 0);
      return [...groups.map((g) => [middle(this.x, g), middle(this.y, g)]), [mean(this.x), mean(this.y)]];
    }

    // The modes at a level, and which of them each of some further starts leads to.
    led(below, s) {
      const above = [];
      const known = (mode) => above.findIndex((other) => Math.hypot(mode[0] - other[0], mode[1] - other[1]) <= 1e-6 * s);
      const ends = [...this.starts, ...below].map(([x, y]) => {
        const mode = this.settled(...this.climb(x, y, s, 300, 1e-6), s);
        if (mode && known(mode) < 0) above.push(mode);
        return mode;
      }).slice(-below.length || Infinity);
      const link = below.map(([x, y], i) => nearest(ends[i] ?? this.climb(x, y, AHEAD * s, 1000), above)[0]);
      return { above, link };
    }

    modes(s) { return this.led([], s).above; }

    // Of every point of a square grid over [-reach, reach]^2, row by row from the top, the mode that climbing leads to.
    basins(modes, s, side, reach) {
      const out = new Uint8Array(side * side);
      for (let k = 0; k < side * side; k++) {
        const x = ((k % side) + 0.5) / side, y = 1 - (Math.floor(k / side) + 0.5) / side;
        out[k] = nearest(this.climb(reach * (2 * x - 1), reach * (2 * y - 1), s, 80, 1e-3), modes)[0];
      }
      return out;
    }
  }

  function nearest([x, y], points) {
    let best = 0, least = Infinity;
    points.forEach(([a, b], k) => { const away = Math.hypot(x - a, y - b); if (away < least) { least = away; best = k; } });
    return [best, least];
  }

  function changes(mixture, a, below, b, tolerance) {
    const { above, link } = mixture.led(below, b), s = Math.sqrt(a * b), hit = new Set(link).size;
    if ((hit === below.length && hit === above.length) || b / a - 1 < tolerance) return [{ s, below, above, link }];
    const first = changes(mixture, a, below, s, tolerance);
    return [...first, ...changes(mixture, s, first.at(-1).above, b, tolerance)];
  }

  // Births and deaths of modes as the noise grows from low to high, as `plane_tree` gives them.
  function tree(mixture, low, high, levels = 36, tolerance = 1e-4) {
    const grid = Array.from({ length: levels }, (_, k) => low * (high / low) ** (k / (levels - 1)));
    const first = mixture.modes(low), births = first.map(() => low), joins = [];
    let below = first, alive = first.map((_, k) => k);
    const states = [{ s: low, alive, at: first }];
    for (let k = 1; k < levels; k++) {
      for (const change of changes(mixture, grid[k - 1], below, grid[k], tolerance)) {
        alive = change.above.map((point, j) => {
          const here = change.link.flatMap((l, i) => (l === j ? [i] : []));
          if (!here.length) { births.push(change.s); return births.length - 1; }
          const parent = here[nearest(point, here.map((i) => change.below[i]))[0]];
          for (const i of here) if (i !== parent) joins.push({ s: change.s, child: alive[i], parent: alive[parent] });
          return alive[parent];
        });
        below = change.above;
      }
      states.push({ s: grid[k], alive, at: below });
    }
    return { births, joins, first, states };
  }

  return { Mixture, tree, nearest };
}
