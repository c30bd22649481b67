// A few atoms in the plane. `toy.py` writes the data, `toy_model.js` computes.
(() => {
  "use strict";
  const { clamp, short, element, slider, choice, sized, player, follow, speaker, mountAll } = phasebookWidget;
  const COLOURS = ["#0072B2", "#C75400", "#00805D", "#B0598F", "#8A6500"];    // white reads on them
  const BORN = "#5d6670";                                                     // of a mode that is no atom's
  const SIDE = 96, FINE = 192, ARROWS = 15, STEPS = 240;
  const rgb = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));

  class Toy {
    constructor(root, data) {
      Object.assign(this, { root, data, library: phasebookToyModel() });
      this.build();
      this.restart();
      this.listen();
    }

    // ---- settings ----

    take({ atoms, weights, s }) {
      this.atoms = atoms.map((a) => [...a]);
      this.weights = [...weights];
      this.chosen = 0;
      if (s) this.s = s;
      this.slider.value = this.place(this.s);
      this.handOut();
      this.compute();
    }

    restart() {
      this.examples.value = 0;
      this.take(this.data.examples[0]);
    }

    // Steps of the slider run from the largest noise down.
    level(k) { const { low, high } = this.data; return high * (low / high) ** (k / STEPS); }
    place(s) { const { low, high } = this.data; return Math.round((STEPS * Math.log(high / s)) / Math.log(high / low)); }

    setLevel(s) {
      const { low, high } = this.data;
      this.s = clamp(s, low, high);
      this.slider.value = this.place(this.s);
      this.soon(false);
    }

    // While atoms move, the tree is a rough one; it is made fine when they have stood still for a moment.
    compute(tree = true, rough = false) {
      const { low, high } = this.data;
      this.mixture = new this.library.Mixture(this.atoms, this.weights);
      if (tree) this.tree = this.library.tree(this.mixture, low, high, ...(rough ? [18, 5e-3] : []));
      clearTimeout(this.resting);
      if (rough) this.resting = setTimeout(() => { this.resting = null; this.compute(); }, 250);
      this.modes = this.mixture.modes(this.s);
      this.numbers = this.numbered();
      this.basins = null;
      this.draw();
      this.say();
    }

    soon(tree = true) {
      this.wanted = this.wanted || tree;
      this.due ??= requestAnimationFrame(() => { this.due = null; this.compute(this.wanted || Boolean(this.resting), this.wanted); this.wanted = false; });
    }

    // The number in the tree of each mode of this level: of those alive there, the nearest at the level before.
    numbered() {
      const { states, births, joins } = this.tree;
      const there = births.map((s, k) => s <= this.s && !joins.some((j) => j.child === k && j.s < this.s));
      const before = states.filter((one) => one.s <= this.s * 1.0001).at(-1) ?? states[0];
      const after = states.find((one) => one.s >= this.s) ?? before;
      const places = new Map([...after.alive.map((n, k) => [n, after.at[k]]), ...before.alive.map((n, k) => [n, before.at[k]])]);
      const free = there.flatMap((yes, n) => (yes && places.has(n) ? [n] : []));
      return this.modes.map((mode) => {
        const near = this.library.nearest(mode, free.map((n) => places.get(n)))[0];
        return free.length ? free.splice(near, 1)[0] : 0;
      });
    }

    // The atom whose colour a branch has; null for a mode that appears in mid-air.
    owner(n) { return n < this.tree.first.length ? this.library.nearest(this.tree.first[n], this.atoms)[0] : null; }
    colour(n) { const atom = this.owner(n); return atom === null ? BORN : COLOURS[atom]; }

    // ---- the page ----

    build() {
      const { root, data } = this;
      root.replaceChildren();
      const bar = element(root, "div", { class: "pbv-bar" });
      this.play = element(bar, "button", { type: "button" }, "Lower the noise");
      const noise = slider(bar, "Noise", { min: 0, max: STEPS, step: 1 });
      this.slider = noise.input;
      this.value = noise.output;
      this.kind = choice(bar, "Colours", [["cells", "posterior"], ["basins", "basins of the score"], ["density", "density"]]);
      const panels = element(root, "div", { class: "pbt-panels" });
      this.plane = element(panels, "div", { class: "pbt-plane" });
      this.canvas = element(this.plane, "canvas", { role: "img" });
      this.side = element(panels, "canvas", { class: "pbt-tree", role: "img" });
      this.here = element(root, "p", { class: "pbt-words" });
      const more = element(root, "div", { class: "pbv-bar" });
      const weight = slider(more, "Weight of atom 1", { min: 0.05, max: 1, step: 0.05 });
      [this.weight, this.share, this.whose] = [weight.input, weight.output, weight.box.firstChild];
      this.add = element(more, "button", { type: "button" }, "Add an atom");
      this.remove = element(more, "button", { type: "button" }, "Remove atom 1");
      this.examples = choice(more, "Start from", data.examples.map((one, k) => [k, one.name]));
      this.again = element(more, "button", { type: "button" }, "Start again");
      element(root, "p", { class: "pbv-quiet" }, "Drag the atoms; with the keyboard: arrow keys move an atom, plus and minus change its weight, Delete removes it. Rings: modes. Black lines: borders of their basins. Click the tree to go to a level.");
      this.speak = speaker(root);
    }

    // One handle an atom.
    handOut() {
      this.handles ??= [];
      while (this.handles.length > this.atoms.length) this.handles.pop().remove();
      while (this.handles.length < this.atoms.length) {
        const k = this.handles.length;
        const handle = element(this.plane, "button", { type: "button", class: "pbt-atom", style: `background: ${COLOURS[k]}` }, `${k + 1}`);
        this.handles.push(handle);
        this.listenHandle(handle, k);
      }
      this.tell();
    }

    tell() {
      const { reach } = this.data, total = this.weights.reduce((sum, w) => sum + w, 0), k = this.chosen;
      this.handles.forEach((handle, i) => {
        const [x, y] = this.atoms[i], share = this.weights[i] / total, size = 1.5 + 1.3 * Math.sqrt(share);
        Object.assign(handle.style, { left: `${50 + (50 * x) / reach}%`, top: `${50 - (50 * y) / reach}%`, width: `${size}rem`, height: `${size}rem`, margin: `${-size / 2}rem 0 0 ${-size / 2}rem` });
        handle.classList.toggle("pbt-chosen", i === k);
        handle.setAttribute("aria-label", `Atom ${i + 1} at ${short(x)}, ${short(y)}, weight ${share.toFixed(2)}. Arrow keys move it, plus and minus change its weight, Delete removes it`);
      });
      this.weight.value = this.weights[k];
      this.whose.textContent = `Weight of atom ${k + 1}`;
      this.share.textContent = (this.weights[k] / total).toFixed(2);
      this.remove.textContent = `Remove atom ${k + 1}`;
      this.remove.disabled = this.atoms.length <= 2;
      this.add.disabled = this.atoms.length >= COLOURS.length;
    }

    listen() {
      this.slider.addEventListener("input", () => { this.s = this.level(Number(this.slider.value)); this.soon(false); });
      this.kind.addEventListener("change", () => this.draw());
      this.weight.addEventListener("input", () => this.weigh(Number(this.weight.value)));
      this.add.addEventListener("click", () => this.grow());
      this.remove.addEventListener("click", () => this.drop(this.chosen));
      this.examples.addEventListener("change", () => this.take(this.data.examples[Number(this.examples.value)]));
      this.again.addEventListener("click", () => this.take(this.data.examples[Number(this.examples.value)]));
      player(this.play, 60, () => { if (Number(this.slider.value) >= STEPS) this.setLevel(this.data.high); },
        () => { const k = Number(this.slider.value) + 2; this.setLevel(this.level(Math.min(k, STEPS))); return k < STEPS; });
      let held = false;
      const at = (event) => { const box = this.side.getBoundingClientRect(); this.setLevel(this.heightOf((event.clientY - box.top) / box.height)); };
      this.side.addEventListener("pointerdown", (event) => { if (event.button) return; held = true; this.side.setPointerCapture(event.pointerId); at(event); });
      this.side.addEventListener("pointermove", (event) => { if (held) at(event); });
      for (const name of ["pointerup", "pointercancel"]) this.side.addEventListener(name, () => { held = false; });
      follow(this.root, () => this.draw());
    }

    listenHandle(handle, k) {
      let held = false;
      const choose = () => { this.chosen = Math.min(k, this.atoms.length - 1); this.tell(); };
      handle.addEventListener("focus", choose);
      handle.addEventListener("pointerdown", (event) => { if (event.button) return; held = true; choose(); handle.setPointerCapture(event.pointerId); });
      handle.addEventListener("pointermove", (event) => {
        if (!held) return;
        const box = this.plane.getBoundingClientRect(), { reach } = this.data;
        this.move(k, reach * ((2 * (event.clientX - box.left)) / box.width - 1), reach * (1 - (2 * (event.clientY - box.top)) / box.height));
      });
      for (const name of ["pointerup", "pointercancel"]) handle.addEventListener(name, () => { held = false; });
      handle.addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;       // the browser's own: its zoom, its way back
        const by = { ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key], step = event.shiftKey ? 0.2 : 0.05;
        if (by) this.move(k, this.atoms[k][0] + step * by[0], this.atoms[k][1] + step * by[1]);
        else if (event.key === "+" || event.key === "=") this.weigh(this.weights[k] + 0.05);
        else if (event.key === "-") this.weigh(this.weights[k] - 0.05);
        else if (event.key === "Delete" || event.key === "Backspace") { this.drop(k); this.handles[this.chosen].focus(); } else return;
        event.preventDefault();
      });
    }

    // ---- what the reader does ----

    move(k, x, y) {
      const most = this.data.reach * 0.95;
      this.atoms[k] = [clamp(x, -most, most), clamp(y, -most, most)];
      this.tell();
      this.soon();
    }

    weigh(weight) {
      this.weights[this.chosen] = clamp(weight, 0.05, 1);
      this.tell();
      this.soon();
    }

    // A new atom where there is most room.
    grow() {
      if (this.atoms.length >= COLOURS.length) return;
      let best = [0, 0], most = -1;
      for (let i = -3; i <= 3; i++) {
        for (let j = -3; j <= 3; j++) {
          const point = [0.4 * i + 0.07, 0.4 * j - 0.05], away = this.library.nearest(point, this.atoms)[1];
          if (away > most) { most = away; best = point; }
        }
      }
      this.atoms.push(best);
      this.weights.push(Math.max(0.05, this.weights.reduce((sum, w) => sum + w, 0) / this.weights.length));
      this.chosen = this.atoms.length - 1;
      this.handOut();
      this.soon();
    }

    drop(k) {
      if (this.atoms.length <= 2) return;
      this.atoms.splice(k, 1);
      this.weights.splice(k, 1);
      this.chosen = Math.min(k, this.atoms.length - 1);
      this.handOut();
      this.soon();
    }

    say() {
      const count = this.modes.length, level = this.s.toPrecision(2);
      const next = this.tree.joins.filter((j) => j.s < this.s).at(-1);
      const born = this.tree.births.filter((s) => s > this.data.low);
      const words = `${count} mode${count > 1 ? "s" : ""} at σ/α = ${level}. ` +
        (next ? `The next one parts at ${next.s.toPrecision(3)}.` : "No further mode parts below.") +
        (born.length ? ` A mode that no atom leads to is there from ${born[0].toPrecision(3)} upwards.` : "");
      this.here.textContent = words;
      this.value.textContent = `σ/α = ${level}`;
      this.slider.setAttribute("aria-valuetext", `noise over signal ${level}, ${count} modes`);
      this.speak(() => words);
    }

    // ---- drawing ----

    draw() {
      if (!this.tree) return;
      this.drawPlane();
      this.drawTree();
    }

    drawPlane() {
      const context = sized(this.canvas), side = this.canvas.width, ratio = window.devicePixelRatio || 1;
      this.basins ??= this.mixture.basins(this.modes, this.s, SIDE, this.data.reach);
      this.sheet ??= document.createElement("canvas");
      const image = this.coloured();
      Object.assign(this.sheet, { width: image.width, height: image.height });
      this.sheet.getContext("2d").putImageData(image, 0, 0);
      Object.assign(context, { imageSmoothingEnabled: true, imageSmoothingQuality: "high" });
      context.drawImage(this.sheet, 0, 0, side, side);
      this.drawArrows(context, side, ratio);
      this.drawBorders(context, side, ratio);
      for (const [x, y] of this.modes) {
        for (const [colour, width] of [["#000", 4.5], ["#fff", 2.2]]) {
          Object.assign(context, { strokeStyle: colour, lineWidth: width * ratio });
          context.beginPath();
          context.arc(...this.spot(x, y, side), 19 * ratio, 0, 7);
          context.stroke();
        }
      }
      const words = { cells: "Posterior weights of the atoms as blended colours", basins: "Basins of the score", density: "Density" }[this.kind.value];
      this.canvas.setAttribute("aria-label", `${words}, at σ/α = ${this.s.toPrecision(2)}; modes at ${this.modes.map(([x, y]) => `(${short(x)}, ${short(y)})`).join(", ")}`);
    }

    spot(x, y, side) { const { reach } = this.data; return [((x / reach + 1) * side) / 2, ((1 - y / reach) * side) / 2]; }

    // The plane's colours: the posterior's blend of the atoms' colours, one colour a basin, or greys of the density.
    coloured() {
      const kind = this.kind.value, side = kind === "basins" ? SIDE : FINE, { reach } = this.data, { mixture, s } = this;
      const image = new ImageData(side, side), tints = this.atoms.map((_, k) => rgb(COLOURS[k]));
      const peak = Math.max(...this.modes.map(([x, y]) => mixture.posterior(x, y, s)));
      const owned = this.numbers.map((n) => rgb(this.colour(n)));
      for (let k = 0; k < side * side; k++) {
        const x = reach * ((2 * ((k % side) + 0.5)) / side - 1), y = reach * (1 - (2 * (Math.floor(k / side) + 0.5)) / side);
        let colour = [0, 0, 0];
        if (kind === "basins") colour = owned[this.basins[k]].map((c) => c + (255 - c) * 0.35);
        else {
          const log = mixture.posterior(x, y, s);
          if (kind === "density") colour = colour.map(() => 245 - 215 * Math.exp(log - peak));
          else for (let i = 0; i < tints.length; i++) for (let c = 0; c < 3; c++) colour[c] += mixture.r[i] * (tints[i][c] + (255 - tints[i][c]) * 0.35);
        }
        image.data.set([...colour, 255], 4 * k);
      }
      return image;
    }

    // The direction of the score.
    drawArrows(context, side, ratio) {
      const { reach } = this.data, long = side / ARROWS / 2.6;
      Object.assign(context, { strokeStyle: "rgba(0,0,0,.4)", fillStyle: "rgba(0,0,0,.4)", lineWidth: 1.1 * ratio });
      context.beginPath();
      for (let i = 0; i < ARROWS; i++) {
        for (let j = 0; j < ARROWS; j++) {
          const x = reach * ((2 * (i + 0.5)) / ARROWS - 1), y = reach * ((2 * (j + 0.5)) / ARROWS - 1);
          this.mixture.denoise(x, y, this.s);
          const turn = Math.atan2(-(this.mixture.dy - y), this.mixture.dx - x), [u, v] = this.spot(x, y, side);
          const [ex, ey] = [u + long * Math.cos(turn), v + long * Math.sin(turn)];
          context.moveTo(u - long * Math.cos(turn), v - long * Math.sin(turn));
          context.lineTo(ex, ey);
          for (const by of [2.6, -2.6]) { context.moveTo(ex, ey); context.lineTo(ex + (long / 1.6) * Math.cos(turn + by), ey + (long / 1.6) * Math.sin(turn + by)); }
        }
      }
      context.stroke();
    }

    drawBorders(context, side, ratio) {
      const unit = side / SIDE, b = this.basins;
      Object.assign(context, { strokeStyle: "#111", lineWidth: 2 * ratio });
      context.beginPath();
      for (let i = 0; i < SIDE; i++) {
        for (let j = 0; j < SIDE; j++) {
          const k = i * SIDE + j;
          if (j + 1 < SIDE && b[k] !== b[k + 1]) { context.moveTo((j + 1) * unit, i * unit); context.lineTo((j + 1) * unit, (i + 1) * unit); }
          if (i + 1 < SIDE && b[k] !== b[k + SIDE]) { context.moveTo(j * unit, (i + 1) * unit); context.lineTo((j + 1) * unit, (i + 1) * unit); }
        }
      }
      context.stroke();
    }

    // Height in the tree's panel, 0 at the top, and back.
    heightIn(s) { const { low, high } = this.data; return 0.09 + (0.83 * Math.log(high / s)) / Math.log(high / low); }
    heightOf(v) { const { low, high } = this.data; return high * (low / high) ** clamp((v - 0.09) / 0.83, 0, 1); }

    // Places of the branches from left to right, so that joins do not cross.
    order() {
      const { births, joins } = this.tree, rank = [];
      const put = (n) => {
        rank.push(n);
        joins.filter((j) => j.parent === n).sort((a, b) => a.s - b.s).forEach((j) => put(j.child));
      };
      births.forEach((_, n) => { if (!joins.some((j) => j.child === n)) put(n); });
      return rank;
    }

    drawTree() {
      const ratio = window.devicePixelRatio || 1, width = this.side.clientWidth || 240;
      const context = sized(this.side, Math.max(240, Math.min(this.plane.clientHeight || 300, 1.2 * width)));
      const [w, h] = [this.side.width, this.side.height], ink = getComputedStyle(this.root).color;
      context.clearRect(0, 0, w, h);
      const { births, joins } = this.tree, rank = this.order(), left = 40 * ratio;
      const across = (n) => left + ((rank.indexOf(n) + 0.5) / rank.length) * (w - left - 6 * ratio), down = (s) => h * this.heightIn(s);
      Object.assign(context, { font: `${12 * ratio}px system-ui, sans-serif`, fillStyle: ink, strokeStyle: ink, textAlign: "right", textBaseline: "middle", lineWidth: ratio });
      [0.1, 0.3, 1, 3].filter((s) => s >= this.data.low && s <= this.data.high).forEach((s) => {
        context.globalAlpha = 0.9;
        context.fillText(`${s}`, left - 8 * ratio, down(s));
        context.globalAlpha = 0.2;
        context.strokeRect(left, down(s), w - left, 0);
      });
      context.globalAlpha = 0.9;
      context.textAlign = "left";
      context.fillText("σ/α", 4 * ratio, 8 * ratio);
      context.globalAlpha = 1;
      births.forEach((born, n) => this.drawBranch(context, n, born, joins.find((j) => j.child === n), across, down, ratio));
      this.drawLevel(context, across, down(this.s), left, w, ratio);
      const words = joins.map((j) => `${this.name(j.child)} joins ${this.name(j.parent)} at ${j.s.toPrecision(3)}`).join("; ");
      this.side.setAttribute("aria-label", `Mode tree over the noise, most noise above: ${words || "one mode"}. The level shown is ${this.s.toPrecision(2)}`);
    }

    name(n) { const atom = this.owner(n); return atom === null ? "the mode in between" : `the mode of atom ${atom + 1}`; }

    drawBranch(context, n, born, join, across, down, ratio) {
      const x = across(n), end = join ? down(join.s) : 0, atom = this.owner(n);
      for (const [style, width] of [["rgba(255,255,255,.75)", 5], [this.colour(n), 3]]) {   // a pale edge: read in the dark
        Object.assign(context, { strokeStyle: style, lineWidth: width * ratio, lineJoin: "round", lineCap: "round" });
        context.beginPath();
        context.moveTo(x, down(born));
        context.lineTo(x, end);
        if (join) context.lineTo(across(join.parent), end);
        context.stroke();
      }
      Object.assign(context, { fillStyle: getComputedStyle(this.root).color, textAlign: "center" });
      context.fillText(atom === null ? "●" : `${atom + 1}`, x, down(born) + 13 * ratio);
    }

    // Where we are: a line, and a dot on every branch that it cuts.
    drawLevel(context, across, y, left, w, ratio) {
      Object.assign(context, { strokeStyle: getComputedStyle(this.root).getPropertyValue("--pbv-accent"), lineWidth: 2 * ratio });
      context.setLineDash([6 * ratio, 4 * ratio]);
      context.beginPath();
      context.moveTo(left, y);
      context.lineTo(w, y);
      context.stroke();
      context.setLineDash([]);
      for (const n of this.numbers) {
        Object.assign(context, { fillStyle: this.colour(n), strokeStyle: "#fff", lineWidth: 2 * ratio });
        context.beginPath();
        context.arc(across(n), y, 6 * ratio, 0, 7);
        context.fill();
        context.stroke();
      }
    }
  }

  mountAll("pb-toy", async (root, data) => { root.toy = new Toy(root, data); root.dataset.ready = "yes"; });
})();
