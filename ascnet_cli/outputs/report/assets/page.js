// Puts the page together: one state, and everything that follows from it.
const model = new Model(readData());
const video = element("video");
const player = new Player(video, model.duration, oncePerFrame(showTime));
const table = new Table(model, choose);
const timeline = new Timeline(model, { choose, pick, tip, seek: (ms) => player.seek(ms) });
const hasPicture = () => !player.clock;

function announce(text) {
  element("announce").textContent = text;
}

// Play a segment, or look at where one was missed.
function choose(item) {
  table.setCurrent(item);
  timeline.setCurrent(item);
  timeline.reveal(item);
  player.playStretch(item.start, item.end);
  announce(`Playing ${model.words(item)}`);
}

// A class alone; the same again: all classes.
function pick(label) {
  element("class-filter").value = String(model.label === label ? -1 : label);
  filter();
}

function filter() {
  const least = element("least");
  model.least = least.value === least.min ? -Infinity : Number(least.value);
  model.label = Number(element("class-filter").value);
  model.verdict = element("verdict-filter").value;
  element("least-value").textContent = Number(least.value).toFixed(2);
  table.update();
  timeline.update();
  const all = model.segments.length;
  const shown = model.segments.filter((segment) => model.passes(segment));
  const counts = (verdict) => table.rows.filter((row) => model.verdictOf(row) === verdict).length;
  element("shown").textContent = (shown.length === all ? count(all, "segment") : `${shown.length} of ${count(all, "segment")}`)
    + (model.judged ? `: ${count(counts("match"), "match", "matches")}, ${count(counts("false"), "false positive")}, `
      + `${count(counts("miss"), "miss", "misses")} at tIoU ${model.data.tiou}` : "");
  element("export").disabled = !shown.length;
  showTime();
}

function showTime() {
  const time = player.time;
  element("clock").textContent = `${clockText(time)} / ${clockText(model.duration)}`;
  const seek = element("seek");
  seek.value = time;
  seek.setAttribute("aria-valuetext", `${clockText(time)} of ${clockText(model.duration)}`);
  element("play").textContent = player.playing ? "Pause" : "Play";
  timeline.setTime(time, player.playing);
  showNow(time);
}

// The actions that run now.
let nowShown = "";
function showNow(time) {
  const best = new Map();
  for (const s of model.segments) {
    if (s.start <= time && time < s.end && model.passes(s) && !(best.get(s.label)?.score >= s.score)) best.set(s.label, s);
  }
  const now = [...best.values()].sort((a, b) => b.score - a.score).slice(0, 6);
  const key = now.map((s) => s.place).join();
  if (key === nowShown) return;
  nowShown = key;
  element("now").replaceChildren(...now.map((s) => make("span", { className: "chip" },
    swatch(model.labels[s.label]), `${model.name(s)} ${s.score.toFixed(2)}`)));
}

function tip(text, x, y) {
  const box = element("tip");
  box.hidden = !text;
  if (!text) return;
  box.textContent = text;
  const { width, height } = box.getBoundingClientRect();
  const left = x + 14 + width > innerWidth ? x - 14 - width : x + 14;
  const top = y + 16 + height > innerHeight ? y - 12 - height : y + 16;
  box.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
}

function go(direction) {
  const item = table.neighbour(player.time, direction);
  if (item) choose(item);
  else announce(direction > 0 ? "No later segment" : "No earlier segment");
}

function setUp() {
  const used = new Set(model.segments.map((s) => s.label));
  element("summary").textContent =
    `${count(model.segments.length, "segment")} of ${count(used.size, "class", "classes")} in ${clockText(model.duration, 1)}`
    + (model.data.truth_sought ? `; no ground truth for this video in ${model.data.truth_sought}` : "");
  const scores = model.segments.map((s) => s.score);
  const [low, high] = scores.length ? scores.reduce(([a, b], s) => [Math.min(a, s), Math.max(b, s)], [Infinity, -Infinity]) : [0, 1];
  const least = element("least");
  least.step = "0.01";
  least.min = String(Math.floor(low * 100) / 100);
  least.max = String(Math.max(Math.ceil(high * 100) / 100, Number(least.min) + 0.01));
  least.value = least.min;
  element("class-filter").append(make("option", { value: "-1" }, "All classes"),
    ...model.labels.map(({ name }, label) => make("option", { value: String(label) }, name)));
  element("verdict-label").hidden = !model.judged;
  element("curves-label").hidden = !model.curves;
  element("seek").max = model.duration;
  const legend = [];
  if (model.judged) legend.push(`✓ match at tIoU ${model.data.tiou} or more`, "✕ false positive", "outlined: ground truth", "dashed: missed");
  if (model.curves) {
    legend.push(`curves: activation of the class, 0 to ${model.curves.top}`);
    if (model.curves.attention) legend.push("attention: any action at all, 0 to 1");
    legend.push("dashed lines: thresholds");
  }
  element("legend").append(...legend.map((text) => make("span", {}, text)));
  element("overview").setAttribute("aria-label", "Overview of the whole video");
  element("canvas").setAttribute("aria-label",
    `Timeline with a lane for each class. The table of segments has the same content.`);
}

function connect() {
  const on = (id, event, work) => element(id).addEventListener(event, work);
  on("play", "click", () => player.toggle());
  on("previous", "click", () => go(-1));
  on("next", "click", () => go(1));
  on("seek", "input", () => player.seek(Number(element("seek").value)));
  on("repeat", "change", () => { player.repeat = element("repeat").checked; });
  on("speed", "change", () => player.setRate(Number(element("speed").value)));
  on("mute", "change", () => { video.muted = element("mute").checked; });
  on("least", "input", filter);
  on("class-filter", "change", filter);
  on("verdict-filter", "change", filter);
  on("export", "click", () => {
    saveCsv(model);
    announce("Saved the segments that pass the filters");
  });
  on("curves", "change", () => timeline.layout());
  on("zoom-in", "click", () => timeline.zoom(1 / 2));
  on("zoom-out", "click", () => timeline.zoom(2));
  on("zoom-all", "click", () => timeline.show(0, model.duration));
  on("earlier", "click", () => timeline.pan(-0.5));
  on("later", "click", () => timeline.pan(0.5));
  on("help-open", "click", () => element("help").showModal());
  video.addEventListener("click", () => player.toggle());
}

setUp();
connect();
connectKeys();
filter();
findBeginning(video, (ms) => player.beginsAt(ms));
fetchWhereNoParts(video, (text) => {
  element("note").textContent = text;
}, (playing) => player.reloaded(playing));
watchForTrouble(video, model.video, (why) => {
  if (!hasPicture()) return;
  video.hidden = true;
  element("no-video").hidden = false;
  element("no-video").textContent = why;
  element("mute-label").hidden = true;
  player.withoutPicture();
});
if (video.dataset.src) video.src = video.dataset.src;
