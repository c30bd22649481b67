// The explorer of a latent slice. Mounts every .pb-explorer that is not mounted yet; `explorer.py` writes the data.
// alpha is index i (up), beta index j (right), t the step; pins are points {i, j}.
(() => {
  "use strict";
  const PIN_COLOURS = ["#C75400", "#0072B2", "#00805D", "#B0598F", "#8A6500", "#6B5FB0"];   // white reads on them
  const MARGIN = { left: 46, right: 64, top: 10, bottom: 40 };
  const { clamp, bytes, element, speaker, picture, mountAll } = phasebookWidget;

  async function inflate(text, width) {
    const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
    const out = new Uint8Array(await new Response(stream).arrayBuffer());
    for (let k = 0; k < out.length; k++) if (k % width) out[k] += out[k - 1];   // rows are differences, modulo 256
    return out;
  }

  // A canvas sized for the screen's pixels; returns its context in CSS pixels.
  function sized(canvas, width, height, setStyle = true) {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    if (setStyle) Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    return context;
  }

  function short(v, range) {
    const digits = clamp(2 - Math.floor(Math.log10(range)), 0, 6);
    const size = Math.abs(v);
    const text = size >= 1e5 || (size > 0 && size < 1e-4) ? v.toExponential(2) : v.toFixed(digits);
    return text.replace("-", "−");
  }

  class Explorer {
    constructor(root, data, maps, atlas) {
      Object.assign(this, { root, data, maps, atlas });
      [this.T, this.A, this.B] = data.grid;
      this.palette = bytes(data.colours);
      this.map = 0;
      this.t = clamp(data.start_step, 0, this.T - 1);
      Object.assign(this, this.nearest(...data.start));
      this.pins = data.pins.slice(0, PIN_COLOURS.length).map((p, colour) => ({ ...this.nearest(...p), colour }));
      this.build();
      this.listen();
      this.paintMap();
      this.draw();
      this.drawPins();
    }

    nearest(alpha, beta) {
      const [a0, a1, b0, b1] = this.data.extent;
      return { i: clamp(Math.round(((alpha - a0) / (a1 - a0)) * (this.A - 1)), 0, this.A - 1),
               j: clamp(Math.round(((beta - b0) / (b1 - b0)) * (this.B - 1)), 0, this.B - 1) };
    }
    alpha(i) { const [a0, a1] = this.data.extent; return a0 + ((a1 - a0) * i) / (this.A - 1); }
    beta(j) { const [, , b0, b1] = this.data.extent; return b0 + ((b1 - b0) * j) / (this.B - 1); }
    value(t, i, j, m = this.map) {
      const { low, high } = this.data.maps[m];
      return low + ((high - low) * this.maps[m][(t * this.A + i) * this.B + j]) / 255;
    }
    text(m, t, i, j) { return short(this.value(t, i, j, m), this.data.maps[m].high - this.data.maps[m].low); }
    at({ i, j }) {
      const [a0, a1, b0, b1] = this.data.extent;
      return [short(this.alpha(i), a1 - a0), short(this.beta(j), b1 - b0)];
    }
    where(point) { const [alpha, beta] = this.at(point); return `α ${alpha}, β ${beta}`; }
    tile({ i, j }) {
      const { rows, cols } = this.data.tiles;
      return { row: Math.round((i / (this.A - 1)) * (rows - 1)), col: Math.round((j / (this.B - 1)) * (cols - 1)) };
    }
    frame(t) {   // the shown step nearest to t
      const distance = this.data.steps.map((s) => Math.abs(s - t));
      return distance.indexOf(Math.min(...distance));
    }

    build() {
      const { data, root } = this;
      root.replaceChildren();
      const bar = element(root, "div", { class: "pbx-bar" });
      const choice = element(bar, "label", {}, "Map");
      this.select = element(choice, "select");
      data.maps.forEach((m, k) => element(this.select, "option", { value: k }, m.label));
      const step = element(bar, "label", { class: "pbx-step" }, "Step");
      this.slider = element(step, "input", { type: "range", min: 0, max: this.T - 1, step: 1, value: this.t });
      this.stepText = element(step, "output");
      const main = element(root, "div", { class: "pbx-main" });
      this.mapCanvas = element(element(main, "div", { class: "pbx-map" }), "canvas", {
        tabindex: 0, role: "application", "aria-roledescription": "map of a slice",
        "aria-label": `${data.alt} Arrow keys move the point, Enter pins it.` });
      this.view = element(main, "div", { class: "pbx-view" });
      this.image = element(this.view, "canvas", { role: "img" });
      this.readout = element(this.view, "dl");
      this.pinButton = element(this.view, "button", { type: "button" }, "Pin this point");
      this.pinList = element(root, "div", { class: "pbx-pins" });
      const help = element(root, "details", { class: "pbx-help" });
      element(help, "summary", {}, "Keys");
      element(help, "div", {}, "On the map: arrow keys move from image to image (α up, β right), with Shift by one grid " +
        "point; Page Up and Page Down change the step; Enter or a click pins the point or unpins it.");
      this.speak = speaker(root);
    }

    listen() {
      const { mapCanvas: canvas } = this;
      const follow = (event) => {
        const box = canvas.getBoundingClientRect();
        const u = (event.clientX - box.left - MARGIN.left) / this.side;
        const v = (event.clientY - box.top - MARGIN.top) / this.side;
        if (u < 0 || v < 0 || u > 1 || v > 1) return false;
        this.j = clamp(Math.floor(u * this.B), 0, this.B - 1);
        this.i = clamp(Math.floor((1 - v) * this.A), 0, this.A - 1);
        this.draw();
        return true;
      };
      canvas.addEventListener("pointermove", follow);
      canvas.addEventListener("pointerdown", follow);
      // a finger's tap moves the point (the button pins it), a mouse's click pins
      canvas.addEventListener("click", (event) => { if (follow(event) && event.pointerType !== "touch") this.togglePin(); });
      canvas.addEventListener("keydown", (event) => this.key(event));
      this.pinButton.addEventListener("click", () => this.togglePin());
      this.slider.addEventListener("input", () => this.setStep(Number(this.slider.value)));
      this.select.addEventListener("change", () => { this.map = Number(this.select.value); this.paintMap(); this.draw(); this.drawPins(); });
      const redraw = () => { this.draw(); this.drawPins(); };
      let width = 0;
      new ResizeObserver(([entry]) => {
        if (Math.abs(entry.contentRect.width - width) < 1) return;
        width = entry.contentRect.width;
        requestAnimationFrame(redraw);
      }).observe(this.root);
      const themes = new MutationObserver(() => requestAnimationFrame(redraw));
      themes.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
      themes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
    }

    key(event) {
      const { rows, cols } = this.data.tiles;
      const move = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key];
      const turn = { PageUp: 1, PageDown: -1 }[event.key];
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (move) {
        const go = (k, points, tiles, by) => {
          if (!by) return k;
          if (event.shiftKey || tiles < 2) return clamp(k + by, 0, points - 1);
          const place = Math.round((k / (points - 1)) * (tiles - 1)) + by;
          return Math.round((clamp(place, 0, tiles - 1) / (tiles - 1)) * (points - 1));
        };
        this.i = go(this.i, this.A, rows, move[0]);
        this.j = go(this.j, this.B, cols, move[1]);
        this.draw();
      } else if (turn) this.setStep(this.t + turn);
      else if (event.key === "Enter" || event.key === " ") this.togglePin();
      else return;
      event.preventDefault();
      this.say();
    }

    setStep(t) {
      this.t = clamp(t, 0, this.T - 1);
      this.slider.value = this.t;
      this.paintMap();
      this.draw();
      this.drawPins();
    }

    togglePin() {
      const here = this.tile(this);
      const same = this.pins.findIndex((p) => { const q = this.tile(p); return q.row === here.row && q.col === here.col; });
      if (same >= 0) this.pins.splice(same, 1);
      else {
        const kept = this.pins.slice(1 - PIN_COLOURS.length);      // the oldest makes room
        const colour = PIN_COLOURS.findIndex((_, c) => !kept.some((p) => p.colour === c));
        this.pins = [...kept, { i: this.i, j: this.j, colour }];
      }
      this.draw();
      this.drawPins();
      this.say(same >= 0 ? "Unpinned. " : `Pinned, ${this.pins.length} in all. `);
    }

    say(first = "") {
      const values = () => this.data.maps.map((m, k) => `${m.label} ${this.text(k, this.t, this.i, this.j)}`).join(", ");
      this.speak(() => `${first}${this.where(this)}, step ${this.t}: ${values()}`);
    }

    // The map of this step, one pixel a grid point.
    paintMap() {
      const { A, B, palette } = this;
      const picture = new ImageData(B, A);
      const levels = this.maps[this.map];
      for (let i = 0; i < A; i++) {
        for (let j = 0; j < B; j++) {
          const level = levels[(this.t * A + i) * B + j];
          const at = ((A - 1 - i) * B + j) * 4;   // alpha points up
          for (let c = 0; c < 3; c++) picture.data[at + c] = palette[level * 3 + c];
          picture.data[at + 3] = 255;
        }
      }
      this.picture ??= document.createElement("canvas");
      this.picture.width = B;
      this.picture.height = A;
      this.picture.getContext("2d").putImageData(picture, 0, 0);
    }

    draw() {
      const ink = getComputedStyle(this.root).color;
      const width = Math.max(200, this.mapCanvas.parentElement.clientWidth);
      this.side = Math.min(width - MARGIN.left - MARGIN.right, 460);
      const context = sized(this.mapCanvas, width, this.side + MARGIN.top + MARGIN.bottom);
      this.drawAxes(context, ink);
      context.translate(MARGIN.left, MARGIN.top);
      context.imageSmoothingEnabled = false;
      context.drawImage(this.picture, 0, 0, this.side, this.side);
      this.pins.forEach((pin) => this.drawMark(context, pin));
      this.drawCursor(context);
      this.drawImage();
    }

    place({ i, j }) { return [((j + 0.5) / this.B) * this.side, (1 - (i + 0.5) / this.A) * this.side]; }

    drawAxes(context, ink) {
      const { side } = this;
      const [a0, a1, b0, b1] = this.data.extent;
      const { low, high, label } = this.data.maps[this.map];
      Object.assign(context, { fillStyle: ink, font: "12px system-ui, sans-serif", textBaseline: "middle" });
      for (const part of [0, 0.5, 1]) {
        const up = MARGIN.top + side * (1 - (part * (this.A - 1) + 0.5) / this.A);
        const right = MARGIN.left + side * ((part * (this.B - 1) + 0.5) / this.B);
        context.textAlign = "right";
        context.fillText(short(a0 + part * (a1 - a0), a1 - a0), MARGIN.left - 6, up);
        context.textAlign = "center";
        context.fillText(short(b0 + part * (b1 - b0), b1 - b0), right, MARGIN.top + side + 12);
        context.textAlign = "left";
        context.fillText(short(low + part * (high - low), high - low), MARGIN.left + side + 26, MARGIN.top + side * (1 - part) + (part - 0.5) * 10);
      }
      context.textAlign = "center";
      context.fillText("β", MARGIN.left + side * 0.75, MARGIN.top + side + 14);
      context.fillText("α", MARGIN.left - 16, MARGIN.top + side * 0.25);
      context.fillText(label, MARGIN.left + side / 2, MARGIN.top + side + 30);
      for (let level = 0; level < 256; level++) {
        context.fillStyle = `rgb(${this.palette.slice(level * 3, level * 3 + 3).join()})`;
        context.fillRect(MARGIN.left + side + 10, MARGIN.top + (side * (255 - level)) / 256, 12, side / 256 + 0.7);
      }
    }

    drawCursor(context) {
      const [x, y] = this.place(this);
      for (const [colour, thick] of [["#000", 4], ["#fff", 2]]) {
        Object.assign(context, { strokeStyle: colour, lineWidth: thick });
        context.beginPath();
        context.arc(x, y, 7, 0, 7);
        context.stroke();
      }
    }

    drawMark(context, pin) {
      const [x, y] = this.place(pin);
      Object.assign(context, { fillStyle: PIN_COLOURS[pin.colour], strokeStyle: "#fff", lineWidth: 2 });
      context.beginPath();
      context.arc(x, y, 10, 0, 7);
      context.fill();
      context.stroke();
      Object.assign(context, { fillStyle: "#fff", font: "bold 12px system-ui, sans-serif", textAlign: "center", textBaseline: "middle" });
      context.fillText(pin.colour + 1, x, y + 0.5);
    }

    sprite(context, frame, point, x, y, size) {
      const { rows, cols, width, height, across } = this.data.tiles;
      const { row, col } = this.tile(point);
      const n = (frame * rows + row) * cols + col;
      context.drawImage(this.atlas, (n % across) * width, Math.floor(n / across) * height, width, height, x, y, size, size);
    }

    drawImage() {
      const frame = this.frame(this.t);
      const size = Math.max(64, this.image.clientWidth);
      const context = sized(this.image, size, size, false);
      context.imageSmoothingQuality = "high";
      this.sprite(context, frame, this, 0, 0, size);
      const rows = [["α, β", this.at(this).join(", ")],
        ...this.data.maps.map((m, k) => [m.label, this.text(k, this.t, this.i, this.j)]),
        ["image of step", this.data.steps[frame]]];
      this.readout.replaceChildren();
      for (const [name, value] of rows) {
        element(this.readout, "dt", {}, name);
        element(this.readout, "dd", {}, String(value));
      }
      this.image.setAttribute("aria-label", `Image at ${this.where(this)}, step ${this.data.steps[frame]}`);
      this.stepText.textContent = `${this.t} of ${this.T - 1}`;
    }

    drawPins() {
      const list = this.pinList;
      list.replaceChildren();
      if (!this.pins.length) {
        element(list, "p", {}, "Pin points to compare how their images come about, step by step.");
        return;
      }
      const frames = this.data.steps.length;
      const narrow = this.root.clientWidth < 560;
      this.tileSize = clamp(Math.floor((this.root.clientWidth - (narrow ? 50 : 180)) / frames), 24, 56);
      this.pins.forEach((pin, k) => {
        const row = element(list, "div", { class: "pbx-pin" });
        const title = element(row, "span");
        element(title, "b", { style: `background:${PIN_COLOURS[pin.colour]}` }, pin.colour + 1);
        title.append(this.where(pin));
        const strip = element(row, "canvas", { role: "img",
          "aria-label": `Point ${pin.colour + 1}, ${this.where(pin)}: images at steps ${this.data.steps.join(", ")}` });
        this.drawStrip(strip, pin);
        const remove = element(row, "button", { type: "button", "aria-label": `Unpin point ${pin.colour + 1}`, title: "Unpin" }, "×");
        remove.addEventListener("click", () => {
          this.pins.splice(k, 1);
          this.draw();
          this.drawPins();
          (list.querySelector("button") || this.mapCanvas).focus();
        });
      });
      const row = element(list, "div", { class: "pbx-pin" });
      element(row, "span", {}, this.data.maps[this.map].label);
      this.drawCurves(element(row, "canvas", { role: "img", "aria-label": `${this.data.maps[this.map].label} over the steps at the pinned points` }));
    }

    drawStrip(canvas, pin) {
      const { tileSize: size } = this;
      const context = sized(canvas, size * this.data.steps.length, size);
      context.imageSmoothingQuality = "high";
      this.data.steps.forEach((_, f) => this.sprite(context, f, pin, f * size, 0, size - 1));
      Object.assign(context, { strokeStyle: getComputedStyle(this.root).getPropertyValue("--pbx-accent"), lineWidth: 3 });
      context.strokeRect(this.frame(this.t) * size + 1, 1.5, size - 3, size - 3);
      canvas.addEventListener("click", (event) => this.setStep(this.data.steps[clamp(Math.floor(event.offsetX / size), 0, this.data.steps.length - 1)]));
    }

    // The chosen scalar at the pins, over the steps, under the images of the same steps.
    drawCurves(canvas) {
      const { steps } = this.data;
      const size = this.tileSize;
      const context = sized(canvas, size * steps.length, 74);
      const ink = getComputedStyle(this.root).color;
      const { low, high } = this.data.maps[this.map];
      const across = (t) => {
        const f = clamp(steps.findIndex((s) => s > t) - 1, -1, steps.length - 2);
        if (t >= steps[steps.length - 1]) return (steps.length - 0.5) * size;
        return f < 0 ? size / 2 : (f + 0.5 + (t - steps[f]) / (steps[f + 1] - steps[f])) * size;
      };
      const height = (v) => 54 - ((v - low) / (high - low)) * 48;
      Object.assign(context, { strokeStyle: ink, fillStyle: ink, globalAlpha: 0.35, lineWidth: 1, font: "11px system-ui, sans-serif", textAlign: "center" });
      context.strokeRect(across(this.t), 2, 0, 54);
      context.globalAlpha = 1;
      const every = Math.ceil(26 / size);
      steps.forEach((s, f) => { if (f % every === 0) context.fillText(s, (f + 0.5) * size, 70); });
      this.pins.forEach((pin) => {
        // each curve on a pale edge, so that it reads on a dark page too
        for (const [strokeStyle, lineWidth] of [["rgba(255,255,255,.6)", 4], [PIN_COLOURS[pin.colour], 2.5]]) {
          Object.assign(context, { strokeStyle, lineWidth, lineJoin: "round" });
          context.beginPath();
          for (let t = steps[0]; t <= steps[steps.length - 1]; t++) context.lineTo(across(t), height(this.value(t, pin.i, pin.j)));
          context.stroke();
        }
      });
    }
  }

  mountAll("pb-explorer", async (root, data) => {
    const [atlas, ...maps] = await Promise.all([picture(data.tiles.atlas), ...data.maps.map((m) => inflate(m.data, data.grid[2]))]);
    root.explorer = new Explorer(root, data, maps, atlas);
    root.dataset.ready = "yes";
  });
})();
