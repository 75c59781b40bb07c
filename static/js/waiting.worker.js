// Worker: asks who waits for a person while nobody sees the page. Timers of hidden pages are slowed down to one a minute, a worker's are not.
const AGAIN = 5000; // a single question that failed is asked again
let timer, task;

async function ask() {
  const current = task;
  const headers = { "HX-Request": "true", "X-Release": current.release };
  if (current.tag) headers["HX-PTag"] = current.tag;
  try {
    const answer = await fetch(current.address, { headers, signal: AbortSignal.timeout(10000) });
    const told = { status: answer.status, redirect: answer.headers.get("HX-Redirect"), release: answer.headers.get("X-Release") };
    if (answer.status === 200 && !told.redirect) told.waiting = await answer.json();
    current.tag = answer.headers.get("HX-PTag") ?? current.tag; // only once the whole answer is here
    hear(current, told);
  } catch {
    hear(current, { status: 0 });
  }
}

function hear(current, told) {
  if (current !== task) return;
  if (!task.seconds && (told.status === 0 || told.status >= 500)) timer = setTimeout(ask, AGAIN);
  postMessage(told);
}

// Ask now and then every so many seconds, or once if there are none; or stop. What is known of an address stays known.
onmessage = ({ data }) => {
  clearInterval(timer);
  const known = task;
  task = data;
  if (known?.address === data.address) task.tag = known.tag;
  if (!task.isAsking) return;
  if (task.seconds) timer = setInterval(ask, task.seconds * 1000);
  ask();
};
