// Figures of the page: draws what `phasebook.site.figures.show` left, near the reader first, the rest when idle; again
// when theme or width change, each as it comes near. plotly.js is loaded by the first figure, so a page without figures does not carry it.
(() => {
  "use strict";
  const PLOTLY = new URL("plotly.min.js", document.currentScript.src).href;
  const CONFIG = { displaylogo: false, responsive: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "sendChartToCloud", "sendDataToCloud"] };
  const PANEL = 200;     // pixels below which a panel of a figure scrolls sideways rather than shrink
  const FIELDS = new Set(["heatmap", "image", "contour", "histogram2d", "histogram2dcontour", "surface", "heatmapgl"]);
  let library;

  const dark = () => document.documentElement.dataset.theme === "dark";

  function plotly() {
    library ??= new Promise((done, failed) => {
      const script = document.createElement("script");
      Object.assign(script, { src: PLOTLY, onload: () => done(window.Plotly), onerror: failed });
      document.head.append(script);
    });
    return library;
  }

  function hasWebGL() {
    const context = document.createElement("canvas").getContext("webgl");
    context?.getExtension("WEBGL_lose_context")?.loseContext();
    return Boolean(context);
  }

  // ---- themes: a neutral colour (ink, paper, grey) turns into its opposite; every other colour stays ----

  const NAMES = { black: 0, white: 255, gray: 128, grey: 128, dimgray: 105, dimgrey: 105, lightgray: 211, lightgrey: 211, silver: 192, darkgray: 169, darkgrey: 169 };

  function opposite(colour) {
    const text = String(colour).trim().toLowerCase();
    let parts = text in NAMES ? [NAMES[text], NAMES[text], NAMES[text]] : null;
    if (/^#[0-9a-f]{3}$/.test(text)) parts = [...text.slice(1)].map((c) => parseInt(c + c, 16));
    if (/^#[0-9a-f]{6}$/.test(text)) parts = text.slice(1).match(/../g).map((c) => parseInt(c, 16));
    if (/^rgba?\(/.test(text)) parts = text.match(/[\d.]+/g).map(Number);
    if (!parts || Math.max(...parts.slice(0, 3)) - Math.min(...parts.slice(0, 3)) > 12) return colour;
    const [r, g, b] = parts.map((v) => Math.round(255 - 0.93 * v));
    return `rgba(${r},${g},${b},${parts[3] ?? 1})`;
  }

  function invert(node) {
    if (!node || typeof node !== "object") return;
    for (const [key, value] of Object.entries(node)) {
      const isColour = /color$/i.test(key);
      if (isColour && typeof value === "string") node[key] = opposite(value);
      else if (isColour && Array.isArray(value)) node[key] = value.map((v) => (typeof v === "string" ? opposite(v) : v));
      else if (key !== "colorscale" && key !== "template") invert(value);
    }
  }

  const axes = (item, x = "xaxis", y = "yaxis") => `${item[x] ?? "x"}|${item[y] ?? "y"}`;

  // The key of a trace that keeps a colour in which it would not be seen on the page; nothing where it would.
  function keyOf(trace) {
    const key = { type: "scatter", mode: trace.mode ?? "lines", name: trace.name, x: [null], y: [null], hoverinfo: "skip",
                  line: structuredClone(trace.line ?? {}), marker: structuredClone(trace.marker ?? {}) };
    const before = JSON.stringify(key);
    invert(key);
    if (JSON.stringify(key) === before) return null;
    key.legendgroup = trace.legendgroup ??= trace.name;
    trace.showlegend = false;
    return key;
  }

  // What lies over an image or a heat map keeps its colours: they were chosen for that ground. Its key in the legend lies
  // on the page, and is drawn by an empty trace in the page's colours.
  function inverted({ data, layout, frames }) {
    const grounds = new Set(data.filter((trace) => FIELDS.has(trace.type)).map((trace) => axes(trace)));
    for (const image of layout.images ?? []) if (image.sizing === "stretch") grounds.add(axes(image, "xref", "yref"));
    data.filter((trace) => !FIELDS.has(trace.type) && !grounds.has(axes(trace))).forEach(invert);
    const keys = layout.sliders ? [] : data.filter((trace) => !FIELDS.has(trace.type) || trace.type === "contour").filter((trace) => grounds.has(axes(trace)) && trace.name && trace.showlegend !== false).map(keyOf);
    data.push(...keys.filter(Boolean));
    data.filter((trace) => FIELDS.has(trace.type)).forEach((trace) => invert(trace.colorbar));
    const over = ["annotations", "shapes"].flatMap((k) => layout[k] ?? []).filter((item) => grounds.has(axes(item, "xref", "yref")));
    const kept = over.map((item) => structuredClone(item));
    invert(layout);
    over.forEach((item, k) => Object.assign(item, kept[k]));
    for (const frame of frames ?? []) {
      (frame.data ?? []).forEach((trace, k) => {
        const base = data[frame.traces?.[k] ?? k] ?? trace;
        if (!FIELDS.has(base.type) && !grounds.has(axes(base))) invert(trace);
      });
    }
  }

  function template(given, narrow) {
    const made = structuredClone(given ?? { data: {}, layout: {} });
    const [ink, line, paper] = dark() ? ["#d5d8dc", "#3b4048", "#22262c"] : ["#2b2f36", "#e3e6ea", "#ffffff"];
    const clear = "rgba(0,0,0,0)";
    const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, tickcolor: line, exponentformat: "power" };
    const bar = { title: { side: "right" }, outlinewidth: 0, thickness: narrow ? 12 : 20 };
    const wall = { ...axis, backgroundcolor: clear };
    const own = {
      font: { color: ink }, paper_bgcolor: clear, plot_bgcolor: clear, xaxis: axis, yaxis: axis,
      scene: { xaxis: wall, yaxis: wall, zaxis: wall }, coloraxis: { colorbar: bar }, legend: { bgcolor: clear },
      annotationdefaults: { arrowcolor: ink }, shapedefaults: { line: { color: ink } },
      hoverlabel: { bgcolor: paper, bordercolor: line, font: { color: ink } },
      sliderdefaults: { bgcolor: dark() ? "#56b4e9" : "#0072b2", activebgcolor: ink, bordercolor: line, tickcolor: ink },
      updatemenudefaults: { bgcolor: paper, bordercolor: line },
    };
    const merge = (into, from) => {
      for (const [key, value] of Object.entries(from)) {
        if (value && typeof value === "object") into[key] = merge(into[key] ?? {}, value);
        else into[key] = value;
      }
      return into;
    };
    merge((made.layout ??= {}), own);
    for (const type of FIELDS) merge(((made.data ??= {})[type] ??= [{}])[0], { colorbar: bar });
    if (dark()) for (const traces of Object.values(made.data ?? {})) traces.forEach((t) => { if (t.marker?.line) t.marker.line.color = clear; });
    return made;
  }

  // ---- the Tab key stops where something is to be read or done by keys, not at every anchor, copy button and tool of a
  // chart (charts are images with a text) ----

  const SKIPPED = "a.headerlink, button.copybtn, .modebar-btn";
  function fewerStops() {
    document.querySelectorAll(SKIPPED).forEach((node) => { node.tabIndex = -1; });
    for (const block of document.querySelectorAll("pre[tabindex]")) if (block.scrollWidth <= block.clientWidth) block.removeAttribute("tabindex");
    for (const box of document.querySelectorAll(".pb-scroll, .pb-figure, .bd-article div.math, .bd-article div.math > mjx-container, .pb-wide")) {
      if (box.matches(".pb-strip") || box.scrollWidth > box.clientWidth + !box.matches(".math, mjx-container")) box.tabIndex = 0;     // else no key scrolls it
      else box.removeAttribute("tabindex");
    }
  }
  const sizes = new ResizeObserver(() => requestAnimationFrame(fewerStops));      // pictures and figures come later
  window.addEventListener("load", () => {
    fewerStops();
    setTimeout(fewerStops, 500);
    for (const box of document.querySelectorAll(".pb-scroll, .pb-figure")) [box, ...box.children].forEach((node) => sizes.observe(node));
  });
  window.addEventListener("resize", () => requestAnimationFrame(() => { widen(); fewerStops(); }));

  // ---- a formula in a line of text that is wider than the column gets a line of its own, which scrolls ----

  function widen() {
    const all = [...document.querySelectorAll(".bd-article mjx-container:not([display='true'])")].map((formula) => {
      const kept = formula.closest(".pb-kept") ?? formula;
      return [kept, formula.querySelector("svg"), kept.closest("p, li, td, th, dd, figcaption, div")];
    });
    const wide = all.map(([, picture, block]) => {
      if (!picture || !block) return false;
      const style = getComputedStyle(block);
      return picture.getBoundingClientRect().width > block.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - 8;
    });
    all.forEach(([kept], k) => { if (kept.classList.contains("pb-wide") !== wide[k]) kept.classList.toggle("pb-wide", wide[k]); });
  }
  window.addEventListener("load", () => window.MathJax?.startup?.promise?.then(() => { widen(); fewerStops(); }));

  // ---- one figure ----

  function panels(layout) {
    const starts = Object.entries(layout).filter(([key]) => /^(xaxis|scene)\d*$/.test(key))
      .map(([, axis]) => Math.round(100 * ((axis.domain?.x ?? axis.domain ?? [0])[0] ?? 0)));
    return new Set(starts).size || 1;
  }

  // On a phone the legend stands beneath a figure, which grows by it; above one that is moved by a slider.
  function legendOf({ data, layout }, above) {
    const top = Math.max(1.02, layout.legend?.y ?? 0) + above / (layout.height - (layout.margin?.t ?? 100) - (layout.margin?.b ?? 80));
    const legend = { ...layout.legend, orientation: "h", x: 0, xanchor: "left", yanchor: "bottom" };
    layout.legend = layout.sliders ? { ...legend, y: top } : { ...legend, y: 0, yref: "container" };
    const more = layout.sliders ? 0 : 22 * data.filter((t) => t.name && t.showlegend !== false).length;
    if (!more || layout.showlegend === false) return;
    layout.height = (layout.height ?? 450) + more;
    layout.margin = { ...layout.margin, b: (layout.margin?.b ?? 80) + more };
  }

  // ---- words that are longer than their panel: titles wrap, upright ones shrink, a slider leaves room for its ends ----

  const WIDTH = 0.54;     // of a letter, in sizes of its font
  const lengthOf = (text) => Math.max(...String(text).split(/<br ?\/?>/).map((line) => line.replace(/<[^>]+>/g, "").length));

  function wrap(text, room, size) {
    const most = Math.max(8, Math.floor(room / (WIDTH * size)));
    const lines = [];
    for (const word of String(text).split(" ")) {
      if (lines.length && lengthOf(`${lines.at(-1)} ${word}`) <= most) lines.push(`${lines.pop()} ${word}`);
      else lines.push(word);
    }
    return lines;
  }

  function fitted({ layout }, narrow) {
    const { l = 80, r = 80, t = 100, b = 80 } = layout.margin ?? {};
    const inner = layout.width - l - r;
    const domains = Object.entries(layout).filter(([key]) => /^xaxis\d*$/.test(key)).map(([, axis]) => axis.domain ?? [0, 1]);
    const starts = [...new Set(domains.map(([start]) => start))].sort((p, q) => p - q);
    const roomOf = ([start, end]) => Math.min(...starts.filter((s) => s > start + 0.01).map((s) => (s - start) * inner), (end - start) * inner + 40);
    const nearest = (x) => domains.reduce((best, d) => (Math.abs(d[0] + d[1] - 2 * x) < Math.abs(best[0] + best[1] - 2 * x) ? d : best), domains[0]);
    let [above, below] = [0, 0];
    for (const title of layout.annotations ?? []) {
      if (title.showarrow !== false || title.xref !== "paper" || title.yref !== "paper" || title.yanchor !== "bottom" || title.textangle || !domains.length) continue;
      const size = Math.min(title.font?.size ?? 16, narrow ? 13 : 99);
      title.font = { ...title.font, size };
      const lines = wrap(title.text, roomOf(nearest(title.x)) - 6, size);
      title.text = lines.join("<br>");
      if (title.y > 0.98) above = Math.max(above, (lines.length - 1) * size * 1.3);
    }
    for (const [key, axis] of Object.entries(layout)) {
      const text = axis?.title?.text;
      if (!text || !/^[xy]axis\d*$/.test(key)) continue;
      const size = axis.title.font?.size ?? 1.2 * (layout.font?.size ?? 12);
      if (narrow) axis.title.standoff ??= 2;
      if (key[0] === "y") {
        const [start, end] = axis.domain ?? [0, 1];
        const room = (end - start) * (layout.height - t - b);
        axis.title.font = { ...axis.title.font, size: Math.max(10, Math.min(size, room / (WIDTH * lengthOf(text)))) };
      } else if (!text.includes("<br>")) {
        const lines = wrap(text, roomOf(axis.domain ?? [0, 1]), size);
        axis.title.text = lines.join("<br>");
        below = Math.max(below, (lines.length - 1) * size * 1.3);
      }
    }
    layout.margin = { ...layout.margin, t: t + above, b: b + below };
    layout.height = (layout.height ?? 450) + above + below;
    for (const slider of layout.sliders ?? []) {
      const half = (WIDTH * 13 * lengthOf(slider.steps?.at(-1)?.label ?? "")) / 2;
      slider.pad = { ...slider.pad, r: Math.max(slider.pad?.r ?? 0, half - r + 6) };
    }
    return above;
  }

  // A sheet of pictures has its cells' shape, and scrolls sideways where they would be too small to see.
  function cellsOf({ layout }, room) {
    const { rows, columns, least } = layout.meta.cells;
    const { l = 80, r = 80, t = 100, b = 80 } = layout.margin;
    layout.width = Math.max(room, l + r + columns * least);
    layout.height = Math.min(layout.height, Math.round(t + b + ((layout.width - l - r) * rows) / columns));
  }

  class Figure {
    constructor(node) {
      this.node = node;
      this.source = document.querySelector(`script.pb-plotly-data[data-for="${node.id}"]`).textContent;
    }

    spec() {
      const spec = JSON.parse(this.source);
      const room = this.node.parentElement.clientWidth;
      const many = panels(spec.layout);
      const least = Math.min(PANEL * many + 60, many <= 4 && room > 640 ? room : Infinity);
      if (dark()) inverted(spec);
      spec.layout.template = template(spec.layout.template, room < 520);
      spec.layout.width = Math.max(Math.min(room, spec.layout.width ?? room), many > 1 ? least : 0);
      if (spec.layout.meta?.cells) cellsOf(spec, room);
      const above = fitted(spec, room < 520);
      if (room < 520) legendOf(spec, above);
      this.room = room;
      this.node.style.minHeight = `${spec.layout.height}px`;
      return { ...spec, config: CONFIG };
    }

    async draw() {
      const Plotly = await plotly();
      const spec = this.spec();
      const solid = Object.keys(spec.layout).some((key) => key.startsWith("scene")) || spec.data.some((t) => /3d$|^surface$|^volume$/.test(t.type));
      if (!(solid || spec.data.some((t) => /gl$/.test(t.type))) || hasWebGL()) await Plotly.react(this.node, spec);
      else this.excuse();
      this.node.dataset.drawn = dark() ? "dark" : "light";
      this.node.querySelectorAll(".modebar-btn").forEach((tool) => { tool.tabIndex = -1; });
    }

    excuse() {
      this.node.classList.add("pb-missing");
      this.node.style.minHeight = "0";
      this.node.textContent = `This figure needs WebGL, which this browser does not offer. ${this.node.getAttribute("aria-label")}`;
    }

    stale() {
      const room = this.node.parentElement.clientWidth;
      return this.node.dataset.drawn && (this.node.dataset.drawn !== (dark() ? "dark" : "light") || Math.abs(room - this.room) > 1);
    }
  }

  // ---- the queue: one figure at a time, those near the reader before the others ----

  const queue = [];
  let working = false;

  async function work() {
    if (working) return;
    working = true;
    for (let figure = queue.shift(); figure; figure = queue.shift()) {
      await figure.draw().catch((error) => console.error(error));
      fewerStops();
      await new Promise((next) => setTimeout(next));
    }
    working = false;
  }

  function ask(figure, first) {
    const at = queue.indexOf(figure);
    if (at >= 0) queue.splice(at, 1);
    queue[first ? "unshift" : "push"](figure);
    work();
  }

  const figures = [...document.querySelectorAll(".pb-plotly")].map((node) => new Figure(node));
  if (!figures.length) return;
  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      const figure = figures.find((f) => f.node === target);
      figure.near = isIntersecting;
      if (isIntersecting && (!figure.node.dataset.drawn || figure.stale())) ask(figure, true);
    }
  }, { rootMargin: "400px" });
  figures.forEach((figure) => near.observe(figure.node));
  const idle = window.requestIdleCallback ?? ((work) => setTimeout(work, 300));
  window.addEventListener("load", () => idle(() => figures.filter((f) => !f.node.dataset.drawn).forEach((f) => ask(f, false))));

  let waiting;
  const again = () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => figures.filter((f) => f.near && f.stale()).forEach((f) => ask(f, false)), 120);      // the others when they come near
  };
  new MutationObserver(again).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  const widths = new ResizeObserver(again);
  figures.forEach((figure) => widths.observe(figure.node.parentElement));

  // ---- on paper: light, all figures drawn, none wider than the page ----

  const PAPER = 660;
  let theme;
  window.addEventListener("load", () => plotly());      // a page may be printed as soon as it is there
  window.addEventListener("beforeprint", () => {
    theme = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    for (const figure of figures) {
      if (window.Plotly && figure.node.dataset.drawn !== "light") figure.draw().catch((error) => console.error(error));
      figure.node.style.zoom = Math.min(1, PAPER / Math.max(figure.node.scrollWidth, 1));
    }
  });
  window.addEventListener("afterprint", () => {
    document.documentElement.dataset.theme = theme;
    figures.forEach((figure) => { figure.node.style.zoom = ""; });
  });
})();
