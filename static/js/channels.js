// The channels of the alerts: plays, notifies, keeps the switches, and says whether the browser plays along.
const form = document.getElementById("alerts-form");
const button = document.getElementById("alerts-btn");
const state = document.getElementById("alerts-state");
const words = document.getElementById("words")?.dataset ?? {};
let audio, isUnsaved = false, cannotNotify = false;

const isOn = (channel) => form.elements[channel].checked;
const mayNotify = () => !cannotNotify && "Notification" in window && isSecureContext && Notification.permission === "granted";
const maySound = () => audio?.state === "running";

// Twice, and louder, for somebody who waits too long.
function sound(isUrgent) {
  if (!maySound()) return;
  const call = [[659.25, 0], [880, 0.16]], volumeMost = isUrgent ? 0.5 : 0.25;
  (isUrgent ? [...call, ...call.map(([pitch, after]) => [pitch, after + 0.6])] : call).forEach(([pitch, after]) => {
    const tone = audio.createOscillator(), volume = audio.createGain(), start = audio.currentTime + after;
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0.0001, start);
    volume.gain.exponentialRampToValueAtTime(volumeMost, start + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, start + 0.45);
    tone.connect(volume).connect(audio.destination);
    tone.start(start);
    tone.stop(start + 0.5);
  });
}

function notify({ title, body, tag, url, isUrgent }) {
  if (!mayNotify()) return;
  try {
    const note = new Notification(title, { body, tag, requireInteraction: Boolean(isUrgent), icon: document.getElementById("favicon")?.dataset.needs });
    note.onclick = () => {
      window.focus();
      note.close();
      if (url && !document.querySelector("dialog[open]")) location.assign(url);
    };
  } catch {
    cannotNotify = true; // some phones have the name but not the thing
    show();
  }
}

function problem() {
  if (isOn("notification")) {
    if (!isSecureContext) return "insecure";
    if (cannotNotify || !("Notification" in window)) return "missing";
    if (Notification.permission === "denied") return "blocked";
    if (Notification.permission !== "granted") return "ask";
  }
  if (isOn("sound") && !window.AudioContext) return "silent";
  return isOn("sound") && !maySound() ? "muted" : "";
}

function show() {
  const able = [isOn("sound") && maySound() && "sound", isOn("notification") && mayNotify() && "notification"].filter(Boolean);
  document.getElementById("alerts-test").disabled = !isOn("sound") && !isOn("notification");
  const isHeard = able.length > 0;
  form.dataset.able = able.join(" ");
  button.toggleAttribute("data-heard", isHeard);
  const what = isUnsaved ? "unsaved" : problem() || (isHeard ? "on" : "off");
  state.dataset.tone = what === "on" || what === "off" ? "" : "caution";
  if (state.textContent !== state.dataset[what]) state.textContent = state.dataset[what];
}

// Browsers let a page play only after a key or a click in it, and complain about any earlier try.
async function unlock() {
  if (!isOn("sound") || maySound() || !window.AudioContext) return;
  try {
    audio ??= new AudioContext();
    audio.onstatechange = show;
    await audio.resume();
  } catch {
    audio = undefined;
  }
}

async function allow() {
  await Promise.all([unlock(), isOn("notification") && isSecureContext && window.Notification?.requestPermission?.()]);
  show();
}

async function save() {
  try {
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { "HX-Request": "true" } });
    const signIn = answer.headers.get("HX-Redirect");
    if (signIn) return location.assign(signIn);
    isUnsaved = !answer.ok;
  } catch {
    isUnsaved = true;
  }
  show();
}

async function test() {
  await allow();
  if (isOn("sound")) sound();
  if (isOn("notification")) notify({ title: words.testTitle, body: words.testBody, tag: "test" });
}

document.addEventListener("alerts:tell", ({ detail }) => (detail.channel === "sound" ? sound(detail.message.isUrgent) : notify(detail.message)));

if (form) {
  form.addEventListener("change", () => Promise.all([save(), allow()]));
  document.getElementById("alerts-test").addEventListener("click", test);
  for (const gesture of ["click", "keydown"]) addEventListener(gesture, () => unlock().then(show));
  addEventListener("focus", show); // the browser's own settings may have changed meanwhile
  show();
}
