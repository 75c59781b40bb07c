// Passkeys: a form with [data-passkey] asks the device, puts its answer into the field "credential" and goes. [data-download] saves a list.
const knows = Boolean(globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON);

async function optionsOf(form) {
  if (form.dataset.options) return JSON.parse(form.dataset.options).publicKey;
  const answer = await fetch(form.dataset.from, { headers: { "X-Requested-With": "XMLHttpRequest" } });
  return (await answer.json()).request_options.publicKey;
}

async function ask(form) {
  const options = await optionsOf(form);
  const credential =
    form.dataset.passkey === "create"
      ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
      : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
  form.elements.credential.value = JSON.stringify(credential);
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const button = form.querySelector("button"), failed = form.querySelector("[data-passkey-failed]");
  button.hidden = !knows;
  form.querySelector("[data-passkey-unknown]").hidden = knows;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    failed.hidden = true;
    try {
      await ask(form);
      form.submit();
    } catch {
      failed.hidden = false; // cancelled, or nothing on this device; what it was, browsers do not tell
    }
    button.disabled = false;
  });
}

addEventListener("click", (event) => {
  const button = event.target.closest("[data-download]");
  if (!button) return;
  const lines = Array.from(document.getElementById(button.dataset.download).children, (line) => line.textContent);
  const address = URL.createObjectURL(new Blob([lines.join("\n"), "\n"], { type: "text/plain" }));
  Object.assign(document.createElement("a"), { href: address, download: button.dataset.name }).click();
  URL.revokeObjectURL(address);
});
