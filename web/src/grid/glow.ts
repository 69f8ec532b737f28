// What just changed glows for a moment.

const TIME = 650; // milliseconds of fading
const HOLD = 250; // milliseconds before it: cells that change again and again need no frames in between
const MOST = 600; // cells; where more change at once, as in a picture, a glow says nothing

export class Glow {
  private since = new Map<number, number>();

  /** Let cells glow from now on. */
  start(keys: number[]): void {
    if (keys.length > MOST || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const now = performance.now();
    for (const at of keys) this.since.set(at, now);
  }

  /** How much of a cell's glow is left, 1 to 0. */
  left(at: number): number {
    const since = this.since.get(at);
    return since === undefined ? 0 : Math.min(1, Math.max(0, 1 - (performance.now() - since - HOLD) / TIME));
  }

  /** The cells to be drawn again now, as their glow fades or has just ended. */
  fading(): number[] {
    const all = [...this.since.keys()].filter((at) => this.left(at) < 1);
    for (const at of all) if (this.left(at) === 0) this.since.delete(at);
    return all;
  }

  get any(): boolean {
    return this.since.size > 0;
  }

  clear(): void {
    this.since.clear();
  }
}
