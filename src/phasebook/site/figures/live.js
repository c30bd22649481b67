// The live diagram. Mounts every .pb-live that is not mounted yet; `live.py` writes the data, `live_model.js` computes.
// alpha points up and beta right; a window is [alpha0, alpha1, beta0, beta1].
(() => {
  "use strict";
  const SIDES = [[8, 1], [40, 3], [80, 6]];                 // points along a side, and every which is drawn as a picture
  const WHOLE = 40;
  const FAMILY_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#B8B03A", "#7A6FC2"];
  const BLENDED = 24;                                        // a mean of more pictures than this is drawn at half the size
  const REACH = 0.45;                                        // radius of the disc of latents, in its own width
  const { clamp, short, bytes, element, sized, player, follow, speaker, picture, mountAll } = phasebookWidget;

  // ---- the worker: one job at a time, coarse grids first; a new job ends the old one ---------------------------

  function workshop(library, sides, ask, tell) {
    const { Model, run } = library;
    let model, latest = 0;
    const turn = new MessageChannel(), waiting = [];
    turn.port1.onmessage = () => waiting.shift()();
    const breath = () => new Promise((go) => { waiting.push(go); turn.port2.postMessage(0); });
    const buffers = (f) => [f.trace, f.weights, f.atom, f.family].map((a) => a.buffer);
    ask(async ({ data, job, step, settings }) => {
      if (data) {                                            // meanwhile the page decodes its pictures; what has run once runs faster
        model = new Model(data);
        const anchors = [0, 1, 2].map((k) => data.covariance.map((_, b) => Number(b === k)));
        await run(model, 4, 1, { anchors, window: [0, 1, 0, 1] }, () => {});
        return;
      }
      latest = job;
      for (const [side, every] of sides) {
        const frames = [];
        const start = performance.now();
        const pause = side === sides[0][0] ? null : async () => { await breath(); return latest === job; };
        const show = (frame) => { if (pause || frame.step === step) tell({ job, frames: [frame] }, buffers(frame)); else frames.push(frame); };
        if (!(await run(model, side, every, settings, show, pause))) return;
        tell({ job, frames, side, spent: performance.now() - start }, frames.flatMap(buffers));
        await breath();
        if (latest !== job) return;
      }
    });
  }

  function worker(heard) {
    const source = `const library = (${phasebookLiveModel})();
      (${workshop})(library, ${JSON.stringify(SIDES)}, (act) => { onmessage = (e) => act(e.data); }, (m, t) => postMessage(m, t));`;
    try {
      const made = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
      made.onmessage = (event) => heard(event.data);
      return (message) => made.postMessage(message);
    } catch {                                                // no workers here: the page itself computes
      let act;
      workshop(phasebookLiveModel(), SIDES, (f) => { act = f; }, heard);
      return (message) => setTimeout(act, 0, message);
    }
  }

  // ---- pictures: weighted means of the atoms' small pictures ----------------------------------------------------

  class Painter {
    constructor(data, sprite) {
      const { cell, columns, names } = data;
      Object.assign(this, { cell, count: names.length });
      const canvas = document.createElement("canvas");
      Object.assign(canvas, { width: sprite.width, height: sprite.height });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(sprite, 0, 0);
      const all = context.getImageData(0, 0, sprite.width, sprite.height).data;
      const half = cell / 2;
      this.fine = new Float32Array(this.count * cell * cell * 3);
      this.blurred = new Float32Array(this.count * half * half * 3);
      for (let n = 0; n < this.count; n++) {
        const left = (n % columns) * cell, top = Math.floor(n / columns) * cell;
        for (let y = 0; y < cell; y++) {
          for (let x = 0; x < cell; x++) {
            for (let c = 0; c < 3; c++) {
              const v = all[((top + y) * sprite.width + left + x) * 4 + c];
              this.fine[((n * cell + y) * cell + x) * 3 + c] = v;
              this.blurred[((n * half + (y >> 1)) * half + (x >> 1)) * 3 + c] += v / 4;
            }
          }
        }
      }
    }

    // sum_i w_i x_i into a square of an ImageData.
    mean(weights, at, image, left, top) {
      const used = [];
      let total = 0;
      for (let n = 0; n < this.count; n++) if (weights[at + n] > 5e-4) { used.push(n); total += weights[at + n]; }
      const { cell } = this;
      const step = used.length > BLENDED ? 2 : 1, side = cell / step, source = step === 2 ? this.blurred : this.fine;
      const size = side * side * 3;
      const sum = (this.room ??= new Float32Array(cell * cell * 3)).fill(0, 0, size);
      for (const n of used) {
        const w = weights[at + n] / total, from = n * size;
        for (let k = 0; k < size; k++) sum[k] += w * source[from + k];
      }
      for (let y = 0; y < cell; y++) {
        for (let x = 0; x < cell; x++) {
          const to = ((top + y) * image.width + left + x) * 4;
          const from = ((step === 2 ? y >> 1 : y) * side + (step === 2 ? x >> 1 : x)) * 3;
          image.data[to] = sum[from];
          image.data[to + 1] = sum[from + 1];
          image.data[to + 2] = sum[from + 2];
          image.data[to + 3] = 255;
        }
      }
    }
  }

  // ---- the diagram ----------------------------------------------------------------------------------------------

  class Live {
    constructor(root, data, sprite, still, line) {
      Object.assign(this, { root, data, step: data.step, job: 0, frames: {}, times: {} });
      this.library = phasebookLiveModel();
      this.model = new this.library.Model(data);
      this.painter = new Painter(data, sprite);
      this.palette = bytes(data.colours);
      this.limits = data.limits;
      this.reset();
      this.build();
      this.listen();
      this.send = line.send;
      line.take = (message) => this.take(message);
      this.open(still);
      this.compute();
    }

    // Until something is computed the panels show the two halves of the picture that stood here before.
    open(still) {
      this.asked = performance.now();
      const side = still.naturalHeight;
      [this.pictures, this.map].forEach((canvas, k) => {
        const left = k * (still.naturalWidth - side);
        sized(canvas).drawImage(still, left, 0, side, side, 0, 0, canvas.width, canvas.height);
        this.drawPoint(canvas);
      });
      this.times.opened = performance.now() - this.asked;
    }

    reset() {
      this.window = [0, 1, 0, 1];
      this.point = [0.5, 0.5];
      this.places = this.data.anchors.map((k) => this.node(k));
      this.off = new Set();
      this.wanted = [];
      this.nats = 12;
    }

    // ---- settings ----

    node(k) {
      const turn = (2 * Math.PI * k) / this.model.bank - Math.PI / 2;
      return [0.5 + REACH * Math.cos(turn), 0.5 + REACH * Math.sin(turn)];
    }

    // The latent of a place on the disc: that of a mark on its rim, and between them a mixture by distance.
    mix([x, y]) {
      const away = Array.from({ length: this.model.bank }, (_, k) => Math.hypot(x - this.node(k)[0], y - this.node(k)[1]));
      const at = away.findIndex((d) => d < 0.02);
      return this.model.normalised(away.map((d, k) => (at >= 0 ? Number(k === at) : d ** -4)));
    }

    get prior() {
      if (!this.off.size && !(this.wanted.length && this.nats)) return null;
      const prior = Float64Array.from(this.data.family, (f) => (this.off.has(f) ? -Infinity : 0));
      for (const i of this.wanted) prior[i] += this.nats;
      return prior;
    }

    get settings() { return { anchors: this.places.map((p) => this.mix(p)), window: this.window, prior: this.prior }; }

    // The atoms that a prompt names, as `ExactModel.prompt` reads it.
    named(text) {
      const wanted = text.trim().toLowerCase(), { names, families, family } = this.data;
      if (!wanted) return [];
      const all = names.map((name, i) => [name.toLowerCase(), families[family[i]].toLowerCase(), i]);
      const whole = all.filter(([name, group]) => name === wanted || group === wanted);
      return (whole.length ? whole : all.filter(([name]) => name.includes(wanted))).map(([, , i]) => i);
    }

    compute() {
      this.asked = performance.now();
      this.send({ job: ++this.job, step: this.step, settings: this.settings });
      if (this.times.first) this.follow();                   // the point's own course comes after the first picture
    }

    soon() {
      this.due ??= requestAnimationFrame(() => { this.due = null; this.compute(); });
    }

    take({ job, frames, side }) {
      if (job !== this.job) return;
      if (this.shown !== job) { this.frames = {}; this.shown = job; }
      for (const frame of frames) (this.frames[frame.side] ??= [])[frame.step] = frame;
      const now = performance.now() - this.asked;
      if (frames.some((f) => f.step === this.step)) {
        this.draw();
        if (this.drawn !== job) { this.drawn = job; this.times.first = performance.now() - this.asked; this.root.dataset.ready = "yes"; }
      }
      if (side === SIDES[0][0] && !this.path) setTimeout(() => this.follow());
      if (side === WHOLE) { this.times.whole = now; this.root.dataset.whole = job; }
      if (side) {
        const count = this.data.family.filter((f) => !this.off.has(f)).length;
        this.note.textContent = `${count} pictures, ${side} × ${side} points, ${this.model.steps} steps, computed here in ${(now / 1000).toFixed(2)} s`;
      }
    }

    // The finest frame of the present step.
    get frame() { return Object.keys(this.frames).sort((a, b) => b - a).map((s) => this.frames[s][this.step]).find(Boolean); }

    // ---- the page ----

    build() {
      const { root, data } = this;
      root.replaceChildren();
      const bar = element(root, "div", { class: "pbv-bar" });
      this.play = element(bar, "button", { type: "button" }, "Lower the noise");
      const noise = element(bar, "label", { class: "pbv-noise" }, "Noise");
      this.slider = element(noise, "input", { type: "range", min: 0, max: this.model.steps - 1, step: 1, value: this.step });
      this.level = element(noise, "output");
      const kind = element(bar, "label", {}, "Map ");
      this.kind = element(kind, "select");
      for (const [value, label] of [["trace", "boundaries (log tr G)"], ["atom", "phases by picture"], ["family", "phases by family"]]) element(this.kind, "option", { value }, label);
      const panels = element(root, "div", { class: "pbv-panels" });
      this.pictures = element(panels, "canvas", { tabindex: 0, role: "application", "aria-roledescription": "slice of latent space",
        "aria-label": `${data.alt} Arrow keys move the point, with Shift the window; plus and minus zoom; Page Up and Page Down change the noise.` });
      this.map = element(panels, "canvas", { role: "img", "aria-label": "Map of the same slice" });
      const course = element(root, "div", { class: "pbv-course" });
      this.here = element(course, "p");
      this.strip = element(course, "canvas", { role: "img" });
      this.buildControls(element(root, "div", { class: "pbv-controls" }));
      this.speak = speaker(root);
    }

    buildControls(parent) {
      this.buildDisc(element(parent, "div", { class: "pbv-disc", role: "group", "aria-label": "Anchors of the plane on a disc of latents" }));
      const choices = element(parent, "div", { class: "pbv-choices" });
      const prompt = element(choices, "div");
      const list = `pbv-names-${Math.random().toString(36).slice(2)}`;
      const words = element(prompt, "label", {}, "Prompt");
      this.text = element(words, "input", { type: "text", list, placeholder: "moons, cat, …", autocomplete: "off", spellcheck: "false" });
      const options = element(prompt, "datalist", { id: list });
      this.data.families.forEach((name) => element(options, "option", { value: name }));
      const bias = element(prompt, "label", {}, "bias");
      this.bias = element(bias, "input", { type: "range", min: -12, max: 24, step: 1, value: this.nats });
      this.biasText = element(prompt, "output", { class: "pbv-quiet" });
      const frame = element(choices, "div", { class: "pbv-window", role: "group", "aria-label": "Window" });
      element(frame, "span", {}, "Window");
      for (const [label, text, act] of [["up", "↑", [0.2, 0]], ["down", "↓", [-0.2, 0]], ["left", "←", [0, -0.2]], ["right", "→", [0, 0.2]]]) {
        element(frame, "button", { type: "button", "aria-label": `Move the window ${label}` }, text).addEventListener("click", () => this.pan(...act));
      }
      for (const [label, text, factor] of [["closer", "+", 0.7], ["wider", "−", 1 / 0.7]]) {
        element(frame, "button", { type: "button", "aria-label": `Look ${label}` }, text).addEventListener("click", () => this.zoom(factor));
      }
      this.again = element(frame, "button", { type: "button" }, "Start again");
      const families = element(choices, "details", { class: "pbv-families" });
      this.familiesText = element(families, "summary");
      const boxes = element(families, "div");
      this.boxes = this.data.families.map((name, f) => {
        const label = element(boxes, "label");
        const box = element(label, "input", { type: "checkbox" });
        label.append(` ${name}`);
        box.checked = true;
        box.addEventListener("change", () => this.toggle(f, box));
        return box;
      });
      element(choices, "p", { class: "pbv-quiet" }, "Drag z₀, z₁, z₂ over the disc: its rim holds random latents, its inside their mixtures. Drag a panel to move the window.");
      this.note = element(choices, "p", { class: "pbv-quiet" });
    }

    buildDisc(disc) {
      this.disc = disc;
      const space = "http://www.w3.org/2000/svg";
      const svg = document.createElementNS(space, "svg");
      svg.setAttribute("viewBox", "0 0 100 100");
      svg.setAttribute("aria-hidden", "true");
      const draw = (tag, attributes) => { const n = document.createElementNS(space, tag); for (const [k, v] of Object.entries(attributes)) n.setAttribute(k, v); svg.append(n); return n; };
      draw("circle", { cx: 50, cy: 50, r: 100 * REACH });
      for (let k = 0; k < this.model.bank; k++) {
        const [x, y] = this.node(k).map((v) => 100 * v);
        draw("circle", { cx: x, cy: y, r: 2.2, style: "fill: currentColor; stroke: none" });
        draw("text", { x: 50 + (x - 50) * 0.7, y: 50 + (y - 50) * 0.7 }).textContent = k + 1;
      }
      disc.append(svg);
      this.handles = [0, 1, 2].map((a) => element(disc, "button", { type: "button", style: `background: var(--pbv-z${a})` }, `z${"₀₁₂"[a]}`));
      this.place();
    }

    place() {
      this.handles.forEach((handle, a) => {
        const [x, y] = this.places[a];
        Object.assign(handle.style, { left: `${100 * x}%`, top: `${100 * y}%` });
        const mix = this.mix(this.places[a]);
        const order = mix.map((c, k) => [c, k + 1]).sort((p, q) => q[0] - p[0]);
        const text = order[0][0] > 0.999 ? `latent ${order[0][1]}` : `a mixture, mostly of latents ${order[0][1]} and ${order[1][1]}`;
        handle.setAttribute("aria-label", `Anchor z${a}: ${text}. Arrow keys move it, Page Down takes the next latent`);
      });
    }

    listen() {
      this.slider.addEventListener("input", () => this.setStep(Number(this.slider.value)));
      this.kind.addEventListener("change", () => this.draw());
      const last = this.model.steps - 1;
      player(this.play, 160, () => this.setStep(this.step >= last ? 0 : this.step), () => { this.setStep(this.step + 1); return this.step < last; });
      this.again.addEventListener("click", () => this.restart());
      this.bias.addEventListener("input", () => { this.nats = Number(this.bias.value); this.tellBias(); if (this.wanted.length) this.soon(); });
      this.text.addEventListener("input", () => this.ask());
      for (const canvas of [this.pictures, this.map]) this.listenPanel(canvas);
      this.pictures.addEventListener("keydown", (event) => this.key(event));
      this.strip.addEventListener("click", (event) => {
        const box = this.strip.getBoundingClientRect();
        const k = Math.floor(((event.clientX - box.left) / box.width) * this.stripSteps.length);
        this.setStep(this.stripSteps[clamp(k, 0, this.stripSteps.length - 1)]);
      });
      this.handles.forEach((handle, a) => this.listenHandle(handle, a));
      follow(this.root, () => { this.draw(); this.drawStrip(); });
      this.tellBias();
      this.tellFamilies();
      this.tellStep();
    }

    listenPanel(canvas) {
      const share = (event) => {
        const box = canvas.getBoundingClientRect();
        return [1 - (event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width];
      };
      let from = null;                                       // of the first finger; a second one makes a gesture of the page's
      canvas.addEventListener("pointerdown", (event) => { if (event.button || !event.isPrimary) return; from = { at: share(event), window: [...this.window], moved: false }; canvas.setPointerCapture(event.pointerId); });
      canvas.addEventListener("pointermove", (event) => {
        if (!event.isPrimary) return;
        const here = share(event);
        if (!from) { if (event.pointerType !== "touch") this.look(...here); return; }
        const by = here.map((v, k) => v - from.at[k]);
        if (!from.moved && Math.hypot(...by) < 0.015) return;
        from.moved = true;
        canvas.classList.add("pbv-pan");
        const [a0, a1, b0, b1] = from.window;
        const [up, right] = [by[0] * (a1 - a0), by[1] * (b1 - b0)];
        this.window = [a0 - up, a1 - up, b0 - right, b1 - right];
        this.soon();
      });
      const end = (event) => {
        if (!event.isPrimary) return;
        if (from?.moved && event.type === "pointercancel") { this.window = from.window; this.soon(); }       // it was the page's
        if (from && !from.moved && event.type === "pointerup") this.look(...share(event));
        from = null;
        canvas.classList.remove("pbv-pan");
      };
      canvas.addEventListener("pointerup", end);
      canvas.addEventListener("pointercancel", end);
    }

    listenHandle(handle, a) {
      const move = (x, y) => {
        const [dx, dy] = [x - 0.5, y - 0.5], long = Math.max(Math.hypot(dx, dy) / REACH, 1);
        let place = [0.5 + dx / long, 0.5 + dy / long];
        for (let k = 0; k < this.model.bank; k++) if (Math.hypot(place[0] - this.node(k)[0], place[1] - this.node(k)[1]) < 0.035) place = this.node(k);
        this.places[a] = place;
        this.place();
        this.soon();
      };
      let held = false;
      handle.addEventListener("pointerdown", (event) => { if (event.button) return; held = true; handle.setPointerCapture(event.pointerId); });
      handle.addEventListener("pointermove", (event) => {
        if (!held) return;
        const box = this.disc.getBoundingClientRect();
        move((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
      });
      for (const name of ["pointerup", "pointercancel"]) handle.addEventListener(name, () => { held = false; });
      handle.addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        const by = { ArrowUp: [0, -0.05], ArrowDown: [0, 0.05], ArrowLeft: [-0.05, 0], ArrowRight: [0.05, 0] }[event.key];
        const [x, y] = this.places[a];
        if (by) move(x + by[0], y + by[1]);
        else if (event.key === "PageDown" || event.key === "PageUp") {
          const turn = Math.atan2(y - 0.5, x - 0.5) + Math.PI / 2;
          const near = Math.round((turn / (2 * Math.PI)) * this.model.bank), one = event.key === "PageDown" ? 1 : -1;
          move(...this.node((near + one + 2 * this.model.bank) % this.model.bank));
        } else return;
        event.preventDefault();
      });
    }

    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const move = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key];
      if (move && event.shiftKey) this.pan(0.1 * move[0], 0.1 * move[1]);
      else if (move) {
        const [a0, a1, b0, b1] = this.window;
        const at = [(this.point[0] - a0) / (a1 - a0), (this.point[1] - b0) / (b1 - b0)];
        this.look(clamp(at[0] + move[0] / 40, 0, 1), clamp(at[1] + move[1] / 40, 0, 1));
      } else if (event.key === "+" || event.key === "=") this.zoom(0.7);
      else if (event.key === "-") this.zoom(1 / 0.7);
      else if (event.key === "PageDown") this.setStep(this.step + 1);
      else if (event.key === "PageUp") this.setStep(this.step - 1);
      else if (event.key === "Home") this.restart();
      else return;
      event.preventDefault();
      this.say();
    }

    // ---- what the reader does ----

    setStep(step) {
      this.step = clamp(step, 0, this.model.steps - 1);
      this.slider.value = this.step;
      this.tellStep();
      this.draw();
      this.drawStrip();
    }

    look(up, right) {
      const [a0, a1, b0, b1] = this.window;
      this.point = [a0 + up * (a1 - a0), b0 + right * (b1 - b0)];
      this.looking ??= requestAnimationFrame(() => { this.looking = null; this.follow(); this.draw(); });
    }

    pan(up, right) {
      const [a0, a1, b0, b1] = this.window, [u, r] = [up * (a1 - a0), right * (b1 - b0)];
      this.window = [a0 + u, a1 + u, b0 + r, b1 + r];
      this.point = [this.point[0] + u, this.point[1] + r];
      this.compute();
    }

    zoom(factor) {
      const [a0, a1, b0, b1] = this.window;
      const [a, b, u, r] = [(a0 + a1) / 2, (b0 + b1) / 2, ((a1 - a0) / 2) * factor, ((b1 - b0) / 2) * factor];
      if (u < 1e-5 || u > 1e3) return;                       // closer, single precision ends
      this.window = [a - u, a + u, b - r, b + r];
      this.point = [clamp(this.point[0], a - u, a + u), clamp(this.point[1], b - r, b + r)];
      this.compute();
    }

    toggle(family, box) {
      if (box.checked) this.off.delete(family);
      else if (this.off.size < this.data.families.length - 1) this.off.add(family);
      else box.checked = true;                               // one family stays
      this.tellFamilies();
      this.compute();
    }

    ask() {
      this.wanted = this.named(this.text.value);
      this.tellBias();
      this.soon();
    }

    restart() {
      this.reset();
      this.boxes.forEach((box) => { box.checked = true; });
      this.text.value = "";
      this.bias.value = this.nats;
      this.place();
      this.tellFamilies();
      this.tellBias();
      this.setStep(this.data.step);
      this.compute();
    }

    // ---- words ----

    tellStep() {
      const noise = (1 / this.model.ratio[this.step]).toPrecision(2);
      this.level.textContent = `σ/α = ${noise}, step ${this.step}`;
      this.slider.setAttribute("aria-valuetext", `noise over signal ${noise}, step ${this.step} of ${this.model.steps - 1}`);
    }

    tellFamilies() {
      const all = this.data.families.length;
      this.familiesText.textContent = `Families of pictures: ${all - this.off.size} of ${all}`;
    }

    tellBias() {
      const empty = !this.text.value.trim();
      const sign = this.nats > 0 ? "+" : this.nats < 0 ? "−" : "";
      const count = this.wanted.length;
      this.biasText.textContent = empty ? "no prompt" : count ? `${sign}${Math.abs(this.nats)} nats on ${count} picture${count > 1 ? "s" : ""}` : "names no picture";
    }

    likeliest() {
      const n = this.model.count, from = this.step * n;
      const order = Array.from({ length: n }, (_, i) => [this.path[from + i], i]).sort((p, q) => q[0] - p[0]).slice(0, 3);
      return order.filter(([w]) => w > 0.01).map(([w, i]) => `${this.data.names[i]} ${Math.round(100 * w)} %`).join(", ") || "no picture above 1 %";
    }

    say() { this.speak(() => `Step ${this.step}: ${this.here.textContent}`); }

    // ---- drawing ----

    // The posterior of the point, at all steps: exactly there, not at a grid point.
    follow() {
      this.path = this.library.course(this.model, this.places.map((p) => this.mix(p)), this.point, this.prior);
      this.drawStrip();
    }

    draw() {
      const { frame } = this;
      if (!frame) return;
      this.drawPictures(frame);
      this.drawMap(frame);
      for (const canvas of [this.pictures, this.map]) this.drawPoint(canvas);
    }

    drawPictures(frame) {
      const { cell, count } = this.painter, { across } = frame;
      if (frame.drawn === undefined) {
        const image = new ImageData(across * cell, across * cell);
        for (let i = 0; i < across; i++) {
          for (let j = 0; j < across; j++) this.painter.mean(frame.weights, (i * across + j) * count, image, j * cell, (across - 1 - i) * cell);
        }
        frame.drawn = image;
      }
      this.paste(this.pictures, frame.drawn, true);
    }

    paste(canvas, image, smooth) {
      const context = sized(canvas);
      this.sheet ??= document.createElement("canvas");
      Object.assign(this.sheet, { width: image.width, height: image.height });
      this.sheet.getContext("2d").putImageData(image, 0, 0);
      Object.assign(context, { imageSmoothingEnabled: smooth, imageSmoothingQuality: "high" });
      context.drawImage(this.sheet, 0, 0, canvas.width, canvas.height);
    }

    drawMap(frame) {
      const { side } = frame, image = new ImageData(side, side), by = this.kind.value, [low, high] = this.limits;
      for (let i = 0; i < side; i++) {
        for (let j = 0; j < side; j++) {
          const k = i * side + j, to = ((side - 1 - i) * side + j) * 4;
          const level = Math.round(255 * clamp((Math.log(this.data.floor + frame.trace[k]) - low) / (high - low), 0, 1));
          const colour = by === "trace" ? this.palette.subarray(3 * level, 3 * level + 3) : this.tint(frame[by][k], by);
          image.data.set(colour, to);
          image.data[to + 3] = 255;
        }
      }
      this.paste(this.map, image, false);
      if (by !== "trace") this.drawBorders(frame, by);
      const words = { trace: "Boundaries, log tr G", atom: "Phases by likeliest picture", family: "Phases by likeliest family" }[by];
      this.map.setAttribute("aria-label", `${words}, at step ${this.step}: ${new Set(frame.atom).size} pictures are the likeliest somewhere`);
    }

    tint(value, by) {
      const family = by === "atom" ? this.data.family[value] : value;
      const text = FAMILY_COLOURS[family % FAMILY_COLOURS.length];
      const pale = (family >= FAMILY_COLOURS.length ? 0.45 : 0.15) + (by === "atom" ? 0.06 * ((value * 7) % 6) : 0);
      return [1, 3, 5].map((at) => { const v = parseInt(text.slice(at, at + 2), 16); return v + (255 - v) * pale; });
    }

    drawBorders({ side, ...frame }, by) {
      const context = this.map.getContext("2d"), values = frame[by], unit = this.map.width / side;
      Object.assign(context, { strokeStyle: "#111", lineWidth: Math.max(1.5, unit / 6) });
      context.beginPath();
      for (let i = 0; i < side; i++) {
        for (let j = 0; j < side; j++) {
          const k = i * side + j, top = (side - 1 - i) * unit, left = j * unit;
          if (j + 1 < side && values[k] !== values[k + 1]) { context.moveTo(left + unit, top); context.lineTo(left + unit, top + unit); }
          if (i + 1 < side && values[k] !== values[k + side]) { context.moveTo(left, top); context.lineTo(left + unit, top); }
        }
      }
      context.stroke();
    }

    drawPoint(canvas) {
      const context = canvas.getContext("2d"), [a0, a1, b0, b1] = this.window, ratio = window.devicePixelRatio || 1;
      const spot = (alpha, beta) => [((beta - b0) / (b1 - b0)) * canvas.width, (1 - (alpha - a0) / (a1 - a0)) * canvas.height];
      const ring = (x, y, r, colour, width) => { Object.assign(context, { strokeStyle: colour, lineWidth: width * ratio }); context.beginPath(); context.arc(x, y, r * ratio, 0, 7); context.stroke(); };
      [[0, 0], [1, 0], [0, 1]].forEach((anchor, k) => {
        const [x, y] = spot(...anchor);
        const style = getComputedStyle(this.root).getPropertyValue(`--pbv-z${k}`);
        context.fillStyle = style;
        context.beginPath();
        context.arc(x, y, 7 * ratio, 0, 7);
        context.fill();
        ring(x, y, 7, "#fff", 2);
      });
      const [x, y] = spot(...this.point);
      ring(x, y, 8, "#000", 4);
      ring(x, y, 8, "#fff", 2);
    }

    drawStrip() {
      if (!this.path) return;
      const { cell, count } = this.painter, steps = this.model.steps, width = this.strip.clientWidth || 600;
      const shown = clamp(Math.round(width / 52), 6, 15);
      this.stripSteps = Array.from({ length: shown }, (_, k) => Math.round((k * (steps - 1)) / (shown - 1)));
      const image = new ImageData(shown * cell, cell);
      this.stripSteps.forEach((s, k) => this.painter.mean(this.path, s * count, image, k * cell, 0));
      const context = sized(this.strip, Math.round(width / shown));
      this.sheet ??= document.createElement("canvas");
      Object.assign(this.sheet, { width: image.width, height: image.height });
      this.sheet.getContext("2d").putImageData(image, 0, 0);
      Object.assign(context, { imageSmoothingEnabled: true, imageSmoothingQuality: "high" });
      context.drawImage(this.sheet, 0, 0, this.strip.width, this.strip.height);
      const near = this.stripSteps.map((s) => Math.abs(s - this.step)), at = near.indexOf(Math.min(...near)), unit = this.strip.width / shown;
      Object.assign(context, { strokeStyle: getComputedStyle(this.root).getPropertyValue("--pbv-accent"), lineWidth: 4 });
      context.strokeRect(at * unit + 2, 2, unit - 4, this.strip.height - 4);
      const digits = clamp(Math.round(2 - Math.log10(this.window[1] - this.window[0])), 2, 8);     // more in a closer window
      const [alpha, beta] = this.point.map((v) => short(v, digits));
      this.here.textContent = `α ${alpha}, β ${beta}: ${this.likeliest()}`;
      this.strip.setAttribute("aria-label", `How the picture at the point comes about, at steps ${this.stripSteps.join(", ")}`);
    }
  }

  // The worker decodes the model while the page decodes its pictures.
  mountAll("pb-live", async (root, data) => {
    const { gram, products, covariance, alpha, sigma, unit, family } = data;
    const line = { take: null, send: worker((message) => line.take(message)) };
    line.send({ data: { gram, products, covariance, alpha, sigma, unit, family } });
    const [sprite, still] = await Promise.all([data.sprite, root.querySelector("img").src].map(picture));
    root.live = new Live(root, data, sprite, still, line);
  });
})();
