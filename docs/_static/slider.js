// Figures of a container "slider" are shown one at a time, chosen by a range input. Without
// JavaScript they stand one below the other.
document.addEventListener("DOMContentLoaded", () => {
  for (const slider of document.querySelectorAll(".slider")) {
    const figures = [...slider.querySelectorAll("figure")];
    if (figures.length < 2) continue;
    const captions = figures.map((figure) => {
      const caption = figure.querySelector("figcaption p, figcaption");
      const text = caption.querySelector(".caption-text") || caption;
      return text.textContent.trim();
    });
    const input = document.createElement("input");
    input.type = "range";
    input.min = 0;
    input.max = figures.length - 1;
    input.step = 1;
    input.value = Math.min(1, figures.length - 1);
    input.setAttribute("aria-label", "Which picture is shown");
    const show = () => {
      const chosen = Number(input.value);
      figures.forEach((figure, k) => (figure.hidden = k !== chosen));
      // What a screen reader says in place of the number.
      input.setAttribute("aria-valuetext", captions[chosen]);
    };
    input.addEventListener("input", show);
    slider.prepend(input);
    show();
  }
});
