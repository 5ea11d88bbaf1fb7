/** The drawing area: white strokes on black, as MNIST has its digits. */

const PEN = 22;

export interface Pad {
  clear(): void;
  /** Whether anything is drawn. */
  readonly isEmpty: boolean;
  /** What the network gets: the strokes in a box of 20/28 of the side, by their centre of mass, as MNIST was made. */
  centred(): HTMLCanvasElement;
  /** Shows an image instead of strokes. */
  show(image: CanvasImageSource, width: number, height: number): void;
}

export function createPad(canvas: HTMLCanvasElement, onChange: () => void): Pad {
  const context = canvas.getContext('2d', { willReadFrequently: true }) as CanvasRenderingContext2D;
  const side = canvas.width;
  let isEmpty = true;
  let last: { x: number; y: number } | undefined;

  const clear = () => {
    context.fillStyle = '#000';
    context.fillRect(0, 0, side, side);
    isEmpty = true;
  };
  const place = (event: PointerEvent) => {
    const box = canvas.getBoundingClientRect();
    return { x: ((event.clientX - box.left) / box.width) * side, y: ((event.clientY - box.top) / box.height) * side };
  };
  const line = (from: { x: number; y: number }, to: { x: number; y: number }) => {
    context.strokeStyle = '#fff';
    context.lineWidth = PEN;
    context.lineCap = 'round';
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.stroke();
    isEmpty = false;
    onChange();
  };
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = place(event);
    line(last, last);
  });
  canvas.addEventListener('pointermove', (event) => {
    if (!last) return;
    const next = place(event);
    line(last, next);
    last = next;
  });
  for (const name of ['pointerup', 'pointercancel'] as const) {
    canvas.addEventListener(name, () => {
      last = undefined;
    });
  }
  clear();

  return {
    clear,
    get isEmpty() {
      return isEmpty;
    },
    centred: () => centre(context.getImageData(0, 0, side, side), canvas),
    show(image, width, height) {
      clear();
      const scale = Math.min(side / width, side / height);
      const [w, h] = [width * scale, height * scale];
      context.imageSmoothingEnabled = scale < 1;
      context.drawImage(image, (side - w) / 2, (side - h) / 2, w, h);
    },
  };
}

function centre({ data, width, height }: ImageData, source: HTMLCanvasElement): HTMLCanvasElement {
  let [left, top, right, bottom] = [width, height, -1, -1];
  let [mass, x, y] = [0, 0, 0];
  for (let i = 0; i < width * height; i++) {
    const ink = data[4 * i] as number;
    if (ink < 32) continue;
    const [column, row] = [i % width, Math.floor(i / width)];
    left = Math.min(left, column);
    right = Math.max(right, column);
    top = Math.min(top, row);
    bottom = Math.max(bottom, row);
    mass += ink;
    x += ink * column;
    y += ink * row;
  }
  const result = document.createElement('canvas');
  result.width = width;
  result.height = height;
  const context = result.getContext('2d') as CanvasRenderingContext2D;
  context.fillStyle = '#000';
  context.fillRect(0, 0, width, height);
  if (right < left) return result;
  const [w, h] = [right - left + 1, bottom - top + 1];
  const scale = (width * 20) / 28 / Math.max(w, h);
  const [toX, toY] = [width / 2 - (x / mass - left) * scale, height / 2 - (y / mass - top) * scale];
  context.drawImage(source, left, top, w, h, toX, toY, w * scale, h * scale);
  return result;
}
