// The list of segments: sorted, and only as many rows in the page as can be seen.
const ROW_HEIGHT = 36;
const SPARE_ROWS = 8;

const COLUMNS = [
  { key: "label", head: "Class", text: (model, item) => model.name(item),
    order: (model) => (a, b) => model.name(a).localeCompare(model.name(b)) || a.start - b.start },
  { key: "start", head: "Start", text: (_, item) => clockText(item.start),
    order: () => (a, b) => a.start - b.start || a.end - b.end },
  { key: "end", head: "End", text: (_, item) => clockText(item.end),
    order: () => (a, b) => a.end - b.end || a.start - b.start },
  { key: "length", head: "Length",
    text: (_, item) => `${((item.end - item.start) / 1000).toFixed(2)} s`,
    order: () => (a, b) => a.end - a.start - (b.end - b.start) || a.start - b.start },
  { key: "score", head: "Score", text: (_, item) => (item.kind === "segment" ? item.score.toFixed(2) : ""),
    order: () => (a, b) => (a.score ?? -Infinity) - (b.score ?? -Infinity) || b.start - a.start },
  { key: "verdict", head: "tIoU", text: (model, item) => verdictText(model, item), judged: true,
    order: (model) => (a, b) => verdictRank(model, a) - verdictRank(model, b) || a.start - b.start },
];

function verdictText(model, item) {
  const verdict = model.verdictOf(item);
  if (verdict === "match") return `✓ ${item.tiou.toFixed(2)}`;
  return verdict === "false" ? `✕ ${item.tiou.toFixed(2)}` : "missed";
}

function verdictRank(model, item) {
  return { miss: 3, false: 2, match: 1 }[model.verdictOf(item)] - (item.tiou || 0);
}

class Table {
  constructor(model, chosen) {
    Object.assign(this, { model, chosen, rows: [], sort: "start", falling: false, active: 0, current: null });
    this.columns = COLUMNS.filter((column) => !column.judged || model.judged);
    this.list = element("list");
    this.body = element("rows");
    this.list.querySelector("table").classList.toggle("judged", model.judged);
    if (model.duration >= 600000) this.list.querySelector("table").classList.add(model.duration < 3600000 ? "minutes" : "hours");
    this.heads();
    this.list.addEventListener("scroll", oncePerFrame(() => this.draw()), { passive: true });
    new ResizeObserver(oncePerFrame(() => this.draw())).observe(this.list);
    this.body.addEventListener("click", (event) => this.click(event));
    this.body.addEventListener("keydown", (event) => this.key(event));
  }

  heads() {
    for (const column of this.columns) {
      const button = make("button", { type: "button" }, column.head);
      button.addEventListener("click", () => this.sortBy(column.key));
      const head = make("th", { scope: "col", className: column.key }, button);
      element("heads").append(head);
    }
  }

  sortBy(key) {
    this.falling = this.sort === key ? !this.falling : key === "score";
    this.sort = key;
    this.list.scrollTop = 0;
    this.active = 0;
    this.update();
  }

  // After the filters or the order changed.
  update() {
    const column = this.columns.find((c) => c.key === this.sort);
    const order = column.order(this.model);
    this.rows = this.model.rows().sort((a, b) => (this.falling ? order(b, a) : order(a, b)));
    [...element("heads").children].forEach((head, i) => {
      const sorted = this.columns[i].key === this.sort;
      const arrow = sorted ? (this.falling ? " ↓" : " ↑") : "";
      head.setAttribute("aria-sort", sorted ? (this.falling ? "descending" : "ascending") : "none");
      head.firstChild.textContent = this.columns[i].head + arrow;
    });
    this.list.querySelector("table").setAttribute("aria-rowcount", this.rows.length + 1);
    this.active = Math.min(this.active, Math.max(0, this.rows.length - 1));
    element("empty").hidden = this.rows.length > 0;
    element("empty").textContent = this.model.segments.length + this.model.truth.length
      ? "No segment passes the filters." : "Nothing was found in this video.";
    this.draw();
  }

  draw() {
    const focused = this.body.contains(document.activeElement);
    const first = Math.max(0, Math.floor(this.list.scrollTop / ROW_HEIGHT) - SPARE_ROWS);
    const n = Math.ceil(this.list.clientHeight / ROW_HEIGHT) + 2 * SPARE_ROWS;
    const shown = this.rows.slice(first, first + n);
    // Rows stay where nothing changed: a click begins and ends on one element, and so does a screen reader.
    const drawn = [this.rows, this.current, this.active, first, shown.length];
    if (drawn.every((value, i) => value === this.drawn?.[i])) return;
    this.drawn = drawn;
    this.body.replaceChildren(
      this.gap(first),
      ...shown.map((item, i) => this.row(item, first + i)),
      this.gap(this.rows.length - first - shown.length),
    );
    if (!this.body.querySelector("button[tabindex='0']")) this.body.querySelector("button")?.setAttribute("tabindex", "0");
    if (focused) this.buttonOf(this.active)?.focus({ preventScroll: true });
  }

  gap(n) {
    const cell = make("td"); // a `colspan` would make a column of one that is hidden
    cell.style.height = `${n * ROW_HEIGHT}px`;
    const row = make("tr", { className: "gap" }, cell);
    row.setAttribute("aria-hidden", "true");
    return row;
  }

  row(item, index) {
    const button = make("button", { type: "button", tabIndex: index === this.active ? 0 : -1 },
      swatch(this.model.labels[item.label]), make("span", {}, this.model.name(item)));
    button.setAttribute("aria-label", `Play ${this.model.words(item)}`);
    button.title = this.model.name(item);
    const row = make("tr", {}, make("td", { className: "what" }, button));
    for (const column of this.columns.slice(1)) {
      const cell = make("td", { className: column.key }, column.text(this.model, item));
      if (column.judged) cell.classList.add(this.model.verdictOf(item));
      row.append(cell);
    }
    row.dataset.index = index;
    row.setAttribute("aria-rowindex", index + 2);
    if (item === this.current) row.setAttribute("aria-current", "true");
    return row;
  }

  buttonOf(index) {
    return this.body.querySelector(`tr[data-index="${index}"] button`);
  }

  click(event) {
    const row = event.target.closest("tr[data-index]");
    if (!row) return;
    this.active = Number(row.dataset.index);
    this.chosen(this.rows[this.active]);
  }

  key(event) {
    const last = this.rows.length - 1;
    const page = Math.max(1, Math.floor(this.list.clientHeight / ROW_HEIGHT) - 2);
    const to = { ArrowDown: this.active + 1, ArrowUp: this.active - 1, Home: 0, End: last,
      PageDown: this.active + page, PageUp: this.active - page }[event.key];
    if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    this.active = Math.min(Math.max(0, to), last);
    this.reveal(this.active);
    this.draw();
    this.buttonOf(this.active)?.focus({ preventScroll: true });
  }

  // Mark what plays, and bring it into view.
  setCurrent(item) {
    this.current = item;
    const index = this.rows.indexOf(item);
    if (index >= 0) {
      this.active = index;
      this.reveal(index);
    }
    this.draw();
  }

  reveal(index) {
    const head = element("heads").offsetHeight;
    const [top, bottom] = [index * ROW_HEIGHT, (index + 1) * ROW_HEIGHT + head];
    if (top < this.list.scrollTop) this.list.scrollTop = top;
    else if (bottom > this.list.scrollTop + this.list.clientHeight) this.list.scrollTop = bottom - this.list.clientHeight;
  }

  // The next row in time, or the one before.
  neighbour(time, direction) {
    const inTime = [...this.rows].sort((a, b) => a.start - b.start || b.score - a.score || a.end - b.end);
    const at = inTime.indexOf(this.current);
    if (at >= 0) return inTime[at + direction];
    return direction > 0 ? inTime.find((item) => item.start > time) : inTime.findLast((item) => item.start < time);
  }
}
