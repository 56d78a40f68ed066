// The timeline: what part of the video it shows, and what pointers do to it.
const NARROW = 700;
const GUTTER = 170;
const LEAST_SPAN = 200;

class Timeline {
  constructor(model, hooks) {
    Object.assign(this, { model, hooks, from: 0, to: model.duration, current: null, time: 0, pointers: new Map() });
    this.lanes = new Lanes(model);
    this.drawing = new Drawing(model);
    [this.box, this.scroller, this.canvas, this.rulerCanvas, this.overview] =
      ["lanes", "scroller", "canvas", "ruler", "overview"].map(element);
    this.redraw = oncePerFrame(() => this.draw());
    this.names = new Map();
    this.listen();
    new ResizeObserver(() => this.layout()).observe(this.box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.drawing.theme();
      this.redraw();
    });
    this.layout();
  }

  listen() {
    this.scroller.addEventListener("scroll", this.redraw, { passive: true });
    for (const canvas of [this.canvas, this.rulerCanvas]) {
      canvas.addEventListener("pointerdown", (event) => this.down(event));
      canvas.addEventListener("pointermove", (event) => this.move(event));
      canvas.addEventListener("pointerup", (event) => this.up(event, true));
      canvas.addEventListener("pointercancel", (event) => this.up(event, false));
      canvas.addEventListener("pointerleave", () => this.hover(null));
    }
    this.box.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    const jump = (event) => this.show(this.overviewTime(event) - this.span / 2, this.span);
    this.overview.addEventListener("pointerdown", (event) => {
      this.overview.setPointerCapture(event.pointerId);
      jump(event);
    });
    this.overview.addEventListener("pointermove", (event) => event.buttons && jump(event));
  }

  get span() {
    return this.to - this.from;
  }

  // Times to pixels, for what is drawn now.
  get view() {
    const { from, to, left, width } = this;
    const scale = (width - left) / (to - from);
    return { from, to, left, right: width, x: (ms) => left + (ms - from) * scale,
      shows: (item) => item.end > from && item.start < to,
      box: (item) => {
        const x = left + (item.start - from) * scale;
        return { x, width: Math.max((item.end - item.start) * scale, 1.5) };
      } };
  }

  layout() {
    this.laidOut = this.model.label;
    this.width = this.box.clientWidth;
    const narrow = this.width < NARROW;
    this.left = narrow ? 0 : GUTTER;
    // Below each other, so that a time lies at one place on both.
    this.overview.style.width = `${this.width - this.left}px`;
    this.overview.style.marginLeft = `${this.left + 1}px`;
    this.lanes.layout(element("curves").checked, narrow ? 20 : 0);
    // On a phone the page scrolls, not a box inside it, as far as a canvas can be made that tall.
    const visible = Math.min(this.lanes.height, narrow ? 2000 : Math.max(280, Math.min(window.innerHeight * 0.64, 720)));
    this.visible = visible;
    this.scroller.style.height = `${visible}px`;
    this.canvas.style.height = `${visible}px`;
    element("names").style.height = `${this.lanes.height}px`;
    // The names' height makes the scroller scroll; the canvas stays in view.
    this.canvas.style.marginBottom = `${this.lanes.height - visible}px`;
    this.placeNames(narrow);
    this.redraw();
  }

  placeNames(narrow) {
    const shown = new Set();
    for (const block of this.lanes.blocks) {
      const name = this.nameOf(block.label);
      name.style.top = `${narrow ? block.top : block.namesY}px`;
      name.style.width = narrow ? "max-content" : `${GUTTER - 4}px`;
      name.style.maxWidth = `${narrow ? this.width : GUTTER - 4}px`;
      shown.add(block.label);
    }
    for (const [label, name] of this.names) name.hidden = !shown.has(label);
  }

  nameOf(label) {
    if (!this.names.has(label)) {
      const name = label < 0 ? make("div", {}, make("span", {}, "attention"))
        : make("button", { type: "button", title: this.model.labels[label].name }, swatch(this.model.labels[label]),
          make("span", {}, this.model.labels[label].name));
      name.className = "lane";
      if (label >= 0) {
        name.setAttribute("aria-pressed", "false");
        name.addEventListener("click", () => this.hooks.pick(label));
      }
      element("names").append(name);
      this.names.set(label, name);
    }
    return this.names.get(label);
  }

  // After the filters changed.
  update() {
    // Asking for sizes right after the table changed is dear, and only a class alone changes the lanes.
    if (this.laidOut === this.model.label) {
      this.redraw();
      return;
    }
    for (const [label, name] of this.names) {
      if (label >= 0) name.setAttribute("aria-pressed", String(label === this.model.label));
    }
    this.layout();
  }

  // The part of the video from `from` on, of length `span`.
  show(from, span) {
    const length = Math.min(Math.max(span, Math.min(LEAST_SPAN, this.model.duration)), this.model.duration);
    this.from = Math.min(Math.max(0, from), this.model.duration - length);
    this.to = this.from + length;
    this.redraw();
  }

  zoom(factor, around = this.time >= this.from && this.time <= this.to ? this.time : (this.from + this.to) / 2) {
    const span = Math.min(Math.max(this.span * factor, LEAST_SPAN), this.model.duration);
    this.show(around - ((around - this.from) / this.span) * span, span);
  }

  pan(share) {
    this.show(this.from + share * this.span, this.span);
  }

  // Bring an item into view.
  reveal(item) {
    const inside = item.start >= this.from && item.end <= this.to;
    if (!inside) this.show((item.start + item.end) / 2 - this.span / 2, Math.max(this.span, (item.end - item.start) * 1.2));
    const block = this.lanes.blocks.find((b) => b.label === item.label);
    if (!block) return;
    const [top, bottom] = [this.scroller.scrollTop, this.scroller.scrollTop + this.visible];
    if (block.top < top || block.bottom > bottom) this.scroller.scrollTop = block.top;
  }

  setCurrent(item) {
    this.current = item;
    this.redraw();
  }

  // Where playback is. A page is turned when the playhead leaves it.
  setTime(time, playing) {
    this.time = time;
    if (playing && !this.pointers.size && this.span < this.model.duration && (time < this.from || time > this.to)) {
      this.show(time - this.span * 0.05, this.span);
    }
    this.placePlayhead();
  }

  placePlayhead() {
    const x = this.view.x(this.time);
    const head = element("playhead");
    head.style.visibility = x < this.left - 1 || x > this.width + 1 ? "hidden" : "visible";
    head.style.transform = `translateX(${Math.round(x * 10) / 10}px)`;
  }

  draw() {
    const view = this.view;
    const ticks = ticksOf(view);
    const pen = fitCanvas(this.canvas, this.width, this.visible);
    const top = this.scroller.scrollTop;
    this.drawing.grid(pen, ticks, view, this.visible);
    pen.translate(0, -top);
    for (const block of this.lanes.blocks) {
      if (block.bottom > top && block.top < top + this.visible) this.drawing.block(pen, block, view, this.current);
    }
    this.drawing.ruler(fitCanvas(this.rulerCanvas, this.width, 26), ticks, view, 26);
    this.drawOverview();
    this.placePlayhead();
    element("window").textContent = this.span < this.model.duration
      ? `${clockText(this.from, 1)} – ${clockText(this.to, 1)}` : "";
    for (const [id, off] of [["earlier", this.from <= 0], ["later", this.to >= this.model.duration],
      ["zoom-out", this.span >= this.model.duration], ["zoom-all", this.span >= this.model.duration],
      ["zoom-in", this.span <= LEAST_SPAN]]) element(id).disabled = off;
  }

  drawOverview() {
    const [width, height] = [this.overview.clientWidth, 28];
    const pen = fitCanvas(this.overview, width, height);
    const x = (ms) => (ms / this.model.duration) * width;
    const row = (height - 4) / Math.max(this.lanes.lanes.length, 1);
    this.lanes.lanes.forEach((lane, i) => {
      pen.fillStyle = this.model.labels[lane.label].colour;
      for (const s of lane.segments) {
        if (this.model.passes(s)) pen.fillRect(x(s.start), 2 + i * row, Math.max(x(s.end - s.start), 1), Math.max(row - 1, 1.5));
      }
    });
    if (this.span < this.model.duration) {
      pen.fillStyle = this.drawing.colours.shade;
      pen.fillRect(x(this.from), 0, x(this.span), height);
      pen.strokeStyle = this.drawing.colours.accent;
      pen.lineWidth = 2;
      pen.strokeRect(x(this.from) + 1, 1, Math.max(x(this.span) - 2, 2), height - 2);
    }
  }

  overviewTime(event) {
    return (event.offsetX / this.overview.clientWidth) * this.model.duration;
  }

  timeAt(offsetX) {
    return this.from + ((offsetX - this.left) / (this.width - this.left)) * this.span;
  }

  // The segment or instance under a pointer, and the lane.
  hit(event) {
    if (event.target !== this.canvas || event.offsetX < this.left) return {};
    const place = this.lanes.at(event.offsetY + this.scroller.scrollTop);
    if (!place) return {};
    const view = this.view;
    const under = (item) => {
      const { x, width } = view.box(item);
      return event.offsetX >= x - 2 && event.offsetX <= x + width + 2;
    };
    const { block } = place;
    if (place.truth) return { block, item: block.truth.find(under) };
    if (place.row === undefined) return { block };
    const found = block.segments.filter((s) => block.rowOf.get(s) === place.row && this.model.passes(s) && under(s));
    return { block, item: found.sort((a, b) => a.end - a.start - (b.end - b.start))[0] };
  }

  down(event) {
    if (event.button > 0) return;
    this.pointers.set(event.pointerId, { x: event.offsetX, from: event.offsetX, moved: false });
    event.target.setPointerCapture(event.pointerId);
  }

  move(event) {
    const pointer = this.pointers.get(event.pointerId);
    if (!pointer) {
      this.hover(event);
      return;
    }
    const before = [...this.pointers.values()].map((p) => p.x);
    const step = event.offsetX - pointer.x;
    if (!pointer.moved && Math.abs(event.offsetX - pointer.from) < 5) return;
    pointer.moved = true;
    pointer.x = event.offsetX;
    this.hover(null);
    if (this.pointers.size === 2) {
      const after = [...this.pointers.values()].map((p) => p.x);
      const [was, is] = [Math.abs(before[0] - before[1]), Math.abs(after[0] - after[1])];
      if (was > 10 && is > 10) this.zoom(was / is, this.timeAt((after[0] + after[1]) / 2));
    } else {
      this.canvas.classList.add("grabbing");
      this.show(this.from - (step / (this.width - this.left)) * this.span, this.span);
    }
  }

  up(event, done) {
    const pointer = this.pointers.get(event.pointerId);
    this.pointers.delete(event.pointerId);
    this.canvas.classList.remove("grabbing");
    if (!done || !pointer || pointer.moved || event.offsetX < this.left) return;
    const { item } = this.hit(event);
    if (item) this.hooks.choose(item);
    else this.hooks.seek(this.timeAt(event.offsetX));
  }

  wheel(event) {
    const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (event.ctrlKey || event.metaKey) {
      const x = event.clientX - this.box.getBoundingClientRect().left;
      this.zoom(Math.exp(Math.max(-50, Math.min(50, event.deltaY)) / 100), this.timeAt(Math.max(x, this.left)));
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      this.show(this.from + (sideways / this.width) * this.span, this.span);
    } else {
      return;
    }
    event.preventDefault();
  }

  hover(event) {
    const inside = event && event.offsetX >= this.left && event.offsetX <= this.width;
    element("cursor").hidden = !inside;
    if (!inside) {
      this.hooks.tip(null);
      return;
    }
    element("cursor").style.transform = `translateX(${event.offsetX}px)`;
    const time = this.timeAt(event.offsetX);
    const { block, item } = this.hit(event);
    const lines = item ? [this.model.words(item)] : [clockText(time)];
    if (block?.curve && block.curveY !== undefined) {
      const value = valueAt(this.model.curves.times, block.curve, time).toFixed(3);
      lines.push(block.label < 0 ? `attention ${value}` : `${this.model.labels[block.label].name}: activation ${value}`);
    }
    this.hooks.tip(lines.join("\n"), event.clientX, event.clientY);
  }
}
