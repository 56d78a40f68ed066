// Keys that work wherever they are not needed for something else.
function connectKeys() {
  const keys = {
    " ": () => player.toggle(),
    ArrowLeft: (event) => player.seek(player.time - (event.shiftKey ? 1000 : 40)),
    ArrowRight: (event) => player.seek(player.time + (event.shiftKey ? 1000 : 40)),
    n: () => go(1),
    p: () => go(-1),
    r: () => element("repeat").click(),
    "+": () => timeline.zoom(1 / 2),
    "=": () => timeline.zoom(1 / 2),
    "-": () => timeline.zoom(2),
    0: () => timeline.show(0, model.duration),
    ",": () => timeline.pan(-0.5),
    ".": () => timeline.pan(0.5),
    "?": () => element("help").showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || element("help").open) return;
    const work = keys[event.key] || keys[event.key.toLowerCase()];
    if (!work || wantsKey(event.target, event.key)) return;
    event.preventDefault();
    work(event);
  });
}

// Whether what has the focus uses this key itself.
function wantsKey(target, key) {
  if (target.matches("select")) return true;
  if (target.matches("button, a, input[type='checkbox']")) return key === " ";
  if (target.matches("input[type='range']")) return key.startsWith("Arrow") || key === " ";
  return target.matches("input, textarea");
}
