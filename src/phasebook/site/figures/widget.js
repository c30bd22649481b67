// What the book's live figures share. Each mounts every root of its own class that is not mounted yet; the data are
// JSON in the root, beside the picture that stands until the script runs.
var phasebookWidget = (() => {
  "use strict";
  const clamp = (v, low, high) => Math.min(high, Math.max(low, v));
  const short = (v, digits = 2) => v.toFixed(digits).replace("-", "−");

  function bytes(text) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const raw = atob(text), out = new Uint8Array(raw.length);
    for (let k = 0; k < raw.length; k++) out[k] = raw.charCodeAt(k);
    return out;
  }

  function element(parent, tag, attributes = {}, text = "") {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text) node.textContent = text;
    parent.append(node);
    return node;
  }

  // A labelled slider with its value beside it.
  function slider(parent, label, attributes) {
    const box = element(parent, "label", { class: "pbv-noise" }, label);
    const input = element(box, "input", { type: "range", ...attributes });
    return { box, input, output: element(box, "output") };
  }

  // A labelled choice of [value, text].
  function choice(parent, label, options) {
    const select = element(element(parent, "label", {}, `${label} `), "select");
    options.forEach(([value, text]) => element(select, "option", { value }, text));
    return select;
  }

  // A canvas with the screen's pixels; square unless a height is given.
  function sized(canvas, height = null) {
    const width = canvas.clientWidth || 300, ratio = window.devicePixelRatio || 1;
    const [w, h] = [Math.round(width * ratio), Math.round((height ?? width) * ratio)];
    if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
    if (height) canvas.style.height = `${height}px`;
    return canvas.getContext("2d");
  }

  // A button that runs through something, a step every `pause` milliseconds, until `advance` says false.
  function player(button, pause, begin, advance) {
    const text = button.textContent;
    let timer = null;
    const stop = () => { clearInterval(timer); timer = null; button.textContent = text; };
    button.addEventListener("click", () => {
      if (timer !== null) { stop(); return; }
      button.textContent = "Stop";
      begin();
      timer = setInterval(() => { if (!advance()) stop(); }, pause);
    });
  }

  // Draw again where the width or the theme changes.
  function follow(root, draw) {
    let width = 0;
    new ResizeObserver(([entry]) => {
      if (Math.abs(entry.contentRect.width - width) < 1) return;
      width = entry.contentRect.width;
      requestAnimationFrame(draw);
    }).observe(root);
    new MutationObserver(() => requestAnimationFrame(draw))
      .observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  }

  // Words for a screen reader, as they are once they have stood still for a moment.
  function speaker(root) {
    const node = element(root, "div", { class: "pbv-aloud", "aria-live": "polite" });
    let timer;
    return (words) => { clearTimeout(timer); timer = setTimeout(() => { node.textContent = words(); }, 300); };
  }

  async function picture(address) {
    const image = new Image();
    image.src = address;
    await image.decode();
    return image;
  }

  // JupyterLab may run this before the output is attached: look again for a while.
  function mountAll(name, mount) {
    const look = (tries) => {
      const waiting = document.querySelectorAll(`.${name}:not([data-ready])`);
      waiting.forEach((root) => {
        root.dataset.ready = "loading";
        const data = JSON.parse(root.querySelector("script").textContent);
        mount(root, data).catch((error) => {
          root.dataset.ready = "no";
          root.querySelector(":scope > p")?.append(` (It could not start: ${error.message})`);
          console.error(error);
        });
      });
      if (!waiting.length && tries) setTimeout(look, 100, tries - 1);
    };
    look(50);
  }

  return { clamp, short, bytes, element, slider, choice, sized, player, follow, speaker, picture, mountAll };
})();
