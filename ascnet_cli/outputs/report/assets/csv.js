// The segments that pass the filters, as ascnet writes CSV: byte for byte the same.
const CSV_SPACES = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const CSV_QUOTED = new RegExp(`[",\\r\\n]|^${CSV_SPACES}|${CSV_SPACES}$`);
function csvCell(text) {
  return CSV_QUOTED.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// By code points, as Python sorts; plain comparison goes by UTF-16 units.
function byCodePoint(a, b) {
  const [x, y] = [Array.from(a), Array.from(b)];
  for (let i = 0; i < Math.min(x.length, y.length); i += 1) {
    if (x[i] !== y[i]) return x[i].codePointAt(0) - y[i].codePointAt(0);
  }
  return x.length - y.length;
}

function csvText(model) {
  const seconds = (ms) => `${Math.floor(ms / 1000)}.${String(ms % 1000).padStart(3, "0")}`;
  const rows = model.segments.filter((segment) => model.passes(segment)).sort((a, b) =>
    a.start - b.start || a.end - b.end || byCodePoint(model.name(a), model.name(b)) || b.score - a.score);
  const lines = rows.map((s) => [csvCell(model.video), csvCell(model.name(s)), seconds(s.start), seconds(s.end),
    s.score.toFixed(model.data.score_decimals)].join(","));
  return [model.data.columns.join(","), ...lines].join("\n") + "\n";
}

function saveCsv(model) {
  const url = URL.createObjectURL(new Blob([csvText(model)], { type: "text/csv;charset=utf-8" }));
  const stem = model.video.replace(/^.*\//, "").replace(/[^\w.-]+/g, "_");
  const link = make("a", { href: url, download: `${stem}.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}
