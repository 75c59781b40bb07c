// Copy buttons: [data-copy="text"] copies, says so, and selects the text where copying is blocked. [data-dismiss] removes what it names, [data-print] prints.
const said = document.getElementById("said");
const words = document.getElementById("words")?.dataset ?? {};

function select(button) {
  getSelection().selectAllChildren(document.getElementById(button.dataset.shown) ?? button);
  said.textContent = words.blocked;
}

async function tell(button) {
  const body = new URLSearchParams([...new FormData(document.getElementById("connect")), ["what", button.dataset.what]]);
  await fetch(button.closest("[data-copied]").dataset.copied, { method: "POST", body, keepalive: true });
}

addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    return select(button);
  }
  tell(button).catch(() => {}); // it is copied all the same
  button.dataset.done = "";
  said.textContent = words.copied;
  setTimeout(() => {
    delete button.dataset.done;
    if (said.textContent === words.copied) said.textContent = "";
  }, 1600);
});

addEventListener("click", (event) => {
  const button = event.target.closest("[data-dismiss]");
  button?.closest(button.dataset.dismiss)?.remove();
  if (event.target.closest("[data-print]")) print();
});
