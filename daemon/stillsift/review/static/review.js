// Keys, ways to look at two pictures, and sliders. Every page works without it.
"use strict";

const step = 500; // ms for which each picture of a pair is shown: one sees the other one as a change
let blinking = 0;

function typing(target) {
  return target.closest("input:not([type=hidden]), select, textarea") !== null;
}

// Arrow keys go from picture to picture where there are many.
function moved(key) {
  const links = [...document.querySelectorAll(".grid a, .rows li > a")];
  const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[key];
  if (!links.length || !by) return false;
  const at = links.indexOf(document.activeElement);
  if (at < 0) {
    links[0].focus();
    return true;
  }
  let next = at + by;
  if (key === "ArrowDown" || key === "ArrowUp") {
    const here = links[at].getBoundingClientRect();
    while (links[next]) {
      const there = links[next].getBoundingClientRect();
      if (Math.abs(there.left - here.left) < here.width / 2 && Math.abs(there.top - here.top) > 4) break;
      next += by;
    }
  }
  if (links[next]) links[next].focus();
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || typing(event.target)) return;
  if (moved(event.key)) {
    event.preventDefault();
    return;
  }
  for (const each of document.querySelectorAll("[data-keys]")) {
    if (each.dataset.keys.split(" ").includes(event.key)) {
      event.preventDefault();
      each.click();
      return;
    }
  }
});

function look(viewer, view) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  clearInterval(blinking);
  blinking = 0;
  if (view === "blink" && viewer.dataset.view === "blink" && !still) {
    view = "pair"; // once more stops it
  }
  const turn = () => {
    viewer.dataset.shown = viewer.dataset.shown === "this" ? "other" : "this";
  };
  if (view === "blink") {
    turn();
    if (!still) blinking = setInterval(turn, step);
  } else {
    viewer.dataset.shown = "this";
  }
  viewer.dataset.view = view;
  const heat = viewer.querySelector("img.heat");
  if (view === "heat" && heat && !heat.src) heat.src = heat.dataset.src;
  for (const each of document.querySelectorAll(".views [data-view]")) {
    each.setAttribute("aria-pressed", String(each.dataset.view === view));
  }
  for (const each of document.querySelectorAll(".view-note")) {
    each.hidden = each.dataset.for !== view;
  }
  sessionStorage.setItem("view", view);
}

document.documentElement.classList.add("scripted");
const viewer = document.getElementById("viewer");
if (viewer && document.querySelector(".views")) {
  for (const each of document.querySelectorAll(".views [data-view]")) {
    each.addEventListener("click", () => look(viewer, each.dataset.view));
  }
  look(viewer, sessionStorage.getItem("view") || "pair");
}

// A slider beside each field of What if, whose answer follows at once.
function slide(form) {
  let busy = false, again = false;
  async function ask() {
    if (busy || !form.checkValidity()) {
      again = busy; // one question at a time; the last one counts
      return;
    }
    busy = true;
    const query = new URLSearchParams(new FormData(form));
    try {
      const answer = await fetch(`?${query}`);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const told = page.getElementById("answer") || page.querySelector("main");
      document.getElementById("answer").replaceChildren(...told.childNodes);
      const frames = page.getElementById("frames");
      document.getElementById("frames").replaceChildren(...(frames ? frames.childNodes : []));
      history.replaceState(null, "", `?${query}`);
    } finally {
      busy = false;
    }
    if (again) {
      again = false;
      ask();
    }
  }
  for (const field of form.querySelectorAll("[data-recorded]")) {
    const range = document.createElement("input");
    const { least, most, step, recorded, unlimited } = field.dataset;
    const words = field.options ? [...field.options].map((each) => each.value) : null;
    Object.assign(range, { type: "range", min: words ? 0 : least, max: words ? words.length - 1 : most });
    range.step = words ? 1 : step;
    range.setAttribute("aria-label", `${field.name}, slider`);
    const show = () => {
      range.value = words ? field.selectedIndex : field.value || most;
      field.parentElement.classList.toggle("moved", field.value !== recorded);
    };
    range.addEventListener("input", () => {
      const end = unlimited !== undefined && range.value === range.max;
      field.value = words ? words[range.value] : end ? "" : range.value;
      show();
      ask();
    });
    field.addEventListener("input", () => {
      show();
      ask();
    });
    field.after(range);
    show();
  }
}

const tried = document.getElementById("tried");
if (tried) slide(tried);
