// After each poll: the tab's icon says whether somebody needs help, and a newly joined client is announced once.
const icon = document.getElementById("favicon");
const said = document.getElementById("said");
let before;

function look() {
  const watched = document.querySelector("[data-needs]:not(link)");
  if (!watched || !icon) return;
  const needs = Number(watched.dataset.needs) || 0;
  const wanted = needs ? icon.dataset.needs : icon.dataset.calm;
  if (icon.getAttribute("href") !== wanted) icon.setAttribute("href", wanted);
  if (needs > before) said.textContent = document.getElementById("words").dataset.joined;
  if (needs < before) said.textContent = "";
  before = needs;
}

document.addEventListener("htmx:after:swap", look);
look();
