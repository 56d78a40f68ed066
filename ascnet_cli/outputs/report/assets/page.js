"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const video = document.getElementById("video");
for (const [label, start, end, score] of data.segments) {
  const row = document.getElementById("table").insertRow();
  for (const text of [data.labels[label].name, start / 1000, end / 1000, score]) row.insertCell().textContent = text;
  row.addEventListener("click", () => { video.currentTime = start / 1000; video.play(); });
}
