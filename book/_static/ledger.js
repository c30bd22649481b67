// The ledger as something to ask: rows are filtered by kind, verdict, chapter and words, the question stands in the
// address, and the links of all rows are one stop of the Tab key, with arrows from row to row.
(() => {
  "use strict";

  // what stands in one line or table, as verdicts beneath a cell, names in the index or the types of a room of the
  // library, is one stop of the Tab key, with arrows from one to the next
  const LISTS = [[".pb-recorded", "a.pb-chip"], [".bd-article table:not(.pb-claims)", "a.pb-chip"], ["table.indextable", "a"], [".bd-article > section > section:has(dl.py)", "dt a.reference"]];
  for (const [lists, links] of LISTS) document.querySelectorAll(lists).forEach((list) => oneStop([...list.querySelectorAll(links)], list));

  function oneStop(all, list) {
    const stay = (at) => all.forEach((link, k) => { link.tabIndex = k === at ? 0 : -1; });
    stay(0);
    list.addEventListener("focusin", (event) => { if (all.includes(event.target)) stay(all.indexOf(event.target)); });
    list.addEventListener("keydown", (event) => {
      const at = all.indexOf(event.target);
      const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
      if (at < 0 || !all[to] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      all[to].focus();
    });
  }

  // The code that records a claim is open where a link of the ledger leads to it.
  function unfold() {
    const folded = location.hash.startsWith("#at-") && named()?.closest(".cell")?.querySelector("details");
    if (folded) folded.open = true;
  }
  unfold();
  window.addEventListener("hashchange", unfold);

  function named() {
    let name = location.hash.slice(1);
    try { name = decodeURIComponent(name); } catch { /* a stray % is no code */ }
    return name ? document.getElementById(name) : null;
  }

  const rows = [...document.querySelectorAll("table.pb-claims tbody tr")];
  const form = document.querySelector("form.pb-filter");
  if (!form || !rows.length) return;
  const said = form.querySelector("output");
  const fields = [...form.querySelectorAll("select, input")];
  const typed = (text) => text.toLowerCase().replaceAll("−", "-");      // no keyboard has the minus of the tables
  const texts = new Map(rows.map((row) => {
    const bare = row.cloneNode(true);
    bare.querySelector(".pb-links")?.remove();      // a section's heading is no word of the claim
    return [row, typed(bare.textContent)];
  }));
  const scrolls = [...document.querySelectorAll(".pb-scroll")].filter((box) => box.querySelector("table.pb-claims"));

  const asked = () => Object.fromEntries(fields.map((field) => [field.name, field.value.trim()]).filter(([, value]) => value));

  function meets(row, question) {
    const words = typed(question.words ?? "").split(/\s+/).filter(Boolean);
    return ["kind", "verdict", "chapter"].every((key) => !question[key] || row.dataset[key] === question[key])
      && words.every((word) => texts.get(row).includes(word));
  }

  function filter() {
    const question = asked();
    rows.forEach((row) => { row.hidden = !meets(row, question); });
    for (const box of scrolls) {
      const empty = !box.querySelector("tbody tr:not([hidden])");
      box.hidden = empty;
      const note = box.nextElementSibling;
      if (note?.classList.contains("pb-note")) note.hidden = Object.keys(question).length > 0;
    }
    const left = rows.filter((row) => !row.hidden).length;
    said.value = Object.keys(question).length ? `${left} of ${rows.length} claims` : `${rows.length} claims`;
    const query = new URLSearchParams(question).toString();
    try { history.replaceState(null, "", `${location.pathname}${query ? `?${query}` : ""}${location.hash}`); } catch { /* a frame without a history */ }
    document.body.classList.toggle("pb-asking", Object.keys(question).length > 0);
    stop(rows.find((row) => row.contains(document.activeElement) && !row.hidden) ?? rows.find((row) => !row.hidden));
  }

  // ---- one stop for all rows ----

  const links = (row) => [...row.querySelectorAll("a[href]")];

  function stop(row) {
    for (const other of rows) links(other).forEach((link) => { link.tabIndex = other === row ? 0 : -1; });
  }

  document.addEventListener("keydown", (event) => {
    const row = event.target.closest?.("table.pb-claims tbody tr");
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    const shown = rows.filter((other) => !other.hidden && links(other).length);
    const at = shown.indexOf(row);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1 }[event.key];
    if (to === undefined || !shown[to]) return;
    event.preventDefault();
    const place = Math.max(0, links(row).indexOf(event.target));
    stop(shown[to]);
    (links(shown[to])[place] ?? links(shown[to])[0]).focus();
  });
  document.addEventListener("focusin", (event) => {
    const row = event.target.closest?.("table.pb-claims tbody tr");
    if (row) stop(row);
  });

  // while something is asked, what follows is answers: headings and rows
  for (let part = form.closest("section")?.nextElementSibling; part; part = part.nextElementSibling) part.dataset.ledger = "";
  form.hidden = false;
  const given = new URLSearchParams(location.search);
  fields.forEach((field) => { field.value = given.get(field.name) ?? ""; if (field.selectedIndex < 0) field.value = ""; });
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => { event.preventDefault(); filter(); });
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") form.reset(); });
  filter();
  arrive();
  window.addEventListener("hashchange", arrive);

  // What an address names is shown, whatever was asked.
  function arrive() {
    const target = named();
    if (target?.checkVisibility() === false) { form.reset(); filter(); }
    target?.scrollIntoView();
  }
})();
