// A second press within two seconds is the same click: nothing is handed over, extended or sent twice.
// Connect stays on its page: a later press is a new request with a new token.
const sent = new Map();

addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  const address = event.submitter?.hasAttribute("formaction") ? event.submitter.formAction : form.action;
  if (Date.now() - (sent.get(address) ?? 0) < 2000) return event.preventDefault();
  sent.set(address, Date.now());
  if (!form.matches("[data-connect]")) return;
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const token = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  setTimeout(() => (form.elements.token.value = token)); // after the browser has read the form
});
