// What the lanes look like on a canvas.
class Drawing {
  constructor(model) {
    this.model = model;
    this.patterns = new Map();
    this.theme();
  }

  // Colours of the page, light or dark.
  theme() {
    this.colours = Object.fromEntries(["text", "muted", "line", "edge", "good", "bad", "accent", "panel", "shade"]
      .map((name) => [name, colourOf(`--${name}`)]));
  }

  fill(pen, label) {
    const style = this.model.labels[label];
    if (!style.pattern) return style.colour;
    if (!this.patterns.has(label)) this.patterns.set(label, pen.createPattern(patternTile(style), "repeat"));
    return this.patterns.get(label);
  }

  grid(pen, ticks, view, height) {
    pen.strokeStyle = this.colours.line;
    pen.lineWidth = 1;
    pen.beginPath();
    for (const tick of ticks.at) {
      const x = Math.round(view.x(tick)) + 0.5;
      pen.moveTo(x, 0);
      pen.lineTo(x, height);
    }
    pen.stroke();
  }

  ruler(pen, ticks, view, height) {
    pen.font = "12px system-ui, sans-serif";
    pen.fillStyle = this.colours.muted;
    pen.strokeStyle = this.colours.edge;
    pen.textBaseline = "middle";
    pen.beginPath();
    for (const tick of ticks.at) {
      const x = Math.round(view.x(tick)) + 0.5;
      pen.moveTo(x, height - 7);
      pen.lineTo(x, height);
      const text = clockText(tick, ticks.decimals);
      const width = pen.measureText(text).width;
      const left = Math.min(Math.max(x - width / 2, 2), view.right - width - 2);
      if (x - width / 2 > view.left - 20) pen.fillText(text, left, height / 2 - 2);
    }
    pen.stroke();
  }

  block(pen, block, view, current) {
    pen.save();
    pen.beginPath();
    pen.rect(view.left, block.top, view.right - view.left, block.bottom - block.top);
    pen.clip();
    if (block.curveY !== undefined) this.curve(pen, block, view);
    for (const instance of block.truth || []) {
      if (view.shows(instance)) this.instance(pen, instance, view, block.truthY, instance === current);
    }
    for (const segment of block.segments || []) {
      if (view.shows(segment) && this.model.passes(segment)) {
        this.segment(pen, segment, view, block.rowsY + block.rowOf.get(segment) * ROW, segment === current);
      }
    }
    pen.restore();
    if (block.curveY !== undefined) this.thresholds(pen, block, view);
    pen.fillStyle = this.colours.line;
    pen.fillRect(0, block.bottom - 1, view.right, 1);
  }

  segment(pen, segment, view, y, isCurrent) {
    const { x, width } = view.box(segment);
    const style = this.model.labels[segment.label];
    const wrong = this.model.verdictOf(segment) === "false";
    const height = ROW - 3;
    pen.fillStyle = this.fill(pen, segment.label);
    pen.globalAlpha = wrong ? 0.45 : 1;
    pen.fillRect(x, y, width, height);
    pen.globalAlpha = 1;
    if (width > 3) {
      pen.strokeStyle = wrong ? this.colours.bad : this.colours.edge;
      pen.lineWidth = 1;
      pen.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
    }
    if (wrong) {
      pen.fillStyle = this.colours.bad;
      pen.fillRect(x, y + height - 3, width, 3);
    }
    if (isCurrent) this.outline(pen, x, y, width, height);
    const mark = this.model.judged ? (wrong ? "✕ " : "✓ ") : "";
    const text = `${mark}${segment.score.toFixed(2)}`;
    const fits = width > 7 * text.length ? text : mark && width > 14 ? mark.trim() : "";
    if (fits && !style.pattern) {
      pen.font = "11px system-ui, sans-serif";
      pen.textBaseline = "middle";
      pen.fillStyle = wrong ? this.colours.text : style.ink;
      pen.fillText(fits, Math.max(x, view.left) + 4, y + height / 2 + 0.5 - (wrong ? 1 : 0));
    } else if (fits) {
      this.label(pen, fits, Math.max(x, view.left) + 3, y, height);
    }
  }

  // Text upon a pattern stands on a plate of its own.
  label(pen, text, x, y, height) {
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    const width = pen.measureText(text).width;
    pen.fillStyle = this.colours.panel;
    pen.fillRect(x - 1, y + 2, width + 4, height - 4);
    pen.fillStyle = this.colours.text;
    pen.fillText(text, x + 1, y + height / 2 + 0.5);
  }

  // An instance of the ground truth: hollow, and dashed where nothing found it.
  instance(pen, instance, view, y, isCurrent) {
    const { x, width } = view.box(instance);
    const missed = !this.model.found(instance);
    pen.fillStyle = this.fill(pen, instance.label);
    pen.globalAlpha = missed ? 0.08 : 0.3;
    pen.fillRect(x, y, width, TRUTH_ROW);
    pen.globalAlpha = 1;
    pen.strokeStyle = missed ? this.colours.bad : this.colours.text;
    pen.lineWidth = 1.5;
    pen.setLineDash(missed ? [4, 3] : []);
    pen.strokeRect(x + 0.75, y + 0.75, Math.max(width - 1.5, 0.5), TRUTH_ROW - 1.5);
    pen.setLineDash([]);
    if (isCurrent) this.outline(pen, x, y, width, TRUTH_ROW);
    if (width > 52) {
      pen.font = "11px system-ui, sans-serif";
      pen.textBaseline = "middle";
      pen.fillStyle = missed ? this.colours.bad : this.colours.text;
      pen.fillText(missed ? "missed" : "truth", Math.max(x, view.left) + 5, y + TRUTH_ROW / 2 + 0.5);
    }
  }

  outline(pen, x, y, width, height) {
    pen.strokeStyle = this.colours.text;
    pen.lineWidth = 2;
    pen.strokeRect(x, y, width, height);
  }

  curve(pen, block, view) {
    const isAttention = block.label < 0;
    this.trace(this.model.curves.times, block.curve, view, this.height(block), block.curveY + CURVE);
    pen.fillStyle = isAttention ? this.colours.muted : this.fill(pen, block.label);
    pen.globalAlpha = isAttention ? 0.35 : 0.5;
    pen.fill(this.area);
    pen.globalAlpha = 1;
    pen.strokeStyle = this.colours.text;
    pen.lineWidth = 1;
    pen.stroke(this.line);
  }

  // From a value of a curve to its place on the canvas.
  height(block) {
    const scale = CURVE / (block.label < 0 ? 1 : this.model.curves.top);
    return (value) => block.curveY + CURVE - Math.min(value * scale, CURVE);
  }

  // The curve as a path: every row where there is room, else the least and the most of each pixel.
  trace(times, values, view, height, base) {
    const first = Math.max(0, placeBefore(times, view.from));
    const last = Math.min(times.length - 1, placeBefore(times, view.to) + 1);
    const points = [];
    const perPixel = (view.to - view.from) / (view.right - view.left);
    if (last - first < 2 * (view.right - view.left)) {
      for (let i = first; i <= last; i += 1) points.push([view.x(times[i]), height(values[i])]);
    } else {
      for (let i = first; i <= last;) {
        const pixel = Math.floor(view.x(times[i]));
        const end = view.from + (pixel + 1 - view.left) * perPixel;
        let [low, high] = [values[i], values[i]];
        for (i += 1; i <= last && times[i] < end; i += 1) {
          if (values[i] < low) low = values[i];
          else if (values[i] > high) high = values[i];
        }
        points.push([pixel, height(low)], [pixel + 0.5, height(high)]);
      }
    }
    // The ends of the video hold the first and the last row.
    if (first === 0) points.unshift([Math.min(view.x(0), points[0][0]), points[0][1]]);
    if (last === times.length - 1) points.push([Math.max(view.x(this.model.duration), points.at(-1)[0]), points.at(-1)[1]]);
    this.line = new Path2D();
    for (const [x, y] of points) this.line.lineTo(x, y);
    this.area = new Path2D(this.line);
    this.area.lineTo(points.at(-1)[0], base);
    this.area.lineTo(points[0][0], base);
    this.area.closePath();
  }

  // Many thresholds are a band, and its bounds say enough. Their values stand left of the curve, where there
  // is room, so that they hide nothing.
  thresholds(pen, block, view) {
    const { alphas, betas } = this.model.curves;
    const [thresholds, letter] = block.label < 0 ? [betas, "β"] : [alphas, "α"];
    const height = this.height(block);
    if (!thresholds.length) return;
    const [low, high] = [Math.min(...thresholds), Math.max(...thresholds)];
    const lines = thresholds.length > 4 ? [low, high] : thresholds;
    pen.fillStyle = pen.strokeStyle = this.colours.muted;
    pen.lineWidth = 1;
    if (lines !== thresholds) {
      pen.globalAlpha = 0.1;
      pen.fillRect(view.left, height(high), view.right - view.left, height(low) - height(high));
      pen.globalAlpha = 1;
    }
    pen.setLineDash([5, 4]);
    pen.beginPath();
    for (const value of lines) {
      const y = Math.round(height(value)) + 0.5;
      pen.moveTo(view.left, y);
      pen.lineTo(view.right, y);
    }
    pen.stroke();
    pen.setLineDash([]);
    const text = `${letter} ${low === high ? low : `${low} – ${high}`}`;
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    const width = pen.measureText(text).width;
    if (view.left) {
      pen.fillText(text, view.left - width - 8, (height(low) + height(high)) / 2);
    } else {
      pen.fillText(text, view.right - width - 6, block.top + 13);
    }
  }
}

// Round times for a ruler, some 90 pixels apart.
function ticksOf(view) {
  const wanted = (view.to - view.from) / Math.max(1, (view.right - view.left) / 90);
  const steps = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 15000, 30000, 60000, 120000, 300000, 600000,
    900000, 1800000, 3600000, 7200000];
  const step = steps.find((s) => s >= wanted) || 14400000;
  const at = [];
  for (let t = Math.ceil(view.from / step) * step; t <= view.to; t += step) at.push(t);
  return { at, decimals: step < 100 ? 2 : step < 1000 ? 1 : 0 };
}
