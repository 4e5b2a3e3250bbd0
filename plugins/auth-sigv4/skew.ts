/** A request signed long ago, or by a clock that is wrong, is refused: a replay is good for minutes only. */
import { unauthenticated } from './refusals.ts';
import { toAmzDate, toIso } from './times.ts';

export interface SkewContext {
  readonly nowMs: number;
  readonly options: { readonly maxClockSkewMs: number };
}

export function refuseSkew(timeMs: number, { nowMs, options }: SkewContext): void {
  if (Math.abs(nowMs - timeMs) <= options.maxClockSkewMs) return;
  throw unauthenticated(
    'RequestTimeTooSkewed',
    'The difference between the request time and the current time is too large.',
    {
      RequestTime: toAmzDate(timeMs),
      ServerTime: toIso(nowMs),
      MaxAllowedSkewMilliseconds: String(options.maxClockSkewMs),
    },
  );
}
