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

// Whoever logs out is shown that he has: an answer of 401 to what the page had asked meanwhile leads nowhere any more.
let leaving = false;
document.addEventListener("submit", (event) => {
  leaving ||= event.target.action.endsWith("/logout");
});
for (const name of ["htmx:beforeRequest", "htmx:beforeOnLoad"]) {
  document.addEventListener(name, (event) => {
    if (leaving) event.preventDefault();
  });
}

function follow(place) {
  const source = new EventSource(place.dataset.stream);
  const waiting = new Set();
  // Several things that happen at once are shown at once.
  const tell = (what) => {
    if (waiting.has(what)) return;
    waiting.add(what);
    setTimeout(() => {
      waiting.delete(what);
      htmx.trigger(document.body, what);
    }, 250);
  };
  const mark = (live) => {
    const told = document.getElementById("live-mark");
    if (told) told.textContent = live ? "Live" : "Connecting again…";
  };
  source.addEventListener("open", () => mark(true));
  source.addEventListener("message", (event) => {
    if (Number(event.lastEventId) <= Number(place.dataset.version)) return; // the page shows it already
    tell("changed");
    const state = JSON.parse(event.data).state;
    if (state !== place.dataset.state) {
      place.dataset.state = state;
      tell("moved");
    }
  });
  source.addEventListener("jobs", () => tell("changed"));
  source.addEventListener("error", () => {
    // Closed for good: all was told, or the login has ended, which the next request finds out.
    if (source.readyState === EventSource.CLOSED) tell("changed");
    mark(false);
  });
  return source;
}

// Whoever opens the link of an invitation may have to log in first, at another server perhaps. What is behind `#` is sent
// to none, so the tab keeps it until it is back and the form is sent.
function keepInvitation() {
  const invited = document.getElementById("invitation");
  const opened = location.hash.slice(1);
  if (opened.startsWith("aicd_inv_")) sessionStorage.setItem("invitation", opened);
  if (!invited) return;
  invited.value = sessionStorage.getItem("invitation") ?? "";
  invited.form.addEventListener("submit", () => sessionStorage.removeItem("invitation"));
}

document.addEventListener("DOMContentLoaded", () => {
  const place = document.querySelector("[data-stream]");
  if (place) {
    // Browsers open six connections to a server, for all tabs: one that nobody looks at needs none.
    let source = null;
    const look = () => {
      if (document.visibilityState === "visible" && !source) source = follow(place);
      else if (document.visibilityState === "hidden" && source) {
        source.close();
        source = null;
      }
    };
    document.addEventListener("visibilitychange", look);
    window.addEventListener("pagehide", () => source && source.close());
    look();
  }
  keepInvitation();
});
