"use strict";
// Choosing and sorting. Everything is on the page without it.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  document.documentElement.classList.add("scripted");

  // Tables: by a column, numbers first downwards, text first upwards.
  const key = (row, column) => {
    const text = row.cells[column].textContent.trim();
    return text === "" ? null : Number.isNaN(Number(text)) ? text.toLowerCase() : Number(text);
  };
  const compare = (a, b) => {
    if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1; // empty ones last, either way
    if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : 0;
    return typeof a === "number" ? -1 : 1;
  };
  const sort = (table, column, direction) => {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [key(row, column), row]);
    rows.sort(([a], [b]) => (a === null || b === null ? compare(a, b) : direction * compare(a, b)));
    body.append(...rows.map(([, row]) => row));
    all("thead th", table).forEach((head, place) => {
      if (place === column) head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
  };
  for (const table of all("table")) {
    all("thead th", table).forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const before = head.getAttribute("aria-sort");
        const first = column === 0 ? 1 : -1;
        sort(table, column, before === null ? first : before === "ascending" ? -1 : 1);
      });
    });
  }

  // Copying: as lines with tabs, which spreadsheets take.
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = document.createElement("textarea"); // a page from the disk may have no clipboard
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  };
  for (const button of all("[data-copy]")) {
    const says = button.textContent;
    button.addEventListener("click", async () => {
      const table = button.closest(".table").querySelector("table");
      const line = (row) => [...row.cells].map((cell) => cell.textContent.trim()).join("\t");
      const done = await copy([...table.rows].map(line).join("\n") + "\n");
      button.textContent = done ? "Copied" : "Not allowed here";
      setTimeout(() => { button.textContent = says; }, 1500);
    });
  }

  // Which of its numbers each bar and cell shows.
  const choose = (section, place) => {
    const at = (node) => JSON.parse(node.dataset.values)[place];
    for (const svg of all("svg[data-per-unit]", section)) {
      const perUnit = Number(svg.dataset.perUnit);
      for (const bar of all(".bar[data-values]", svg)) {
        const value = at(bar);
        bar.setAttribute("width", Math.max(value * perUnit, 0));
        const title = bar.querySelector("title");
        title.textContent = title.textContent.replace(/[^ ]*$/, value.toFixed(3));
        const text = bar.nextElementSibling;
        text.setAttribute("x", Number(bar.getAttribute("x")) + value * perUnit + 4);
        text.textContent = value.toFixed(3);
      }
    }
    for (const cell of all("td[data-values]", section)) cell.textContent = at(cell).toFixed(3);
    for (const table of all("table", section)) {
      const head = table.querySelector("[aria-sort]");
      if (head) sort(table, head.cellIndex, head.getAttribute("aria-sort") === "ascending" ? 1 : -1);
    }
  };
  for (const select of all("select[data-choose]")) {
    const section = select.closest("section");
    const show = () => choose(section, select.selectedIndex);
    select.addEventListener("change", show);
    if (select.selectedIndex > 0) show(); // a browser may remember
  }

  // One video at a time.
  for (const select of all("select[data-videos]")) {
    const figures = all("figure[data-video]", select.closest("section"));
    const show = () => figures.forEach((figure, place) => { figure.hidden = place !== select.selectedIndex; });
    select.addEventListener("change", show);
    show();
  }
  for (const box of all("input[data-rest]")) {
    const show = () => box.closest("section").classList.toggle("no-rest", !box.checked);
    box.addEventListener("change", show);
    show();
  }
})();
