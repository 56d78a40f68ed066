// What all pages share. Text from names and labels goes into the page through textContent alone.
const element = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function readData() {
  return JSON.parse(element("data").textContent);
}

const DECIMALS = [1, 10, 100, 1000];

// 83456 ms as "1:23.46", or "1:23" without decimals; hours where there are some.
function clockText(ms, decimals = 2) {
  const scale = DECIMALS[decimals];
  const units = Math.round((Math.max(0, ms) * scale) / 1000);
  const seconds = Math.floor(units / scale);
  const rest = decimals ? "." + String(units % scale).padStart(decimals, "0") : "";
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const head = hours ? `${hours}:${String(minutes).padStart(2, "0")}` : String(minutes);
  return `${head}:${String(seconds % 60).padStart(2, "0")}${rest}`;
}

function count(n, one, many = one + "s") {
  return `${n} ${n === 1 ? one : many}`;
}

// One tile of a class's pattern: classes of one colour differ by it. Number 0 is plain.
function patternTile(style, size = 8) {
  const canvas = make("canvas", { width: size, height: size });
  const pen = canvas.getContext("2d");
  pen.fillStyle = style.colour;
  pen.fillRect(0, 0, size, size);
  pen.strokeStyle = pen.fillStyle = style.ink;
  pen.globalAlpha = 0.6;
  pen.lineWidth = 1.5;
  const line = (...points) => {
    pen.beginPath();
    for (let i = 0; i < points.length; i += 4) {
      pen.moveTo(points[i], points[i + 1]);
      pen.lineTo(points[i + 2], points[i + 3]);
    }
    pen.stroke();
  };
  const [s, h] = [size, size / 2];
  const rising = [0, s, s, 0, -h, h, h, -h, h, s + h, s + h, h];
  const falling = [0, 0, s, s, -h, h, h, s + h, h, -h, s + h, h];
  const kind = style.pattern === 0 ? 0 : ((style.pattern - 1) % 6) + 1;
  if (kind === 1) line(...rising);
  if (kind === 2) line(...falling);
  if (kind === 3) line(h, 0, h, s);
  if (kind === 4) line(0, h, s, h);
  if (kind === 5) line(h, 0, h, s, 0, h, s, h);
  if (kind === 6) {
    pen.beginPath();
    pen.arc(h, h, size / 5, 0, 7);
    pen.fill();
  }
  return canvas;
}

// Pictures of patterns, each made once.
const tiles = new Map();

function swatch(style) {
  const span = make("span", { className: "swatch" });
  span.setAttribute("aria-hidden", "true");
  span.style.backgroundColor = style.colour;
  if (style.pattern) {
    if (!tiles.has(style)) tiles.set(style, `url(${patternTile(style).toDataURL()})`);
    span.style.backgroundImage = tiles.get(style);
  }
  return span;
}

// Do something at most once a frame, however often it is asked for.
function oncePerFrame(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}

// A canvas as sharp as the screen; returns its pen, in CSS pixels.
function fitCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}

function colourOf(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
