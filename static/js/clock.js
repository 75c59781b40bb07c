// Clocks: relative times, waiting timers and the age of what is shown, by the server's clock. They stand still when it is old.
const root = document.documentElement;
const words = document.getElementById("words")?.dataset ?? {};
let ahead = Number(root.dataset.now) - Date.now();
root.dataset.ahead = ahead;
const put = (template, value) => (template ?? "{}").replace("{}", () => value);
const two = (number) => String(number).padStart(2, "0");

function lasting(seconds) {
  const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
  if (seconds < 60) return put(words.seconds, seconds);
  if (hours < 1) return put(words.minutes, minutes);
  if (hours < 48) return `${put(words.hours, hours)} ${put(words.minutes, minutes % 60)}`;
  return put(words.days, Math.floor(hours / 24));
}

function timer(seconds) {
  const hours = Math.floor(seconds / 3600), minutes = Math.floor(seconds / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

function show(name, from, text, isToCome = false) {
  if (Number.isNaN(from)) return; // there has been no good answer yet: what the server wrote stays
  for (const element of document.querySelectorAll(`[data-${name}]`)) {
    const past = from - Number(element.dataset[name]);
    const value = text(Math.max(0, isToCome ? Math.ceil(-past) : Math.floor(past)));
    if (element.textContent !== value) element.textContent = value;
  }
}

function tick() {
  const now = (Date.now() + ahead) / 1000;
  const live = document.getElementById("live"), goodAt = Number(live?.dataset.goodAt);
  const limit = Number(live?.dataset.staleAfter ?? 20);
  const isOld = root.hasAttribute("data-unanswered") || (Boolean(live) && (live.dataset.state !== "live" || now - goodAt > limit));
  const old = now - goodAt > Number(live?.dataset.rowsAfter ?? Infinity) ? "stale" : "";
  if (!isOld) delete root.dataset.old;
  else if (root.dataset.old !== old) root.dataset.old = old;
  show("ago", now, (seconds) => (seconds < 1 ? words.now : put(words.ago, lasting(seconds))));
  show("for", isOld ? goodAt : now, lasting);
  show("since", isOld ? goodAt : now, timer);
  show("until", isOld ? goodAt : now, (seconds) => (seconds > 0 ? put(words.in, lasting(seconds)) : words.due), true);
}

// Either clock may be set while the page is open. `Date` has whole seconds, so less than two is no difference.
function correct(date) {
  const difference = Date.parse(date) - Date.now() - ahead;
  if (Math.abs(difference) >= 2000) ahead += difference;
  root.dataset.ahead = ahead;
}

// A poll that found nothing new still brings the time of the last good answer, and the server's clock.
document.addEventListener("htmx:after:request", (event) => {
  const headers = event.detail.ctx?.response?.headers;
  correct(headers?.get("Date"));
  const goodAt = headers?.get("X-Good-At");
  const live = document.getElementById("live");
  if (!goodAt || !live?.dataset.goodAt) return;
  live.dataset.goodAt = goodAt;
  for (const age of live.querySelectorAll("[data-ago]")) age.dataset.ago = goodAt;
  tick();
});
document.addEventListener("htmx:after:swap", tick);
setInterval(tick, 1000);
tick();
