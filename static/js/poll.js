// Polling: a board or invitation in view polls its fragment. Hidden, and on every other page, a worker asks who waits.
const root = document.documentElement;
const words = document.getElementById("words")?.dataset ?? {};
const polled = () => document.querySelector("[hx-ptag]");
const isPoll = (event) => event.detail.ctx?.sourceElement?.matches?.("[hx-ptag]");
const tell = (name, detail) => document.dispatchEvent(new CustomEvent(name, { detail }));
let worker, isAsking = false, next;

// When to ask again is what the last answer said: just after the next list should have come, spread a little.
function poll() {
  clearTimeout(next);
  const interval = Number(polled()?.dataset.pollSeconds);
  if (!interval) return;
  next = setTimeout(poll, 2000 * interval); // in case no answer says anything
  polled().dispatchEvent(new Event("poll"));
}

function pollIn(seconds) {
  clearTimeout(next);
  next = setTimeout(poll, 1000 * (seconds + Math.random() * 0.3));
}

// A request that fails becomes an answer, so that one place below judges both. What htmx gave up itself stays given up.
async function fetchOrFail(address, request) {
  try {
    const answer = await fetch(address, request);
    // A page of something in between (the sign-in of a network or a gateway) is no answer of the portal.
    const isOurs = answer.status !== 200 || answer.headers.has("HX-PTag") || answer.headers.has("HX-Redirect");
    return isOurs ? answer : new Response(null, { status: 503 });
  } catch (error) {
    if (request.signal?.aborted && request.signal.reason !== "timeout") throw error;
    return new Response(null, { status: 503 });
  }
}

document.addEventListener("htmx:config:request", (event) => {
  if (isPoll(event)) event.detail.ctx.request.headers["X-Release"] = root.dataset.release;
});
document.addEventListener("htmx:before:request", (event) => {
  if (!isPoll(event)) return;
  if (document.hidden) return event.preventDefault();
  event.detail.ctx.fetch = fetchOrFail;
});
document.addEventListener("htmx:after:request", (event) => {
  if (!isPoll(event)) return;
  const { status, headers } = event.detail.ctx.response;
  pollIn(Number(headers.get("X-Poll-In")) || Number(polled()?.dataset.pollSeconds) || 0);
  tell("portal:answered", { status, release: headers.get("X-Release") });
});

// The board asks within its own filter of owners, every other page for the whole team.
function address() {
  const whose = polled()?.id === "board" ? new URL(polled().getAttribute("hx-get"), location).searchParams.get("whose") : null;
  return words.waitingUrl + (whose ? `?whose=${encodeURIComponent(whose)}` : "");
}

function heard(told) {
  if (told.redirect) return tell("portal:signed-out", told.redirect);
  tell("portal:answered", told);
  if (told.waiting) tell("portal:waiting", told.waiting);
  else if (told.status === 304) tell("portal:waiting");
}

function ask(seconds) {
  try {
    worker ??= new Worker(words.worker);
    worker.onmessage = ({ data }) => heard(data);
    worker.postMessage({ isAsking: true, address: address(), seconds, release: root.dataset.release });
  } catch {
    worker = undefined; // without workers a hidden page only catches up when it is seen again
  }
}

function turn() {
  const mustAsk = document.hidden || !polled();
  if (!words.waitingUrl || mustAsk === isAsking) return;
  isAsking = mustAsk;
  if (isAsking) return ask(Number(words.hiddenSeconds));
  worker?.postMessage({ address: address() });
  poll();
}

// What the page in view does not list itself (another filter, another page) is asked for once per change.
document.addEventListener("portal:unlisted", () => isAsking || ask(0));
document.addEventListener("visibilitychange", turn);
document.addEventListener("htmx:after:swap", turn); // a closed invitation is polled no longer
addEventListener("pageshow", turn);
turn();
if (polled()) pollIn(1);
