// What the pages need beside htmx: they keep what a person opened or typed when they
// are brought up to date, and say when they no longer are.
"use strict";

// A details element stays as the person left it; the field with the focus keeps its text.
const left = new Map();
document.addEventListener("click", (event) => {
  const details = event.target.closest("summary")?.parentNode;
  if (details) left.set(details.id, !details.open); // it changes after the click
});
const keep = (node) => {
  if (node.nodeName === "DETAILS" && left.has(node.id)) node.open = left.get(node.id);
};
Idiomorph.defaults.ignoreActiveValue = true;
Idiomorph.defaults.callbacks.beforeNodeMorphed = (_, node) => keep(node);
Idiomorph.defaults.callbacks.beforeNodeAdded = (node) => {
  if (node.querySelectorAll) [node, ...node.querySelectorAll("details")].forEach(keep);
};

// The icon in the browser's tab has the colour of the state.
document.addEventListener("htmx:afterSettle", () => {
  const state = document.querySelector("[data-tone]");
  if (state) document.getElementById("icon").href = "/static/icon-" + state.dataset.tone + ".svg";
});

// The page is old while the controller does not answer.
const lost = (is) => document.documentElement.classList.toggle("lost", is);
for (const name of ["htmx:sseError", "htmx:sendError"]) document.addEventListener(name, () => lost(true));
document.addEventListener("htmx:sseOpen", () => lost(false));
document.addEventListener("htmx:responseError", (event) => {
  // The session has ended: the login page says so.
  if (event.detail.xhr.status === 401) location.reload();
  else lost(true);
});
document.addEventListener("htmx:afterOnLoad", () => lost(false));

// What was just asked for is said once: it is no part of an address to share.
const address = new URL(location);
if (address.searchParams.has("done")) {
  address.searchParams.delete("done");
  history.replaceState(history.state, "", address);
}
