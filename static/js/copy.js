// Copy buttons: [data-copy="text"] copies, says so, and selects the text where copying is blocked. [data-dismiss] removes what it names, [data-print] prints.
const said = document.getElementById("said");
const words = document.getElementById("words")?.dataset ?? {};

function select(button) {
  const shown = document.getElementById(button.dataset.shown) ?? button;
  getSelection().selectAllChildren(shown);
  said.textContent = words.blocked;
}

addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    return select(button);
  }
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
