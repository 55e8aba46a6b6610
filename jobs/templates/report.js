"use strict";
(() => {
  const holder = document.getElementById("entries");
  if (holder) {
    const entries = [...holder.children];
    const filters = [...document.querySelectorAll("select[data-key]")];
    const order = document.getElementById("order");
    const nothing = document.getElementById("nothing");
    const shown = document.getElementById("shown");
    const number = (entry, key) => Number(entry.dataset[key]);
    const orders = {
      "rank": (a, b) => number(a, "rank") - number(b, "rank"),
      "distance": (a, b) => number(a, "distance") - number(b, "distance"),
      "score": (a, b) => number(a, "score") - number(b, "score"),
      "score-falling": (a, b) => number(b, "score") - number(a, "score"),
      "place": (a, b) => (a.dataset.archive < b.dataset.archive ? -1 : a.dataset.archive > b.dataset.archive ? 1 : number(a, "index") - number(b, "index")),
    };
    const fits = (entry) => filters.every((filter) => !filter.value || (filter.dataset.key === "why"
      ? entry.dataset.why.split("|").includes(filter.value)
      : entry.dataset[filter.dataset.key] === filter.value));
    const update = () => {
      for (const entry of entries) entry.hidden = !fits(entry);
      holder.append(...[...entries].sort(orders[order.value]));
      const count = entries.filter((entry) => !entry.hidden).length;
      shown.value = `${count} of ${entries.length} of the sample shown`;
      nothing.hidden = count > 0;
    };
    for (const control of [...filters, order]) control.addEventListener("change", update);
    // The values are back only when the event is over.
    document.getElementById("controls").addEventListener("reset", () => setTimeout(update));
    // Browsers keep what was chosen when a page is loaded once more.
    update();
  }
  const value = (row, column) => {
    const text = row.cells[column].textContent.trim();
    const parsed = Number(text.replace(/[,%\s]/g, ""));
    return text !== "" && Number.isFinite(parsed) ? parsed : text;
  };
  const compare = (a, b) => (typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1);
  for (const wide of document.querySelectorAll(".wide")) {
    const cue = wide.previousElementSibling;
    const look = () => { cue.hidden = wide.scrollLeft + wide.clientWidth >= wide.scrollWidth - 1; };
    wide.addEventListener("scroll", look, { passive: true });
    new ResizeObserver(look).observe(wide);
  }
  for (const table of document.querySelectorAll("table.sortable")) {
    const [body] = table.tBodies;
    [...table.tHead.rows[0].cells].forEach((cell, column) => {
      if ([...body.rows].every((row) => row.cells[column].textContent.trim() === "")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = cell.textContent;
      cell.replaceChildren(button);
      button.addEventListener("click", () => {
        const falling = cell.getAttribute("aria-sort") === "ascending";
        for (const other of cell.parentNode.cells) other.removeAttribute("aria-sort");
        cell.setAttribute("aria-sort", falling ? "descending" : "ascending");
        const rows = [...body.rows].sort((a, b) => compare(value(a, column), value(b, column)));
        body.append(...(falling ? rows.reverse() : rows));
      });
    });
  }
})();
