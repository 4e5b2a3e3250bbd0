/** Times as requests carry them. Unix milliseconds; `undefined` for what is not a time. */

const AMZ_DATE = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/;
/** RFC 9110 IMF-fixdate, and the numeric zones that old clients send. */
const HTTP_DATE = /^(?:[A-Z][a-z]{2}, )?\d{1,2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} (?:GMT|UTC|[+-]\d{4})$/;

/** `20130524T000000Z`. */
export function parseAmzDate(text: string): number | undefined {
  const match = AMZ_DATE.exec(text);
  if (match === null) return undefined;
  const part = (at: number): number => Number(match[at]);
  const [hour, minute, second] = [part(4), part(5), part(6)];
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const ms = Date.UTC(part(1), part(2) - 1, part(3), hour, minute, second);
  // 31 April would be 1 May, and a year below 100 one of the last century.
  const date = new Date(ms);
  const same = date.getUTCDate() === part(3) && date.getUTCMonth() === part(2) - 1 && date.getUTCFullYear() === part(1);
  return same ? ms : undefined;
}

/** `Fri, 24 May 2013 00:00:00 GMT`. */
export function parseHttpDate(text: string): number | undefined {
  if (!HTTP_DATE.test(text)) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}

/** `20130524T000000Z`. */
export function toAmzDate(ms: number): string {
  return toIso(ms).replace(/[-:]|\.\d+/g, '');
}

/** `2013-05-24T00:00:00.000Z`. */
export function toIso(ms: number): string {
  return new Date(ms).toISOString();
}
