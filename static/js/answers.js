// The portal itself: says so when it does not answer (not to be confused with Getscreen), and moves the page on to a new release.
const root = document.documentElement;
const words = document.getElementById("words")?.dataset ?? {};
const said = document.getElementById("said");
const PATIENCE = 2; // one failure is often a restart
let failures = 0;

function lastGood() {
  const seconds = Number(document.querySelector("#facts .live[data-good-at]")?.dataset.goodAt);
  if (!seconds) return "";
  const format = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  const date = new Date(seconds * 1000);
  try {
    return date.toLocaleTimeString(root.lang, { ...format, timeZone: words.zone });
  } catch {
    return date.toLocaleTimeString(root.lang, format); // a zone that the browser does not know
  }
}

function complain() {
  const facts = document.getElementById("facts");
  if (!facts || facts.querySelector(".unanswered")) return;
  const time = lastGood(), line = document.createElement("span");
  line.className = "live unanswered";
  line.textContent = time ? words.unansweredSince.replace("{}", () => time) : words.unanswered;
  facts.prepend(line);
  root.toggleAttribute("data-unanswered", true);
  said.textContent = line.textContent;
}

function heal() {
  if (!root.hasAttribute("data-unanswered")) return;
  root.removeAttribute("data-unanswered");
  for (const line of document.querySelectorAll(".unanswered")) line.remove();
  said.textContent = "";
}

const isChanged = (field) =>
  field.matches("[type=checkbox], [type=radio]") ? field.checked !== field.defaultChecked : field.value !== field.defaultValue;
function isBusy() {
  if (document.querySelector("dialog[open], :popover-open")) return true;
  return [...document.querySelectorAll("main :is(input:not([type=hidden]), textarea)")].some(isChanged);
}

// Once per release: two servers of different releases behind one address must not make the page jump between them.
function mayReload(release) {
  try {
    const before = sessionStorage.getItem("reloaded")?.split(" ") ?? [];
    if (before.includes(release)) return false;
    sessionStorage.setItem("reloaded", [...before, release].slice(-20).join(" "));
    return true;
  } catch {
    return false;
  }
}

function meet(release) {
  if (!release || !root.dataset.release || release === root.dataset.release) return;
  const strip = document.getElementById("release");
  if (!strip?.hidden) return;
  // What nobody looks at may reload as well, unless it came from a form: that would be sent again.
  const isEasy = document.querySelector("[hx-ptag]") || (document.hidden && root.hasAttribute("data-opened"));
  if (isEasy && !isBusy() && mayReload(release)) return location.reload();
  strip.hidden = false;
  said.textContent = strip.textContent;
}

document.addEventListener("portal:answered", ({ detail }) => {
  const isFailure = detail.status === 0 || detail.status >= 500;
  failures = isFailure ? failures + 1 : 0;
  failures >= PATIENCE ? complain() : isFailure || heal();
  meet(detail.release);
});
// In view somebody may be reading or typing; the board in view is sent to sign-in by its own poll.
document.addEventListener("portal:signed-out", ({ detail }) => document.hidden && !isBusy() && location.assign(detail));
document.addEventListener("htmx:after:swap", () => failures < PATIENCE && heal());
addEventListener("click", (event) => event.target.closest("[data-reload]") && location.assign(location.pathname + location.search));
