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

// What was typed outlives a login that has ended and an answer that refuses it: it is there again when its page is. It stays in
// this tab, is for whoever typed it, and goes once a form was taken. No password and no hidden field is kept.
const KEPT = "typed";
const FIELDS = "textarea, select, input[type=text], input[type=email], input[type=checkbox]";
const pathOf = (form) => new URL(form.action).pathname;
const postsOf = () => [...document.forms].filter((form) => form.method === "post");

// What a form holds, what of it was typed on this page, and whether it is folded out.
const typedIn = (form) => ({
  path: pathOf(form),
  open: Boolean(form.closest("details")?.open),
  fields: [...form.querySelectorAll(FIELDS)].map((each) => [each.name, each.value, each.checked]),
  texts: [...form.querySelectorAll("textarea, input[type=text]")]
    .filter((each) => each.value !== each.defaultValue)
    .map((each) => each.value),
});

// Puts it into a form; whether that changed anything.
function fillIn(form, typed) {
  const places = [...form.querySelectorAll(FIELDS)];
  let changed = false;
  for (const [name, value, checked] of typed.fields) {
    const field = places.find((each) => each.name === name && (each.type !== "checkbox" || each.value === value));
    if (!field || (field.type === "checkbox" ? field.checked === checked : field.value === value)) continue;
    if (field.type === "checkbox") field.checked = checked;
    else field.value = value;
    changed = true;
  }
  if (changed || typed.open) {
    for (let box = form.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
  }
  return changed;
}

function tellThere(text) {
  const told = document.createElement("p");
  told.className = "notice ask";
  told.textContent = text;
  document.getElementById("notices").append(told);
}

function tellGone(typed) {
  for (const text of typed.texts) tellThere(`Things have moved on, and the form is gone. You had typed: ${text}`);
}

function keepTyped(forms) {
  const kept = { who: document.body.dataset.who, page: location.pathname, typed: forms.map(typedIn) };
  sessionStorage.setItem(KEPT, JSON.stringify(kept));
}

function giveBackTyped() {
  // The page between: of the login, or of what was wrong.
  if (!document.body.dataset.who || document.getElementById("refused")) return;
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  sessionStorage.removeItem(KEPT);
  if (!kept?.refused || kept.who !== document.body.dataset.who) return;
  let given = false;
  for (const typed of kept.typed) {
    const form = postsOf().find((each) => pathOf(each) === typed.path);
    if (form) given = fillIn(form, typed) || given;
    else if (kept.page === location.pathname) tellGone(typed);
  }
  if (given) tellThere("What you typed is here again. It has not been sent.");
}

// A part of the page that is shown anew, since the job has moved on, keeps what is being typed there, and where.
const before = new WeakMap();
document.addEventListener("htmx:beforeSwap", (event) => {
  const target = event.detail.target;
  if (event.detail.xhr.status >= 400 || !target.querySelector("form[method=post]")) return;
  const forms = [...target.querySelectorAll("form[method=post]")].map(typedIn);
  before.set(target, { forms, focus: target.contains(document.activeElement) ? document.activeElement.id : "" });
});
document.addEventListener("htmx:afterSwap", (event) => {
  const kept = before.get(event.detail.target);
  if (!kept) return;
  before.delete(event.detail.target);
  const now = [...event.detail.target.querySelectorAll("form[method=post]")];
  for (const typed of kept.forms) {
    const form = now.find((each) => pathOf(each) === typed.path);
    if (form) fillIn(form, typed);
    else tellGone(typed);
  }
  if (kept.focus) document.getElementById(kept.focus)?.focus();
});

function markRefused() {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  if (kept) sessionStorage.setItem(KEPT, JSON.stringify({ ...kept, refused: true }));
}

// The page is about to be left for the login: what is being typed on it is kept.
document.addEventListener("htmx:beforeOnLoad", (event) => {
  if (event.detail.xhr.status === 401 && !leaving) keepTyped(postsOf());
});

// A form is sent once, however often its button is pressed; the button shows that it is under way.
const UNDER_WAY = 10_000;
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  setTimeout(() => delete form.dataset.sent, UNDER_WAY);
  if (!form.action.endsWith("/logout") && document.body.dataset.who) keepTyped([form]);
  if (form.action.endsWith("/logout")) sessionStorage.removeItem(KEPT);
});
window.addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

// How long ago something was goes on while a page is open, by the server's clock. In step with `ago` of words.py.
function tellTimes() {
  const loaded = Date.now();
  const began = Date.parse(document.body.dataset.now);
  setInterval(() => {
    const now = began + Date.now() - loaded;
    for (const each of document.querySelectorAll("time[data-ago]")) {
      const seconds = Math.floor((now - Date.parse(each.dateTime)) / 1000);
      if (seconds < 60) continue;
      for (const [limit, divisor, unit] of [[3600, 60, "min"], [86400, 3600, "h"], [7 * 86400, 86400, "d"]]) {
        if (seconds >= limit) continue;
        each.textContent = `${Math.floor(seconds / divisor)} ${unit} ago`;
        break;
      }
    }
  }, 20_000);
}

// What was done is told once: not again when the page is loaded again, or is sent to somebody.
function forgetDone() {
  const address = new URL(location.href);
  if (!address.searchParams.has("done")) return;
  address.searchParams.delete("done");
  history.replaceState(history.state, "", address);
}

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
  const mark = (text) => {
    const told = document.getElementById("live-mark");
    if (told) told.textContent = text;
  };
  source.addEventListener("open", () => mark("Live"));
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
    mark(source.readyState === EventSource.CLOSED ? "" : "Connecting again…");
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
  forgetDone();
  if (location.pathname.startsWith("/login") || document.getElementById("refused")) markRefused();
  giveBackTyped();
  if (document.body.dataset.now) tellTimes();
});
