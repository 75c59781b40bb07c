// Single-key shortcuts: n, /, j, k, c, ?. Off in fields and dialogs; a session cookie remembers that they are switched off.
const choice = document.getElementById("keys-on");
const isTyping = (element) => element.closest?.("input, textarea, select, [contenteditable]");

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
  if (event.key === "c" && row) return row.querySelector("button.code")?.click();
  const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!target) return;
  event.preventDefault();
  target.matches("input") ? target.focus() : target.click();
});

if (choice) {
  choice.checked = !document.cookie.split("; ").includes("keys=off");
  choice.addEventListener("change", () => {
    document.cookie = `keys=${choice.checked ? "on" : "off"}; path=/; samesite=lax`;
  });
}
