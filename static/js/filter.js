// Long tables of the administration: [data-filter="id"] shows only the rows whose head has what is typed.
for (const field of document.querySelectorAll("[data-filter]")) {
  const rows = [...document.getElementById(field.dataset.filter).rows];
  if (rows.length < 8) continue;
  field.closest("[hidden]").hidden = false;
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLocaleLowerCase();
    for (const row of rows) row.hidden = !row.cells[0].textContent.toLocaleLowerCase().includes(wanted);
  });
  field.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
}
