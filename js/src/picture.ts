// What is seen of the plots, as a PNG.

/** Every canvas inside `stack`, where it is, on the theme's ground. */
export function png(stack: HTMLElement): Promise<Blob | null> {
  const ratio = window.devicePixelRatio || 1;
  const box = stack.getBoundingClientRect();
  const picture = document.createElement("canvas");
  picture.width = Math.round(box.width * ratio);
  picture.height = Math.round(box.height * ratio);
  const context = picture.getContext("2d");
  if (!context) return Promise.resolve(null);
  context.fillStyle = ground(stack);
  context.fillRect(0, 0, picture.width, picture.height);
  for (const canvas of stack.querySelectorAll("canvas")) {
    const at = canvas.getBoundingClientRect();
    if (at.width === 0) continue;
    context.drawImage(
      canvas,
      (at.x - box.x) * ratio,
      (at.y - box.y) * ratio,
      at.width * ratio,
      at.height * ratio,
    );
  }
  context.font = `${11 * ratio}px system-ui, sans-serif`;
  context.textAlign = "right";
  for (const label of stack.querySelectorAll<HTMLElement>(".aic-lane-name span")) {
    const at = label.getBoundingClientRect();
    context.fillStyle = getComputedStyle(label).color;
    context.fillText(label.innerText, (at.right - box.x) * ratio, (at.bottom - box.y - 4) * ratio);
  }
  return new Promise((resolve) => picture.toBlob(resolve));
}

/** Colour of the paper. */
export function ground(stack: HTMLElement): string {
  return getComputedStyle(stack.closest(".audioic") ?? stack).backgroundColor;
}
