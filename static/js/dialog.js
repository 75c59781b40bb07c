// Dialogs: a[data-dialog] opens the sheet of its page in place, a[data-in-dialog] only where it stands in a dialog; whatever goes wrong, the browser goes to that page instead.
const dialog = document.getElementById("dialog");
const said = document.getElementById("said");
const isPlain = (event) => event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);

let opening = 0;

async function open(link) {
  const turn = ++opening;
  const answer = await fetch(link.href);
  if (!answer.ok || answer.redirected) throw new Error("not a sheet");
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (turn !== opening) return; // another was asked for meanwhile
  const sheet = document.importNode(page.getElementById("sheet"), true);
  link.closest("[popover]")?.hidePopover();
  dialog.replaceChildren(...sheet.childNodes, said);
  dialog.lang = page.documentElement.lang; // a page in German opens sheets that are English
  dialog.setAttribute("aria-label", dialog.querySelector("h1, h2").textContent);
  dialog.open ? (dialog.querySelector("[autofocus]") ?? dialog.querySelector("a, button")).focus() : dialog.showModal();
  globalThis.htmx?.process(dialog);
}

if (dialog?.showModal) {
  addEventListener("click", (event) => {
    const link = event.target.closest("a[data-dialog], dialog a[data-in-dialog]");
    if (!link || !isPlain(event)) return;
    event.preventDefault();
    open(link).catch(() => location.assign(link.href));
  });
  dialog.addEventListener("click", (event) => {
    if (!event.target.closest("[data-cancel]")) return;
    event.preventDefault();
    dialog.close();
  });
}

// Beside an open dialog all is inert, the live region as well: it moves along.
for (const name of ["toggle", "close"]) {
  addEventListener(name, ({ target }) => target.matches?.("dialog") && (target.open ? target : document.body).append(said), true);
}

// <button commandfor command="show-modal | close"> for browsers without invoker commands
if (!("commandForElement" in HTMLButtonElement.prototype)) {
  addEventListener("click", (event) => {
    const button = event.target.closest("[commandfor]");
    const target = button && document.getElementById(button.getAttribute("commandfor"));
    if (target) button.getAttribute("command") === "close" ? target.close() : target.showModal();
  });
}
