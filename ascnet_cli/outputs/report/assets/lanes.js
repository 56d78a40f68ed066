// Where lanes, rows and curves lie: one block a class, laid out once, whatever the filters show.
const ROW = 18;
const TRUTH_ROW = 14;
const CURVE = 44;
const MAX_ROWS = 5;

// Overlapping segments of a class go into rows below each other, the best on top.
function packRows(segments) {
  const rows = [];
  const rowOf = new Map();
  for (const segment of [...segments].sort((a, b) => b.score - a.score)) {
    let row = rows.findIndex((taken) => fits(taken, segment));
    if (row < 0) row = rows.length < MAX_ROWS ? rows.push([]) - 1 : MAX_ROWS - 1;
    const taken = rows[row];
    taken.splice(placeOf(taken, segment.start), 0, segment);
    rowOf.set(segment, row);
  }
  return { nRows: rows.length, rowOf };
}

// Place of the first segment in a row that starts after `start`.
function placeOf(taken, start) {
  let [low, high] = [0, taken.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (taken[middle].start <= start) low = middle + 1;
    else high = middle;
  }
  return low;
}

function fits(taken, segment) {
  const place = placeOf(taken, segment.start);
  return (place === 0 || taken[place - 1].end <= segment.start)
    && (place === taken.length || taken[place].start >= segment.end);
}

class Lanes {
  constructor(model) {
    this.model = model;
    this.lanes = model.order.map((label) => {
      const segments = model.segments.filter((s) => s.label === label);
      return { label, segments, truth: model.truth.filter((t) => t.label === label), ...packRows(segments),
        curve: model.curves?.byLabel.get(label) || null };
    });
    this.blocks = [];
    this.height = 0;
  }

  // Heights and positions, for what is shown. `above`: space for a name over each lane.
  layout(withCurves, above) {
    this.blocks = [];
    let y = 0;
    const add = (block) => {
      block.top = y;
      block.namesY = y + 4;
      y += above + 6;
      if (block.truth?.length) {
        block.truthY = y;
        y += TRUTH_ROW + 3;
      }
      block.rowsY = y;
      y += (block.nRows || 0) * ROW;
      if (withCurves && block.curve) {
        block.curveY = y + 2;
        y += CURVE + 4;
      }
      y = Math.max(y, block.top + 30) + 6;
      block.bottom = y;
      this.blocks.push(block);
    };
    for (const lane of this.lanes) {
      const empty = !lane.nRows && !lane.truth.length && !(withCurves && lane.curve);
      if (!empty && (this.model.label < 0 || this.model.label === lane.label)) add({ ...lane });
    }
    if (withCurves && this.model.curves?.attention) add({ label: -1, curve: this.model.curves.attention });
    this.height = y;
  }

  // What lies at a height: a row of segments, the ground truth, or a curve.
  at(y) {
    const block = this.blocks.find((b) => y >= b.top && y < b.bottom);
    if (!block) return null;
    if (block.truthY !== undefined && y >= block.truthY - 1 && y < block.truthY + TRUTH_ROW + 1) return { block, truth: true };
    if (block.nRows && y >= block.rowsY && y < block.rowsY + block.nRows * ROW) {
      return { block, row: Math.floor((y - block.rowsY) / ROW) };
    }
    return { block };
  }
}
