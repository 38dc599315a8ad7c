// Keeps the page fresh: fetches itself and takes over the parts marked data-live. Everything works without it.
"use strict";

const refreshMs = 1000 * Number(document.body.dataset.refresh || 10);
const clock = () => document.querySelector(".clock");
const seen = new Map();  // what was last taken over, by part
let paused = false;
let timer = 0;

function placeOfFocus() {
  const focused = document.activeElement;
  if (!focused || !focused.closest("[data-live]")) return null;
  if (focused.dataset.toggle) return "[data-toggle]";
  if (focused.id) return "#" + CSS.escape(focused.id);
  const href = focused.getAttribute("href");
  return href === null ? null : `[href="${CSS.escape(href)}"]`;
}

function takeOver(fresh) {
  const focus = placeOfFocus();
  for (const old of document.querySelectorAll("[data-live]")) {
    const found = fresh.querySelector(`[data-live="${old.dataset.live}"]`);
    const name = old.dataset.live;
    if (!found || found.innerHTML === (seen.get(name) ?? old.innerHTML)) continue;
    seen.set(name, found.innerHTML);
    for (const open of old.querySelectorAll("details[open][id]")) {
      const same = found.querySelector("#" + CSS.escape(open.id));
      if (same) same.open = true;
    }
    const at = [...old.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
    old.replaceChildren(...found.childNodes);
    old.querySelectorAll(".scroll").forEach((one, index) => { one.scrollLeft = at[index] || 0; });
  }
  document.title = fresh.title;
  addToggle();
  const again = focus && document.querySelector(focus);
  if (again && again !== document.activeElement) again.focus({ preventScroll: true });
}

async function refresh() {
  window.clearTimeout(timer);
  try {
    if (!paused && !document.hidden) {
      const reply = await fetch(window.location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (reply.ok && !paused) takeOver(new DOMParser().parseFromString(await reply.text(), "text/html"));
      document.body.classList.toggle("lost", !reply.ok);
    }
  } catch {
    document.body.classList.add("lost");
  }
  timer = window.setTimeout(refresh, refreshMs);
}

function addToggle() {
  const place = clock();
  if (!place || place.querySelector("[data-toggle]")) return;
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.toggle = "live";
  button.textContent = paused ? "Go on" : "Pause";
  button.setAttribute("aria-pressed", String(paused));
  button.title = paused ? "Updates are paused" : "Stop updating this page";
  button.addEventListener("click", () => {
    paused = !paused;
    document.body.classList.toggle("paused", paused);
    button.remove();
    addToggle();
    document.querySelector("[data-toggle]").focus();
    if (!paused) refresh();
  });
  place.append(button);
}

document.body.classList.add("live");
for (const select of document.querySelectorAll(".controls select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
addToggle();
timer = window.setTimeout(refresh, refreshMs);
for (const chart of document.querySelectorAll("figure.scroll")) chart.scrollLeft = chart.scrollWidth;  // to the newest
