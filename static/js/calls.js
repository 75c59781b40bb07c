// Who calls: keeps the tab's title and icon, says each newly joined client once, and hands the list to the alerts.
const icon = document.getElementById("favicon");
const said = document.getElementById("said");
const words = document.getElementById("words")?.dataset ?? {};
const seen = new Set();
const put = (template, value) => (template ?? "{}").replace("{}", () => value);
const keyOf = (client) => `${client.id} ${client.since}`;
// Who had joined before this page was opened is shown, not announced: nobody needs a bell for what they came to read.
// The seconds are for those who joined while one page gave way to the next, and were seen by a slow look at the vendor.
const GRACE = 40;
const opened = Number(document.documentElement.dataset.now) / 1000;
const CALLED = 5; // the server names no more, and no more of those this person was given
const isGiven = (client) => client.id.endsWith("-given");
const forAnybody = (clients) => clients.filter((client) => !isGiven(client));
let needs = 0, listed = [], late = [], known, floor = 0;

function mark(count) {
  if (!icon) return;
  const wanted = count ? icon.dataset.needs : icon.dataset.calm;
  if (icon.getAttribute("href") !== wanted) icon.setAttribute("href", wanted);
  const title = (count ? `(${count}) ` : "") + document.title.replace(/^\(\d+\) /, "");
  if (document.title !== title) document.title = title;
}

function call(count, joined, urgent, isCut) {
  needs = count;
  listed = joined;
  late = urgent;
  known ??= new Set(joined.filter((client) => client.since < opened - GRACE).map(keyOf));
  // A list that is cut off hides older clients. They do not become news when it moves up, but when they are given to one.
  if (isCut) floor = Math.max(floor, Math.min(...forAnybody(joined).map((client) => client.since)));
  const news = joined.filter((client) => (isGiven(client) || client.since >= floor) && !known.has(keyOf(client)));
  const unsaid = news.filter((client) => !seen.has(keyOf(client)));
  for (const client of unsaid) seen.add(keyOf(client));
  if (unsaid.length === 1) said.textContent = put(words.joined, unsaid[0].name);
  if (unsaid.length > 1) said.textContent = put(words.joinedMany, unsaid.length);
  if (!count && seen.size) said.textContent = "";
  document.dispatchEvent(new CustomEvent("portal:news", { detail: { news, urgent } }));
}

// Whoever is given a client is called once more, though the client has joined before.
const clientOf = (row) => {
  const link = row.querySelector("h3 a"), given = row.matches(".is-given") ? "-given" : "";
  return { id: row.id.replace(/^inv-/, "") + given, since: Number(row.dataset.joinedAt), name: link.textContent, url: link.getAttribute("href") };
};

// What counts for everybody is the server's number; who waits for this person alone is counted here.
function look(mayAsk) {
  const watched = document.querySelector("[data-needs]:not(link)");
  if (!watched || document.hidden) return;
  const rows = [...document.querySelectorAll('#board .row[data-status="1"]:not(.is-taken)')];
  const count = (Number(watched.dataset.needs) || 0) + rows.filter((row) => row.matches(".is-given")).length;
  const isWhole = watched.id === "board" && !/[?&](f|q|page)=/.test(watched.getAttribute("hx-get"));
  mark(count);
  const sorts = ["[data-joined-at]", ".is-urgent"].map((which) => rows.filter((row) => row.matches(which)).map(clientOf));
  if (isWhole && rows.length === count) call(count, ...sorts);
  else if (mayAsk) document.dispatchEvent(new CustomEvent("portal:unlisted"));
}

document.addEventListener("portal:waiting", ({ detail }) => {
  call(detail?.needs ?? needs, detail?.joined ?? listed, detail?.urgent ?? late, forAnybody(detail?.joined ?? []).length >= CALLED);
  if (document.hidden || !document.querySelector("[hx-ptag]")) mark(needs);
});
document.addEventListener("visibilitychange", () => document.hidden || look());
document.addEventListener("htmx:after:swap", ({ detail }) => look(detail.ctx?.response?.status === 200));
addEventListener("load", () => look(true)); // by then every script listens
