// The index: a card a video, made once; search, class and order choose which are shown, and where.
const data = readData();
const MOST_CHIPS = 6;

const orders = {
  name: (a, b) => a.place - b.place,
  segments: (a, b) => b.video.segments.length - a.video.segments.length || a.place - b.place,
  duration: (a, b) => b.video.duration_ms - a.video.duration_ms || a.place - b.place,
  errors: (a, b) => errors(b) - errors(a) || a.place - b.place,
};

function errors({ video: { truth } }) {
  return truth ? truth.false_positives + truth.misses : -1;
}

function card(video, place) {
  const picture = make("div", { className: "picture" });
  if (video.thumbnail) picture.append(make("img", { src: video.thumbnail, alt: "", loading: "lazy", decoding: "async" }));
  else picture.append("no picture");
  picture.setAttribute("aria-hidden", "true");
  const strip = make("canvas", { className: "strip" });
  strip.setAttribute("aria-hidden", "true");
  const chips = video.counts.slice(0, MOST_CHIPS).map(([label, n]) => make("li", {},
    swatch(data.labels[label]), `${data.labels[label].name} × ${n}`));
  if (video.counts.length > MOST_CHIPS) chips.push(make("li", {}, `${video.counts.length - MOST_CHIPS} more`));
  const facts = make("div", { className: "facts muted" },
    `${clockText(video.duration_ms, 1)}, ${count(video.segments.length, "segment")}`);
  const words = make("div", { className: "words" }, make("a", { href: video.url }, video.name), facts);
  if (video.truth_sought) facts.append(`, no ground truth in ${video.truth_sought}`);
  if (video.truth) words.append(verdicts(video.truth));
  if (chips.length) words.append(make("ul", { className: "chips" }, ...chips));
  const item = make("li", { className: "card" }, picture, strip, words);
  return { item, strip, video, place, name: video.name.toLocaleLowerCase(), drawn: false,
    labels: new Set(video.counts.map(([label]) => label)) };
}

function verdicts(truth) {
  const wrong = truth.false_positives + truth.misses;
  return make("div", { className: "facts" },
    make("span", { className: "good" }, `✓ ${count(truth.matches, "match", "matches")}`), " ",
    make("span", { className: wrong ? "bad" : "muted" },
      `✕ ${count(truth.false_positives, "false positive")}, ${count(truth.misses, "miss", "misses")}`));
}

// All segments of a video on a few pixels.
function drawStrip({ strip, video }) {
  const [width, height] = [strip.clientWidth, strip.clientHeight];
  const pen = fitCanvas(strip, width, height);
  for (const [label, start, end] of video.segments) {
    pen.fillStyle = data.labels[label].colour;
    pen.fillRect((start / video.duration_ms) * width, 2, Math.max(((end - start) / video.duration_ms) * width, 1.5), height - 4);
  }
}

const cards = data.videos.map(card);
const byStrip = new Map(cards.map((one) => [one.strip, one]));
const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) drawStrip(byStrip.get(target));
});

function update() {
  const words = element("search").value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const label = Number(element("class-filter").value);
  const shown = cards
    .filter((one) => words.every((word) => one.name.includes(word)) && (label < 0 || one.labels.has(label)))
    .sort(orders[element("sort").value]);
  element("cards").replaceChildren(...shown.map((one) => one.item));
  element("empty").hidden = shown.length > 0;
  const all = count(cards.length, "video");
  element("shown").textContent = shown.length === cards.length ? all : `${shown.length} of ${all}`;
}

const totals = data.labels.map(() => 0);
for (const { counts } of data.videos) for (const [label] of counts) totals[label] += 1;
element("class-filter").append(make("option", { value: "-1" }, "All classes"), ...data.labels
  .map(({ name }, label) => [label, make("option", { value: String(label) }, `${name} (${count(totals[label], "video")})`)])
  .filter(([label]) => totals[label]).map(([, option]) => option));
const judged = data.videos.some((video) => video.truth);
element("sort-errors").hidden = element("sort-errors").disabled = !judged;
const nSegments = data.videos.reduce((sum, video) => sum + video.segments.length, 0);
const seconds = data.videos.reduce((sum, video) => sum + video.duration_ms, 0);
element("summary").textContent = `${clockText(seconds, 0)} in all, ${count(nSegments, "segment")}`
  + ` of ${count(totals.filter(Boolean).length, "class", "classes")}`
  + (judged ? `; ground truth at tIoU ${data.tiou}` : "");
element("search").addEventListener("input", update);
for (const id of ["class-filter", "sort"]) element(id).addEventListener("change", update);
for (const { strip } of cards) seen.observe(strip);
update();
addEventListener("resize", oncePerFrame(() => cards.forEach((one) => one.item.isConnected && drawStrip(one))));
