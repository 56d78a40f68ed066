// The page's data as objects, and which of them pass the filters. Times are milliseconds.
class Model {
  constructor(data) {
    this.data = data;
    this.video = data.video;
    this.duration = data.duration_ms;
    this.labels = data.labels;
    this.judged = data.truth !== null;
    this.segments = data.segments.map(([label, start, end, score, instance, tiou], place) => (
      { kind: "segment", place, label, start, end, score, instance, tiou }));
    this.truth = (data.truth || []).map(([label, start, end, taker], place) => (
      { kind: "truth", place, label, start, end, taker }));
    this.curves = data.curves && unpackCurves(data.curves);
    this.least = -Infinity;
    this.label = -1;
    this.verdict = "";
    this.order = this.laneOrder();
  }

  // Classes by their best segment, then those of the ground truth, then those with a curve alone.
  laneOrder() {
    const best = this.labels.map(() => -Infinity);
    for (const s of this.segments) best[s.label] = Math.max(best[s.label], s.score);
    const real = new Set(this.truth.map((t) => t.label));
    const rank = (label) => (best[label] > -Infinity ? 0 : real.has(label) ? 1 : 2);
    return this.labels.map((_, label) => label)
      .sort((a, b) => rank(a) - rank(b) || best[b] - best[a] || a - b);
  }

  // A segment counts from the bound upwards. Better segments chose first, so the bound changes no match.
  counts(segment) {
    return segment.score >= this.least;
  }

  verdictOf(item) {
    if (!this.judged) return "";
    if (item.kind === "segment") return item.instance >= 0 ? "match" : "false";
    return this.found(item) ? "found" : "miss";
  }

  found(instance) {
    return instance.taker >= 0 && this.counts(this.segments[instance.taker]);
  }

  passes(item) {
    if (this.label >= 0 && item.label !== this.label) return false;
    const verdict = this.verdictOf(item);
    if (item.kind === "truth" && verdict !== "miss") return false;
    if (item.kind === "segment" && !this.counts(item)) return false;
    if (this.verdict === "error") return verdict !== "match";
    return !this.verdict || this.verdict === verdict;
  }

  // Rows of the table: segments that pass, and instances that were missed.
  rows() {
    return [...this.segments, ...this.truth].filter((item) => this.passes(item));
  }

  name(item) {
    return this.labels[item.label].name;
  }

  // What is to be said of an item, for tips and for screen readers.
  words(item) {
    const times = `${clockText(item.start)} to ${clockText(item.end)}`;
    if (item.kind === "truth") {
      const fate = this.found(item)
        ? `found with tIoU ${this.segments[item.taker].tiou.toFixed(2)}` : "missed";
      return `ground truth: ${this.name(item)}, ${times}, ${fate}`;
    }
    return `${this.name(item)}, ${times}, score ${item.score.toFixed(2)}${this.verdictWords(item, ", ")}`;
  }

  verdictWords(item, before = "") {
    const verdict = this.verdictOf(item);
    if (verdict === "match") return `${before}match, tIoU ${item.tiou.toFixed(2)}`;
    if (verdict === "false") return `${before}false positive, best tIoU ${item.tiou.toFixed(2)}`;
    return verdict === "miss" ? `${before}missed` : "";
  }
}

function unpackCurves(curves) {
  const values = (text) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    return Float32Array.from({ length: bytes.length / 2 }, (_, i) => view.getUint16(2 * i, true) / curves.steps);
  };
  const byLabel = new Map(curves.labels.map((label, i) => [label, values(curves.activations[i])]));
  const attention = curves.attention === null ? null : values(curves.attention);
  let top = Math.max(0, ...curves.alphas);
  for (const series of byLabel.values()) for (const value of series) top = Math.max(top, value);
  return { times: Float64Array.from(curves.times_ms), byLabel, attention, top: niceTop(top),
    alphas: curves.alphas, betas: curves.betas };
}

// The top of an axis: 1, 0.5, 0.2, 0.1, ... so that the largest value still fits.
function niceTop(largest) {
  let top = 1;
  for (let i = 1; top * [0.5, 0.4, 0.5][(i - 1) % 3] >= largest && i < 12; i += 1) {
    top = Number((top * [0.5, 0.4, 0.5][(i - 1) % 3]).toPrecision(1));
  }
  return top;
}

// Place of the last time at or before `ms`; -1 before the first.
function placeBefore(times, ms) {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= ms) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function valueAt(times, values, ms) {
  const before = Math.max(0, placeBefore(times, ms));
  const after = Math.min(before + 1, times.length - 1);
  const gap = times[after] - times[before];
  const weight = gap > 0 ? Math.min(1, Math.max(0, (ms - times[before]) / gap)) : 0;
  return values[before] + (values[after] - values[before]) * weight;
}
