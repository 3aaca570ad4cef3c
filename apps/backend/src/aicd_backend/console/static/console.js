// What htmx does not do by itself: it is told when something has happened on the server, and pages show it.
"use strict";

// An error that the server tells in words is shown where the page has a place for it; 401 leads to the login page.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.status < 400 || event.detail.xhr.status === 401) return;
  event.detail.shouldSwap = true;
  event.detail.isError = false;
  event.detail.target = document.getElementById("notices");
  event.detail.swapOverride = "innerHTML";
  event.detail.selectOverride = "unset";
});

function follow(place) {
  const url = place.dataset.stream;
  const source = new EventSource(url);
  const changed = () => htmx.trigger(document.body, "changed");
  const mark = (live) => {
    const told = document.getElementById("live-mark");
    if (told) told.textContent = live ? "Live" : "Connecting again…";
  };
  source.addEventListener("open", () => mark(true));
  source.addEventListener("message", (event) => {
    changed();
    const state = JSON.parse(event.data).state;
    if (state !== place.dataset.state) {
      place.dataset.state = state;
      htmx.trigger(document.body, "moved");
    }
  });
  source.addEventListener("jobs", changed);
  source.addEventListener("error", () => {
    // Closed for good: all was told, or the login has ended, which the next request finds out.
    if (source.readyState === EventSource.CLOSED) changed();
    mark(false);
  });
  window.addEventListener("pagehide", () => source.close());
}

document.addEventListener("DOMContentLoaded", () => {
  const place = document.querySelector("[data-stream]");
  if (place) follow(place);
  const invited = document.getElementById("invitation");
  if (invited && location.hash) invited.value = location.hash.slice(1);
});
