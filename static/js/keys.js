// Single-key shortcuts: what is marked [data-key], and in a row j, k, o, c, s. Off in fields, dialogs and menus, and for who does not want them.
const choice = document.getElementById("keys-on");
const isTyping = (element) => element.closest?.("input, textarea, select, [contenteditable]");
const inRow = { c: "button.code", o: ".act-connect", s: ".act-share" };

function move(row, step) {
  const rows = [...document.querySelectorAll(".row")];
  const next = Math.max(0, Math.min(rows.indexOf(row) + step, rows.length - 1));
  rows[next]?.querySelector("h3 a").focus();
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (!choice?.checked || document.querySelector("dialog[open], :popover-open")) return;
  const row = document.activeElement.closest(".row");
  if (event.key === "j" || event.key === "k") return move(row, event.key === "j" ? 1 : -1);
  if (event.repeat) return; // a key that is held must not connect twice
  const target = row?.querySelector(inRow[event.key] ?? ":not(*)") ?? document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!target) return;
  event.preventDefault();
  target.matches("input") ? target.focus() : target.click();
});

choice?.addEventListener("change", () => {
  fetch(choice.form.action, { method: "POST", body: new FormData(choice.form), keepalive: true }).catch(() => {});
});
