/** Ports for processes that have to know each other's before they run. */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';

/** Ports of 127.0.0.1 that were free a moment ago. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

const ADDRESS = /127\.0\.0\.1:\d+/g;

/** Gives the configurations of a directory free ports. The result does the same to another text that names the old ones. */
export async function moveToFreePorts(directory: string): Promise<(text: string) => string> {
  const files = globSync('*.yaml', { cwd: directory }).map((name) => join(directory, name));
  const written = [...new Set(files.flatMap((file) => readFileSync(file, 'utf8').match(ADDRESS) ?? []))];
  const ports = await freePorts(written.length);
  const addresses = new Map(written.map((address, i) => [address, `127.0.0.1:${ports[i]}`]));
  const moved = (text: string): string => text.replaceAll(ADDRESS, (address) => addresses.get(address) ?? address);
  for (const file of files) writeFileSync(file, moved(readFileSync(file, 'utf8')));
  return moved;
}
