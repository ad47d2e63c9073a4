// Who uses the keyboard keeps the place when the control that has it is made anew, hidden or disabled.

/** Remembers what has the focus in `root`; to be called after a change, gives it on where that cannot have it now. */
export function focusIn(root: HTMLElement): () => void {
  const holder = root.querySelector<HTMLElement>(":focus");
  if (!holder) return () => {};
  const same = `[data-testid="${holder.dataset.testid}"]`;
  const heirs = holder.closest(".aic-levels") ? `${same}, [data-testid="new-level"]` : same;
  return () => {
    const able = [holder, ...root.querySelectorAll<HTMLElement>(heirs)].find(
      (each) => !each.matches(":disabled") && each.getClientRects().length > 0,
    );
    const next = able ?? root;
    // What was moved on the page has lost it, too.
    if (!next.matches(":focus")) next.focus({ preventScroll: true });
  };
}
