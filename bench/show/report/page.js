"use strict";
// Tables are sorted by their headings; a cell without a number stays last, whichever way.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
    const falls = column > 0 ? head.getAttribute("aria-sort") !== "descending" : head.getAttribute("aria-sort") === "ascending";
    heads.forEach((one) => one.setAttribute("aria-sort", one === head ? (falls ? "descending" : "ascending") : "none"));
    const key = (row) => {
      const cell = row.cells[column];
      if (column === 0) return cell.textContent;
      return !cell || !cell.dataset.value ? null : Number(cell.dataset.value);
    };
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      const order = column === 0 ? x.localeCompare(y) : x - y;
      return falls ? -order : order;
    });
    table.tBodies[0].append(...rows);
  }));
}
// The gallery shows the images that meet every filter.
for (const form of document.querySelectorAll("form.filters")) {
  const gallery = document.getElementById(form.dataset.gallery);
  const cards = [...gallery.querySelectorAll("li[data-labels]")];
  const apply = () => {
    const label = form.elements.label.value;
    const disagree = form.elements.disagree.checked;
    let shown = 0;
    for (const card of cards) {
      const fits = (!label || card.dataset.labels.split(" ").includes(label))
        && (!disagree || card.hasAttribute("data-disagree"));
      card.hidden = !fits;
      shown += fits;
    }
    const rest = gallery.querySelector("details");
    if (rest && (label || disagree)) rest.open = true;
    form.querySelector("output").textContent = `${shown} of ${cards.length} images`;
  };
  form.addEventListener("change", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
}
