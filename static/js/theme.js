// Theme: system, light or dark, at once; the cookie lets the server render the next page the same way.
document.getElementById("theme")?.addEventListener("change", (event) => {
  const { value } = event.target;
  document.documentElement.toggleAttribute("data-theme", Boolean(value));
  if (value) document.documentElement.dataset.theme = value;
  const age = value ? 31536000 : 0;
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `theme=${value}; path=/; max-age=${age}; samesite=lax${secure}`;
});
