"use strict";
// Sorts and filters the page's tables, and opens what a link leads to. Without it the page can be read all the same.
(() => {
  const collator = new Intl.Collator(undefined, { numeric: true });

  function valueOf(row, column) {
    const cell = row.cells[column];
    const kept = cell.dataset.sort;
    if (kept === undefined) return cell.textContent.trim();
    if (kept === "inf") return Infinity;
    const number = Number(kept);
    return kept !== "" && !Number.isNaN(number) ? number : kept;
  }

  function compare(one, other) {
    if (typeof one === "number" && typeof other === "number") return one - other;
    return collator.compare(String(one), String(other));
  }

  // Cells without a value stay last in both directions.
  function sort(table, column, direction) {
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row) => ({ row, value: valueOf(row, column) }));
    rows.sort((one, other) => {
      if (one.value === "" || other.value === "") return (one.value === "") - (other.value === "");
      return direction * compare(one.value, other.value);
    });
    body.append(...rows.map((one) => one.row));
  }

  for (const button of document.querySelectorAll("table.sortable th button")) {
    button.addEventListener("click", () => {
      const heading = button.closest("th");
      const table = heading.closest("table");
      const first = heading.classList.contains("number") ? "descending" : "ascending";
      const now = heading.getAttribute("aria-sort");
      const next = now === null ? first : now === "ascending" ? "descending" : "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", next);
      sort(table, heading.cellIndex, next === "ascending" ? 1 : -1);
    });
  }

  function filter(id) {
    const table = document.getElementById(id);
    const input = document.querySelector(`input[data-filter="${id}"]`);
    const choice = document.querySelector(`select[data-choose="${id}"]`);
    const words = input.value.normalize("NFKC").toLowerCase().split(/\s+/).filter(Boolean);
    const label = choice ? choice.value : "";
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.normalize("NFKC").toLowerCase();
      row.hidden = !(words.every((word) => text.includes(word)) && (label === "" || row.dataset.label === label));
      shown += row.hidden ? 0 : 1;
    }
    const all = table.tBodies[0].rows.length;
    document.querySelector(`output[data-count="${id}"]`).textContent = shown === all ? `${all} rows` : `${shown} of ${all} rows`;
  }

  for (const input of document.querySelectorAll("input[data-filter]")) {
    input.addEventListener("input", () => filter(input.dataset.filter));
  }
  for (const choice of document.querySelectorAll("select[data-choose]")) {
    choice.addEventListener("change", () => filter(choice.dataset.choose));
  }

  function openTarget() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    target.scrollIntoView();
  }
  window.addEventListener("hashchange", openTarget);
  if (location.hash) openTarget();
})();
