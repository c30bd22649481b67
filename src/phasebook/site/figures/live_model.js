// The exact model of the live diagram: what `phasebook.models.exact` computes, in typed arrays. A function without
// surroundings, so that a worker can be made of its text. Latents are combinations of a bank of them; nothing is known
// of a latent but its inner products with the atoms and with the others of the bank.
function phasebookLiveModel() {
  "use strict";
  const LOW = Math.log(1e-6);          // weights below this share of a point's largest are taken for zero

  function bytes(text) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const raw = atob(text), out = new Uint8Array(raw.length);
    for (let k = 0; k < raw.length; k++) out[k] = raw.charCodeAt(k);
    return out;
  }
  const floats = (text) => new Float32Array(bytes(text).buffer);

  // ---- the product of four rows of weights with the Gram matrix ------------------------------------------------
  //
  // A module of one function, put together here, since it is forty instructions long:
  //   rows(list, listEnd, coefficients, sums, sumsEnd)
  // `list` holds addresses of rows of the Gram matrix, four at a time; to each four belong sixteen coefficients (point
  // by point); sums[j / 4][point][j % 4] += sum_i coefficient[point][i] row_i[j], four j at a time.

  function assembled() {
    const leb = (v) => { const out = []; do { out.push((v & 127) | (v > 127 ? 128 : 0)); v >>>= 7; } while (v); return out; };
    const get = (k) => [0x20, ...leb(k)], set = (k) => [0x21, ...leb(k)];
    const add = [0x6a], less = [0x49], constant = (v) => [0x41, v];            // constants below 64
    const word = (at) => [0x28, 2, ...leb(at)];
    const load = (at) => [0xfd, 0, 4, ...leb(at)], splat = (at) => [0xfd, 9, 2, ...leb(at)], store = (at) => [0xfd, 11, 4, ...leb(at)];
    const plus = [0xfd, 0xe4, 1], times = [0xfd, 0xe6, 1];
    const [LIST, END, COEFFICIENTS, SUMS, SUMS_END, ROW, AT, FACTOR, PART] = [0, 1, 2, 3, 4, 5, 9, 10, 26];
    const four = [0, 1, 2, 3];
    const move = (k, by) => [...get(k), ...constant(by), ...add, ...set(k)];
    const repeat = (body, k, end) => [0x03, 0x40, ...body, ...get(k), ...get(end), ...less, 0x0d, 0, 0x0b];
    const inner = [
      ...four.flatMap((i) => [...get(ROW + i), ...load(0), ...set(PART + i), ...move(ROW + i, 16)]),
      ...four.flatMap((p) => [...get(AT), ...get(AT), ...load(16 * p),
        ...four.flatMap((i) => [...get(FACTOR + 4 * p + i), ...get(PART + i), ...times, ...plus]), ...store(16 * p)]),
      ...get(AT), 0x41, 0xc0, 0, ...add, ...set(AT),                            // 64 bytes on
    ];
    const outer = [
      ...four.flatMap((i) => [...get(LIST), ...word(4 * i), ...set(ROW + i)]),
      ...[...Array(16).keys()].flatMap((k) => [...get(COEFFICIENTS), ...splat(4 * k), ...set(FACTOR + k)]),
      ...get(SUMS), ...set(AT),
      ...repeat(inner, AT, SUMS_END),
      ...move(LIST, 16), ...get(COEFFICIENTS), 0x41, 0xc0, 0, ...add, ...set(COEFFICIENTS),
    ];
    const code = [2, 5, 0x7f, 20, 0x7b, ...repeat(outer, LIST, END), 0x0b];      // locals: 5 words, 20 vectors
    const section = (id, content) => [id, ...leb(content.length), ...content];
    const name = (text) => [text.length, ...[...text].map((c) => c.charCodeAt(0))];
    return new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
      ...section(1, [1, 0x60, 5, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0]),              // five words to nothing
      ...section(2, [1, ...name("e"), ...name("m"), 2, 0, 1]),                   // a memory
      ...section(3, [1, 0]), ...section(7, [1, ...name("f"), 0, 0]),
      ...section(10, [1, ...leb(code.length), ...code])]);
  }

  let module;
  function compiled(memory) {
    module ??= new WebAssembly.Module(assembled());
    return new WebAssembly.Instance(module, { e: { m: memory } }).exports.f;
  }

  // Rows of the Gram matrix of the atoms in play, and room for one group of four points.
  class Products {
    constructor(gram, count, index, plain) {
      const width = (index.length + 3) & ~3;
      const room = width * width + 4 + 16 * (width + 4) * 2 + width + 8;
      let buffer;
      try {
        if (plain) throw new Error("asked for");
        const memory = new WebAssembly.Memory({ initial: Math.ceil((room * 4) / 65536) });
        this.run = compiled(memory);
        buffer = memory.buffer;
      } catch { buffer = new ArrayBuffer(room * 4); }                            // no vectors here: plain arrays
      this.width = width;
      let at = 0;
      const take = (Kind, length) => { const made = new Kind(buffer, at, length); at += (length * 4 + 15) & ~15; return made; };
      this.gram = take(Float32Array, width * width);
      this.factors = take(Float32Array, 16 * ((width >> 2) + 1));
      this.sums = take(Float32Array, 4 * width);
      this.list = take(Uint32Array, width + 4);
      index.forEach((i, a) => index.forEach((j, b) => { this.gram[a * width + b] = gram[i * count + j]; }));
      if (!this.run) this.wide = Float64Array.from(this.gram);
    }

    // sums = weights * Gram, of four rows of weights (each `width` long) that vanish off the `used` atoms.
    multiply(weights, base, used, length) {
      const { width, factors, sums, list } = this;
      sums.fill(0);
      const all = (length + 3) & ~3;
      for (let k = 0; k < all; k++) {
        const i = k < length ? used[k] : used[0];
        const slot = (k >> 2) * 16 + (k & 3);
        list[k] = i * width * 4;
        for (let p = 0; p < 4; p++) factors[slot + 4 * p] = k < length ? weights[base + p * width + i] : 0;
      }
      if (this.run) this.run(list.byteOffset, list.byteOffset + 4 * all, factors.byteOffset, sums.byteOffset, sums.byteOffset + 16 * width);
      else this.slowly(all);
    }

    slowly(all) {
      const { width, factors: f, sums, list, wide: g } = this;
      for (let k = 0; k < all; k += 4) {
        const o = 4 * k, r0 = list[k] >> 2, r1 = list[k + 1] >> 2, r2 = list[k + 2] >> 2, r3 = list[k + 3] >> 2;
        const a0 = f[o], a1 = f[o + 1], a2 = f[o + 2], a3 = f[o + 3], b0 = f[o + 4], b1 = f[o + 5], b2 = f[o + 6], b3 = f[o + 7];
        const c0 = f[o + 8], c1 = f[o + 9], c2 = f[o + 10], c3 = f[o + 11], d0 = f[o + 12], d1 = f[o + 13], d2 = f[o + 14], d3 = f[o + 15];
        for (let j = 0, at = 0; j < width; j++, at += (j & 3) ? 1 : 13) {
          const x = g[r0 + j], y = g[r1 + j], z = g[r2 + j], t = g[r3 + j];
          sums[at] += a0 * x + a1 * y + a2 * z + a3 * t;
          sums[at + 4] += b0 * x + b1 * y + b2 * z + b3 * t;
          sums[at + 8] += c0 * x + c1 * y + c2 * z + c3 * t;
          sums[at + 12] += d0 * x + d1 * y + d2 * z + d3 * t;
        }
      }
    }
  }

  // ---- the model ----------------------------------------------------------------------------------------------

  class Model {
    constructor(data) {
      this.count = data.family.length;
      this.family = Uint8Array.from(data.family);
      this.families = Math.max(...data.family) + 1;
      this.bank = data.covariance.length;
      this.covariance = data.covariance;
      this.ratio = data.alpha.map((a, k) => a / data.sigma[k]);
      this.sigma = data.sigma;
      this.steps = data.alpha.length - 1;
      this.unit = data.unit;
      this.products = floats(data.products);                                     // of bank and atoms
      this.upper = data.gram;
    }

    // Decoded when it is first asked for: the page itself needs it after its first picture.
    get gram() {
      if (this.whole) return this.whole;
      const upper = floats(this.upper), n = this.count, gram = new Float32Array(n * n);
      for (let i = 0, at = 0; i < n; i++) for (let j = i; j < n; j++, at++) gram[i * n + j] = gram[j * n + i] = upper[at];
      this.upper = null;
      return (this.whole = gram);
    }

    // The atoms whose prior does not vanish, and the products of their Gram matrix; kept until the choice changes.
    chosen(prior, plain) {
      const index = [];
      for (let i = 0; i < this.count; i++) if (!prior || prior[i] > -Infinity) index.push(i);
      const key = `${plain ? "plain" : ""}${index.join()}`;
      if (this.kept?.key !== key) {
        const { gram } = this, norms = Float64Array.from(index, (i) => gram[i * this.count + i]);
        this.kept = { key, index, norms, products: new Products(gram, this.count, index, plain) };
      }
      return this.kept;
    }

    // A latent as a combination of the bank, scaled to standard deviation one.
    normalised(mix) {
      let variance = 0;
      for (let a = 0; a < this.bank; a++) for (let b = 0; b < this.bank; b++) variance += mix[a] * mix[b] * this.covariance[a][b];
      return mix.map((c) => c / Math.sqrt(variance));
    }

    // Eq. (3), normalised: the combination of the bank at a point of the plane of three anchors.
    at(anchors, alpha, beta) {
      const [z0, z1, z2] = anchors;
      return this.normalised(z0.map((c, b) => (1 - alpha - beta) * c + alpha * z1[b] + beta * z2[b]));
    }
  }

  // Points carried through the sampler together, a step at a time: `weights` and `duals` (point by point) are those of
  // the prediction of the last step. Four neighbours share the atoms that they need.
  class Sweep {
    constructor(model, anchors, points, { prior = null, plain = false } = {}) {
      const { index, norms, products } = model.chosen(prior, plain);
      Object.assign(this, { model, index, norms, products, width: products.width, count: points.length, step: 0 });
      this.fours = (points.length + 3) >> 2;
      this.groups = Uint8Array.from(index, (i) => model.family[i]);
      this.prior = Float64Array.from(index, (i) => prior?.[i] ?? 0);
      const slots = 4 * this.fours, n = model.count;
      this.scaled = new Float64Array(slots * this.width);
      this.weights = new Float32Array(slots * this.width);
      this.duals = new Float32Array(slots * this.width);
      this.best = new Uint16Array(slots);
      this.likeliest = new Uint8Array(slots);
      this.logits = new Float64Array(this.width);
      this.offset = new Float64Array(index.length);
      this.used = new Uint16Array(this.width + 4);
      this.mark = new Uint8Array(this.width);
      this.mass = new Float64Array(model.families);
      for (let s = 0; s < slots; s++) {
        const mix = model.at(anchors, ...points[Math.min(s, points.length - 1)]);
        for (let b = 0; b < model.bank; b++) {
          const factor = mix[b] / model.sigma[0];
          if (factor) for (let j = 0; j < index.length; j++) this.scaled[s * this.width + j] += factor * model.products[b * n + index[j]];
        }
      }
    }

    // w = softmax(offset + ratio q / sigma) of one point; marks the atoms that it needs.
    soften(slot, ratio) {
      const { scaled, weights, logits, offset, mark, mass, groups } = this;
      const base = slot * this.width, n = offset.length;
      let top = -Infinity, best = 0;
      for (let j = 0; j < n; j++) {
        const l = offset[j] + ratio * scaled[base + j];
        logits[j] = l;
        if (l > top) { top = l; best = j; }
      }
      const low = top + LOW;
      let total = 0;
      for (let j = 0; j < n; j++) {
        const l = logits[j];
        if (l > low) { total += logits[j] = Math.exp(l - top); mark[j] = 1; } else logits[j] = 0;
      }
      const scale = 1 / total;
      mass.fill(0);
      for (let j = 0; j < n; j++) {
        const w = logits[j] * scale;
        weights[base + j] = w;
        mass[groups[j]] += w;
      }
      this.best[slot] = this.index[best];
      let likeliest = 0;
      for (let f = 1; f < mass.length; f++) if (mass[f] > mass[likeliest]) likeliest = f;
      this.likeliest[slot] = likeliest;
    }

    // The prediction of this step, and the state of the next, for the fours of points from `first` to `last`.
    advance(first, last) {
      const { width, mark, used, products, scaled, duals, offset, norms, prior } = this;
      const ratio = this.model.ratio[this.step], gain = this.model.ratio[this.step + 1] - ratio;
      // log p - ratio^2 |x|^2 / 2
      for (let j = 0; j < offset.length; j++) offset[j] = prior[j] - (ratio * ratio * norms[j]) / 2;
      for (let g = first; g < last; g++) {
        const base = 4 * g * width;
        mark.fill(0);
        for (let p = 0; p < 4; p++) this.soften(4 * g + p, ratio);
        let length = 0;
        for (let j = 0; j < width; j++) if (mark[j]) used[length++] = j;
        products.multiply(this.weights, base, used, length);
        const sums = products.sums;
        for (let p = 0; p < 4; p++) {
          const row = base + p * width;
          for (let j = 0, at = 4 * p; j < width; j += 4, at += 16) {
            for (let k = 0; k < 4; k++) {
              const m = sums[at + k];
              duals[row + j + k] = m;
              scaled[row + j + k] += gain * m;
            }
          }
        }
      }
    }

    // The weights of one point over all atoms.
    spread(slot, into = new Float32Array(this.model.count), at = 0) {
      const { index, weights, width } = this;
      for (let j = 0; j < index.length; j++) into[at + index[j]] = weights[slot * width + j];
      return into;
    }

    // |f(a) - f(b)|^2 of two points' predictions, in the latent's scale.
    apart(a, b) {
      const w = this.weights, m = this.duals, width = this.width;
      let sum = 0;
      for (let j = 0, p = a * width, q = b * width; j < width; j++, p++, q++) sum += (w[p] - w[q]) * (m[p] - m[q]);
      return Math.max(sum, 0);
    }
  }

  // A square grid over a window, at the middles of its cells; slots run over squares of two by two points.
  class Grid {
    constructor(model, side, { anchors, window: [a0, a1, b0, b1], prior, plain }) {
      Object.assign(this, { model, side, spacing: [(a1 - a0) / side, (b1 - b0) / side] });
      const points = [];
      this.slot = new Uint16Array(side * side);
      for (let i = 0; i < side; i += 2) {
        for (let j = 0; j < side; j += 2) {
          for (const [u, v] of [[i, j], [i, j + 1], [i + 1, j], [i + 1, j + 1]]) {
            this.slot[u * side + v] = points.length;
            points.push([a0 + (u + 0.5) * this.spacing[0], b0 + (v + 0.5) * this.spacing[1]]);
          }
        }
      }
      this.sweep = new Sweep(model, anchors, points, { prior, plain });
    }

    // tr G by finite differences, centred inside and one-sided at the border.
    trace() {
      const { side, slot, sweep, spacing } = this;
      const out = new Float32Array(side * side);
      for (let i = 0; i < side; i++) {
        for (let j = 0; j < side; j++) {
          const [up, down] = [Math.min(i + 1, side - 1), Math.max(i - 1, 0)];
          const [right, left] = [Math.min(j + 1, side - 1), Math.max(j - 1, 0)];
          const along = sweep.apart(slot[up * side + j], slot[down * side + j]) / ((up - down) * spacing[0]) ** 2;
          const across = sweep.apart(slot[i * side + right], slot[i * side + left]) / ((right - left) * spacing[1]) ** 2;
          out[i * side + j] = (along + across) * this.model.unit ** 2;
        }
      }
      return out;
    }

    // What is shown of the step that was just taken: of every point the likeliest atom and family and the trace, of
    // every `every`-th point each way the weights.
    frame(every) {
      const { side, slot, sweep, model } = this;
      const shown = [];
      for (let i = 0; i < side; i += every) for (let j = 0; j < side; j += every) shown.push(slot[i * side + j]);
      const weights = new Float32Array(shown.length * model.count);
      shown.forEach((s, k) => sweep.spread(s, weights, k * model.count));
      return { side, step: sweep.step, trace: this.trace(), weights, across: Math.ceil(side / every),
               atom: Uint16Array.from(slot, (s) => sweep.best[s]), family: Uint8Array.from(slot, (s) => sweep.likeliest[s]) };
    }
  }

  // All steps of a grid, a piece at a time: `pause()` is awaited between pieces and stops the work where it says false.
  async function run(model, side, every, settings, show, pause) {
    const grid = new Grid(model, side, settings), { sweep } = grid;
    const piece = 64;
    for (; sweep.step < model.steps; sweep.step++) {
      for (let g = 0; g < sweep.fours; g += piece) {
        sweep.advance(g, Math.min(g + piece, sweep.fours));
        if (pause && !(await pause())) return false;
      }
      show(grid.frame(every));
    }
    return true;
  }

  // The weights of one point at every step.
  function course(model, anchors, point, prior, plain) {
    const sweep = new Sweep(model, anchors, [point], { prior, plain });
    const out = new Float32Array(model.steps * model.count);
    for (; sweep.step < model.steps; sweep.step++) {
      sweep.advance(0, 1);
      sweep.spread(0, out, sweep.step * model.count);
    }
    return out;
  }

  return { Model, run, course };
}
