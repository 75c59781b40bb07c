// Worker: asks who waits for a person while nobody sees the page. Timers of hidden pages are slowed down to one a minute, a worker's are not.
let timer, task;

async function ask() {
  const current = task;
  const headers = { "HX-Request": "true", "X-Release": current.release };
  if (current.tag) headers["HX-PTag"] = current.tag;
  try {
    const answer = await fetch(current.address, { headers, signal: AbortSignal.timeout(10000) });
    const told = { status: answer.status, redirect: answer.headers.get("HX-Redirect"), release: answer.headers.get("X-Release") };
    current.tag = answer.headers.get("HX-PTag") ?? current.tag;
    if (answer.status === 200 && !told.redirect) told.waiting = await answer.json();
    if (current === task) postMessage(told);
  } catch {
    if (current === task) postMessage({ status: 0 });
  }
}

// With an address: ask now and then every so many seconds, or once if there are none. Without: stop.
onmessage = ({ data }) => {
  clearInterval(timer);
  task = data.address ? data : undefined;
  if (!task) return;
  if (task.seconds) timer = setInterval(ask, task.seconds * 1000);
  ask();
};
