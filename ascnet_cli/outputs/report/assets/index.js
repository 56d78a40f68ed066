"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
for (const video of data.videos) {
  const link = document.createElement("a");
  link.href = video.url;
  link.textContent = video.name;
  document.getElementById("cards").appendChild(document.createElement("li")).append(link);
}
