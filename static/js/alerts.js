// Alerts: which joined clients to call out, once in all tabs together, and only as often as a person can bear.
const form = document.getElementById("alerts-form");
const words = document.getElementById("words")?.dataset ?? {};
const put = (template, value) => (template ?? "{}").replace("{}", () => value);
// Who waits too long is called again every minute, until somebody is with them or it has been enough.
const REPEAT = 60, TIMES = 10, LOOK = 5000;
const now = () => (Date.now() + Number(document.documentElement.dataset.ahead ?? 0)) / 1000;
const round = (client) => (client.isUrgent ? ` ${Math.min(TIMES, Math.floor((now() - client.since) / REPEAT))}` : "");
const keyOf = (client) => `${client.id} ${client.since}${round(client)}`;
const PAUSE = 10000; // between two of a kind; what comes meanwhile is summed up
const LATEST = 60000; // a call that nobody could hear for a minute is no call any more
const KEPT = 200, met = new Map();
let latest, due;

// What has been told is kept where all tabs see it at once: only transactions of a database reach across the
// processes of a browser. Only random ids and times are kept, for nobody to read.
const opened = new Promise((resolve, reject) => {
  const asked = indexedDB.open("alerts", 1);
  asked.onupgradeneeded = () => asked.result.createObjectStore("told");
  asked.onsuccess = () => resolve(asked.result);
  asked.onerror = reject;
});
opened.catch(() => {}); // a browser without one is no error: then each tab is alone
const alone = {};

function exchangeInStore(database, channel, change) {
  return new Promise((resolve, reject) => {
    const step = database.transaction("told", "readwrite"), kept = step.objectStore("told"), asked = kept.get(channel);
    let outcome;
    asked.onsuccess = () => {
      const [after, found] = change(asked.result);
      if (after) kept.put(after, channel);
      outcome = found;
    };
    step.oncomplete = () => resolve(outcome);
    step.onabort = reject;
  });
}

// Replaces what is kept by what `change` makes of it, in one step for all tabs; returns what else it found.
async function exchange(channel, change) {
  try {
    return await exchangeInStore(await opened, channel, change);
  } catch {
    // Without storage every tab calls for itself: rather twice than never.
    const [after, found] = change(alone[channel]);
    alone[channel] = after ?? alone[channel];
    return found;
  }
}

function lasting(since) {
  const minutes = Math.floor(Math.max(0, now() - since) / 60);
  return minutes ? put(words.waitingFor, put(words.minutes, minutes)) : words.waitingNow;
}

function messageFor(all) {
  const late = all.filter((client) => client.isUrgent), isUrgent = late.length > 0, news = isUrgent ? late : all;
  const newest = news.reduce((one, other) => (other.since > one.since ? other : one));
  const tag = keyOf(newest), [one, many] = isUrgent ? [words.oneUrgent, words.manyUrgent] : [words.oneWaits, words.manyWait];
  if (news.length === 1) return { title: one, body: `${newest.name}\n${lasting(newest.since)}`, tag, url: newest.url, isUrgent };
  return { title: put(many, news.length), body: news.map((client) => client.name).join("\n"), tag, url: words.boardUrl, isUrgent };
}

function decide({ at, told } = { at: 0, told: [] }) {
  const isNews = (client) => !told.includes(keyOf(client)) && performance.now() - met.get(keyOf(client)) < LATEST;
  const news = latest.filter(isNews), wait = at + PAUSE - Date.now();
  if (!news.length) return [];
  if (wait > 0 && wait <= PAUSE) return [null, { wait }]; // a mark from the future is a clock that has jumped
  return [{ at: Date.now(), told: [...new Set([...told, ...news.map(keyOf)])].slice(-KEPT) }, { message: messageFor(news) }];
}

async function tellBy(channel) {
  const { message, wait } = (await exchange(channel, decide)) ?? {};
  if (message) document.dispatchEvent(new CustomEvent("alerts:tell", { detail: { channel, message } }));
  if (wait) later(wait);
}

function later(wait) {
  clearTimeout(due);
  due = setTimeout(flush, wait + 50);
}

// A tab that may not play leaves the call to one that may.
function flush() {
  for (const client of latest ?? []) if (!met.has(keyOf(client))) met.set(keyOf(client), performance.now());
  if (latest && form?.dataset.able) form.dataset.able.split(" ").forEach(tellBy);
}

document.addEventListener("portal:news", ({ detail }) => {
  latest = [...detail.news, ...detail.urgent.map((client) => ({ ...client, isUrgent: true }))];
  flush();
});
setInterval(() => latest?.some((client) => client.isUrgent) && flush(), LOOK);
