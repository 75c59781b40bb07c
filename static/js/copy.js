// Copy buttons: [data-copy="text"] copies and says so; where the browser lets no page copy, the text is shown, selected, and why. [data-dismiss] removes what it names, [data-print] prints.
const said = document.getElementById("said");
const byHand = document.getElementById("by-hand");
const words = document.getElementById("words")?.dataset ?? {};

function select(button) {
  getSelection().selectAllChildren(document.getElementById(button.dataset.shown) ?? button);
  said.textContent = words.blocked;
}

// Beside an open dialog all is inert, so the popover goes where its button is.
function offer(button) {
  const field = byHand.querySelector("textarea");
  field.value = button.dataset.copy;
  byHand.toggleAttribute("data-insecure", !isSecureContext);
  (button.closest("dialog") ?? document.body).append(byHand);
  byHand.showPopover();
  field.focus();
  field.select();
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
    return byHand?.showPopover ? offer(button) : select(button);
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
