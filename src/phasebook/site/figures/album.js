// An album: pictures that were computed before, chosen by select boxes, sliders and buttons. `album.py` writes the data.
(() => {
  "use strict";
  const { element, slider, choice, player, speaker, picture, mountAll } = phasebookWidget;

  class Album {
    constructor(root, data, sheets) {
      Object.assign(this, { root, data, sheets, state: data.choices.map((one) => one.start) });
      this.drawing = root.querySelector("svg");
      this.build();
      this.draw();
    }

    build() {
      const { root, data } = this;
      root.replaceChildren();
      const bar = element(root, "div", { class: "pbv-bar", role: "group", "aria-label": `Controls ${data.title && "of "}${data.title}` });
      if (data.title) element(bar, "strong", { class: "pba-model" }, data.title);
      this.shown = data.choices.map((one, k) => this.control(bar, one, k));
      const panels = element(root, "div", { class: "pba-panels" });
      this.panels = data.panels.map((one) => {
        const most = one.most ? `; max-width: ${one.most}px` : "";
        const box = element(panels, "div", { class: "pba-panel", style: `flex: ${one.least} 1 ${one.least}rem${most}` });
        if (one.title) element(box, "p", { class: "pba-title" }, one.title);
        if (one.beneath && this.drawing) box.append(this.drawing);
        const canvas = element(box, "canvas", { role: "img", width: one.width, height: one.height, class: one.sharp ? "pba-sharp" : "" });
        return { ...one, canvas, words: one.words && element(box, "p", { class: "pba-words" }) };
      });
      this.note = element(root, "p", { class: "pbt-words" });
      this.speak = speaker(root);
    }

    // The control of a choice; returns what shows its state.
    control(bar, one, k) {
      if (one.how === "select") {
        const select = choice(bar, one.name, one.labels.map((text, value) => [value, text]));
        select.addEventListener("change", () => this.set(k, Number(select.value)));
        return (value) => { select.value = value; };
      }
      if (one.how === "button") {
        const button = element(bar, "button", { type: "button" });
        button.addEventListener("click", () => this.set(k, (this.state[k] + 1) % one.labels.length));
        return (value) => { button.textContent = `Show ${one.labels[(value + 1) % one.labels.length]}`; };
      }
      const last = one.labels.length - 1;
      if (one.play) {
        const button = element(bar, "button", { type: "button" }, one.play);
        player(button, 200, () => { if (this.state[k] === last) this.set(k, 0); }, () => { this.set(k, Math.min(this.state[k] + 1, last)); return this.state[k] < last; });
      }
      const { input, output } = slider(bar, one.name, { min: 0, max: last, step: 1 });
      input.addEventListener("input", () => this.set(k, Number(input.value)));
      return (value) => { input.value = value; output.textContent = one.labels[value]; input.setAttribute("aria-valuetext", one.labels[value]); };
    }

    set(k, value) {
      this.state[k] = value;
      this.draw();
      this.speak(() => this.note.textContent);
    }

    // The place of the present state in a table over some of the choices.
    at(over) { return over.reduce((place, k) => place * this.data.choices[k].labels.length + this.state[k], 0); }

    draw() {
      const { data } = this;
      this.shown.forEach((show, k) => show(this.state[k]));
      this.panels.forEach(({ canvas, words, width, height, across, over, alts }, k) => {
        const at = this.at(over), x = (at % across) * width, y = Math.floor(at / across) * height;
        canvas.getContext("2d").drawImage(this.sheets[k], x, y, width, height, 0, 0, width, height);
        canvas.setAttribute("aria-label", alts[at] ?? alts[0]);
        if (words) words.textContent = alts[at] ?? alts[0];
      });
      this.note.textContent = data.notes.texts[this.at(data.notes.over)];
      const mark = this.drawing?.querySelector(".pba-mark");
      if (mark) mark.setAttribute("transform", `translate(0 ${data.marks[this.state[data.marked]]})`);
    }
  }

  mountAll("pb-album", async (root, data) => {
    root.album = new Album(root, data, await Promise.all(data.panels.map((one) => picture(one.sheet))));
    root.dataset.ready = "yes";
  });
})();
