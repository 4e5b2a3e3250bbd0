/** IP addresses and CIDR ranges as numbers; an IPv4 address and its IPv4-mapped IPv6 form are the same address. */

export interface IpRange {
  contains(address: string): boolean;
}

const MAPPED = 0xffff_0000_0000n;

/** `undefined` when `text` is no address and no CIDR range. */
export function parseRange(text: string): IpRange | undefined {
  const [address = '', prefix, ...more] = text.split('/');
  const network = parseIp(address);
  if (network === undefined || more.length > 0) return undefined;
  const width = address.includes(':') ? 128 : 32;
  if (prefix !== undefined && !/^\d{1,3}$/.test(prefix)) return undefined;
  const bits = prefix === undefined ? width : Number(prefix);
  if (bits > width) return undefined;
  const shift = BigInt(width - bits);
  return {
    contains(other) {
      const value = parseIp(other);
      return value !== undefined && value >> shift === network >> shift;
    },
  };
}

/** As 128 bits. A zone (`%eth0`) is ignored. */
function parseIp(text: string): bigint | undefined {
  const bare = text.split('%')[0] ?? '';
  if (!bare.includes(':')) return withMapped(parseV4(bare));
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(bare);
  if (dotted === null) return parseV6(bare);
  const tail = parseV4(dotted[2] ?? '');
  if (tail === undefined) return undefined;
  return parseV6(`${dotted[1]}${(tail >> 16n).toString(16)}:${(tail & 0xffffn).toString(16)}`);
}

function withMapped(value: bigint | undefined): bigint | undefined {
  return value === undefined ? undefined : MAPPED | value;
}

function parseV4(text: string): bigint | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  const octets = match.slice(1).map(Number);
  if (octets.some((octet) => octet > 255)) return undefined;
  return octets.reduce((value, octet) => (value << 8n) | BigInt(octet), 0n);
}

function parseV6(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const groups = (half: string | undefined): readonly string[] =>
    half === undefined || half === '' ? [] : half.split(':');
  const head = groups(halves[0]);
  const tail = groups(halves[1]);
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const all = [...head, ...Array.from({ length: missing }, () => '0'), ...tail];
  if (!all.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  return all.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}
