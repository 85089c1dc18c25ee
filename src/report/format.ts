/** A count with thousands separated by commas: 853,018. */
export const count = (n: number): string => n.toLocaleString("en-US");

/** A fraction as percent with one decimal: 91.5 %. */
export const percent = (fraction: number): string => `${(fraction * 100).toFixed(1)} %`;

/** A share of `count` things as percent, with a second decimal where one of them is no more than 0.01 %: 99.09 %. */
export const percentOf = (fraction: number, count: number): string =>
  `${(fraction * 100).toFixed(count >= 10_000 ? 2 : 1)} %`;

/** Bytes in the largest unit that keeps one digit before the point: 3.3 MiB. */
export function bytes(n: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let value = n;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
