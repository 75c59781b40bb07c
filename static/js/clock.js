// Clocks: relative times, waiting timers and the age of what is shown, by the server's clock. They stand still when it is old.
const root = document.documentElement;
const words = document.getElementById("words")?.dataset ?? {};
const ahead = Number(root.dataset.now) - Date.now();
const put = (template, value) => (template ?? "{}").replace("{}", value);
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

function show(name, from, text) {
  for (const element of document.querySelectorAll(`[data-${name}]`)) {
    const value = text(Math.max(0, Math.floor(from - Number(element.dataset[name]))));
    if (element.textContent !== value) element.textContent = value;
  }
}

function tick() {
  const now = (Date.now() + ahead) / 1000;
  const live = document.getElementById("live"), goodAt = Number(live?.dataset.goodAt);
  const limit = Number(live?.dataset.staleAfter ?? 20);
  const isOld = Boolean(live) && (live.dataset.state !== "live" || now - goodAt > limit);
  root.toggleAttribute("data-old", isOld);
  show("ago", now, (seconds) => (seconds < 1 ? words.now : put(words.ago, lasting(seconds))));
  show("for", isOld ? goodAt : now, lasting);
  show("since", isOld ? goodAt : now, timer);
}

// A poll that found nothing new still brings the time of the last good answer.
document.addEventListener("htmx:after:request", (event) => {
  const goodAt = event.detail.ctx?.response?.headers?.get("X-Good-At");
  const live = document.getElementById("live");
  if (!goodAt || !live?.dataset.goodAt) return;
  live.dataset.goodAt = goodAt;
  for (const age of live.querySelectorAll("[data-ago]")) age.dataset.ago = goodAt;
  tick();
});
document.addEventListener("htmx:after:swap", tick);
setInterval(tick, 1000);
tick();
