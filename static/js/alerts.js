// Alerts: which joined clients to call out, once in all tabs together, and only as often as a person can bear.
const form = document.getElementById("alerts-form");
const words = document.getElementById("words")?.dataset ?? {};
const put = (template, value) => (template ?? "{}").replace("{}", value);
const keyOf = (client) => `${client.id} ${client.since}`;
const PAUSE = 10000; // between two of a kind; what comes meanwhile is summed up
const LATEST = 60000; // a call that nobody could hear for a minute is no call any more
const KEPT = 200;
const met = new Map();
let latest, due;

// Whoever holds the lock first tells; the others find it told. Only random ids and times are kept, for nobody to read.
function remembered(channel) {
  try {
    return JSON.parse(localStorage.getItem(`alerts ${channel}`)) ?? { at: 0, told: [] };
  } catch {
    return (remembered[channel] ??= { at: 0, told: [] });
  }
}

function remember(channel, value) {
  remembered[channel] = value;
  try {
    localStorage.setItem(`alerts ${channel}`, JSON.stringify(value));
  } catch {
    // without storage every tab calls for itself
  }
}

const alone = (work) => (navigator.locks ? navigator.locks.request("alerts", work) : work());

function lasting(since) {
  const now = Date.now() + Number(document.documentElement.dataset.ahead ?? 0);
  const minutes = Math.floor(Math.max(0, now / 1000 - since) / 60);
  return minutes ? put(words.waitingFor, put(words.minutes, minutes)) : words.waitingNow;
}

function messageFor(news) {
  const newest = news.reduce((one, other) => (other.since > one.since ? other : one));
  const tag = `${newest.id} ${newest.since}`;
  if (news.length === 1) return { title: words.oneWaits, body: `${newest.name}\n${lasting(newest.since)}`, tag, url: newest.url };
  return { title: put(words.manyWait, news.length), body: news.map((client) => client.name).join("\n"), tag, url: words.boardUrl };
}

function tellBy(channel) {
  if (!latest) return;
  const before = remembered(channel);
  const news = latest.filter((client) => !before.told.includes(keyOf(client)) && performance.now() - met.get(keyOf(client)) < LATEST);
  if (!news.length) return;
  const wait = before.at + PAUSE - Date.now();
  if (wait > 0 && wait <= PAUSE) return later(wait); // a mark from the future is a clock that has jumped
  remember(channel, { at: Date.now(), told: [...new Set([...before.told, ...news.map(keyOf)])].slice(-KEPT) });
  document.dispatchEvent(new CustomEvent("alerts:tell", { detail: { channel, message: messageFor(news) } }));
}

function later(wait) {
  clearTimeout(due);
  due = setTimeout(flush, wait + 50);
}

// A tab that may not play leaves the call to one that may.
const flush = () => form?.dataset.able && alone(() => form.dataset.able.split(" ").forEach(tellBy));

document.addEventListener("portal:news", ({ detail }) => {
  latest = detail.news;
  for (const client of latest) if (!met.has(keyOf(client))) met.set(keyOf(client), performance.now());
  flush();
});
