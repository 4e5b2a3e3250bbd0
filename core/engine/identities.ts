/**
 * Identities and their keys. Those made with the CLI are `principal.put` ops whose secret is sealed (AES-256-GCM, the access
 * key id as associated data) with a key of the cluster, or the site's own master key; those of the config file live in memory alone.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import {
  SkerryError,
  type CreateKeyInput,
  type Identity,
  type IdentityDirectory,
  type KeyInfo,
  type Logger,
  type MetaReader,
  type PermissionPolicy,
  type Random,
  type SiteId,
} from '../contracts/index.ts';
import type { Committer } from './committer.ts';
import { registerKey, tupleRange } from './keys.ts';
import { decodeRecord, type Register } from './records.ts';
import { scanPages } from './scan-pages.ts';
import { originSite, stampDot } from './stamp.ts';

/** What a `principal` register holds. */
interface PrincipalRecord {
  readonly userId: string;
  readonly displayName: string;
  readonly email?: string;
  readonly account: string;
  readonly policy: PermissionPolicy;
  readonly enabled: boolean;
  /** base64 of nonce (12) + tag (16) + ciphertext. */
  readonly sealedSecret: string;
}

export interface IdentityStore extends IdentityDirectory {
  /** Reads all principals. Call before use, and again when another site has changed some. */
  open(): Promise<void>;
  list(): readonly KeyInfo[];
  create(input: CreateKeyInput): Promise<Identity>;
  setEnabled(accessKeyId: string, enabled: boolean): Promise<KeyInfo>;
  setPolicy(accessKeyId: string, policy: PermissionPolicy): Promise<KeyInfo>;
  remove(accessKeyId: string): Promise<void>;
  /** Seals anew what is not sealed with the first of the keys, by ops like any change; the access keys. Call it when all sites have that key. */
  reseal(): Promise<readonly string[]>;
}

export interface IdentityDeps {
  readonly reader: MetaReader;
  readonly committer: Committer;
  /** 32 bytes each: the first one seals, any may open what was sealed before. */
  readonly sealingKeys: readonly [Uint8Array, ...Uint8Array[]];
  readonly siteId: SiteId;
  readonly configIdentities: readonly Identity[];
  readonly random: Random;
  readonly logger: Logger;
}

const KIND = 'principal';
const ACCESS_KEY_PATTERN = /^[A-Za-z0-9_.-]{3,128}$/;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const DEFAULT_ACCOUNT = '000000000001';

export function createIdentities(deps: IdentityDeps): IdentityStore {
  const { committer, random } = deps;
  const keyring = new Keyring(deps);

  async function save(identity: Identity, mustBeNew: boolean): Promise<Identity> {
    const id = identity.accessKeyId;
    const value = principalRecord(identity, deps);
    await committer.commit({
      reads: { keys: [registerKey(KIND, id)] },
      appended: [],
      decide({ txn, author }) {
        const current = txn.record<Register>(registerKey(KIND, id));
        if (mustBeNew && current && current.value !== null) throw taken(id);
        author({ type: 'principal.put', id, value: { ...value } as never });
      },
    });
    keyring.set(identity);
    return identity;
  }

  function changeable(accessKeyId: string): Identity {
    const identity = keyring.get(accessKeyId);
    if (!identity) throw new SkerryError('NotFound', `there is no key ${accessKeyId}`);
    if (identity.fromConfig)
      throw new SkerryError('InvalidArgument', `key ${accessKeyId} comes from the config file: change it there`);
    return identity;
  }

  return {
    open: () => keyring.read(),
    find: (accessKeyId) => keyring.get(accessKeyId),
    findUser: (user) => keyring.all().find(({ userId, email }) => userId === user || email === user),
    list: () => keyring.all().map(keyInfo),
    async create(input) {
      const identity = newIdentity(input, random);
      if (keyring.get(identity.accessKeyId)) throw taken(identity.accessKeyId);
      return save(identity, true);
    },
    setEnabled: async (id, enabled) => keyInfo(await save({ ...changeable(id), enabled }, false)),
    setPolicy: async (id, policy) => keyInfo(await save({ ...changeable(id), policy }, false)),
    async reseal() {
      const resealed: string[] = [];
      for (const { identity, isCurrent } of await readAll(deps)) {
        if (isCurrent || keyring.get(identity.accessKeyId)?.fromConfig === true) continue;
        await save(identity, false);
        resealed.push(identity.accessKeyId);
      }
      return resealed;
    },
    async remove(id) {
      changeable(id);
      await committer.commit({
        reads: { keys: [registerKey(KIND, id)] },
        appended: [],
        decide: ({ author }) => void author({ type: 'principal.remove', id }),
      });
      keyring.delete(id);
    },
  };
}

/** Keys in memory: as they were last read, with what was changed here since. */
class Keyring {
  readonly #deps: IdentityDeps;
  readonly #known: Map<string, Identity>;
  #reading: Promise<void> | undefined;
  /** What is being read may be as it was before a change. */
  #isStale = false;

  constructor(deps: IdentityDeps) {
    this.#deps = deps;
    this.#known = new Map(deps.configIdentities.map((identity) => [identity.accessKeyId, identity]));
  }

  get(accessKeyId: string): Identity | undefined {
    return this.#known.get(accessKeyId);
  }

  all(): readonly Identity[] {
    return [...this.#known.values()];
  }

  set(identity: Identity): void {
    this.#known.set(identity.accessKeyId, identity);
    this.#isStale = true;
  }

  delete(accessKeyId: string): void {
    this.#known.delete(accessKeyId);
    this.#isStale = true;
  }

  /** As they are stored now, or later: whoever asks while they are being read has them read once more. */
  read(): Promise<void> {
    this.#isStale = true;
    return (this.#reading ??= this.#readAnew());
  }

  async #readAnew(): Promise<void> {
    try {
      while (this.#isStale) {
        this.#isStale = false;
        const stored = await readAll(this.#deps);
        if (!this.#isStale) this.#replace(stored.map(({ identity }) => identity));
      }
    } finally {
      // in the turn that saw nothing stale: who asks a moment later must start anew
      this.#reading = undefined;
    }
  }

  /** Keys of the configuration stay. */
  #replace(stored: readonly Identity[]): void {
    for (const [id, { fromConfig }] of this.#known) if (!fromConfig) this.#known.delete(id);
    for (const identity of stored)
      if (!this.#known.has(identity.accessKeyId)) this.#known.set(identity.accessKeyId, identity);
  }
}

const taken = (id: string): SkerryError => new SkerryError('AlreadyExists', `access key ${id} is taken`);

export function keyInfo({ secretKey: _, ...info }: Identity): KeyInfo {
  return info;
}

function newIdentity(input: CreateKeyInput, random: Random): Identity {
  const accessKeyId = input.accessKeyId ?? `SK${letters(random, 18)}`;
  if (!ACCESS_KEY_PATTERN.test(accessKeyId)) {
    throw new SkerryError('InvalidArgument', 'an access key id has 3 to 128 letters, digits, `_`, `.` or `-`');
  }
  const secretKey = input.secretKey ?? Buffer.from(random.bytes(30)).toString('base64');
  if (secretKey.length < 8) throw new SkerryError('InvalidArgument', 'a secret key has at least 8 characters');
  return {
    accessKeyId,
    secretKey,
    userId: input.userId ?? random.hex(32),
    displayName: input.displayName ?? accessKeyId,
    ...(input.email === undefined ? {} : { email: input.email }),
    account: input.account ?? DEFAULT_ACCOUNT,
    policy: input.policy,
    enabled: true,
    fromConfig: false,
  };
}

const letters = (random: Random, count: number): string =>
  Array.from(random.bytes(count), (byte) => ALPHABET.charAt(byte % ALPHABET.length)).join('');

function principalRecord(
  { secretKey, accessKeyId, fromConfig: _, ...rest }: Identity,
  deps: IdentityDeps,
): PrincipalRecord {
  return { ...rest, sealedSecret: seal(deps, accessKeyId, secretKey) };
}

function seal({ sealingKeys: [key], random }: IdentityDeps, accessKeyId: string, secret: string): string {
  const nonce = random.bytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(accessKeyId));
  const sealed = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64');
}

function unseal(key: Uint8Array, accessKeyId: string, sealedSecret: string): string {
  const bytes = Buffer.from(sealedSecret, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12)).setAAD(Buffer.from(accessKeyId));
  decipher.setAuthTag(bytes.subarray(12, 28));
  return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8');
}

interface Opened {
  readonly identity: Identity;
  /** Sealed with the key that seals now. */
  readonly isCurrent: boolean;
}

async function readAll(deps: IdentityDeps): Promise<readonly Opened[]> {
  const { key: prefix } = registerKey(KIND, '');
  const found: Opened[] = [];
  for await (const rows of scanPages(deps.reader, { space: 'registers', ...tupleRange(prefix), limit: 1000 })) {
    for (const row of rows) {
      const accessKeyId = Buffer.from(row.key.subarray(prefix.length)).toString('utf8');
      const opened = openIdentity(deps, accessKeyId, decodeRecord<Register>(row.value));
      if (opened) found.push(opened);
    }
  }
  return found;
}

/** `undefined` for a key that was removed, or that another site sealed with a key that is not known here. */
function openIdentity(deps: IdentityDeps, accessKeyId: string, { value, stamp }: Register): Opened | undefined {
  if (value === null) return undefined;
  const { sealedSecret, ...rest } = value as unknown as PrincipalRecord;
  for (const [at, key] of deps.sealingKeys.entries()) {
    try {
      const secretKey = unseal(key, accessKeyId, sealedSecret);
      return { identity: { ...rest, accessKeyId, secretKey, fromConfig: false }, isCurrent: at === 0 };
    } catch {
      // sealed with another of the keys
    }
  }
  const site = originSite(stampDot(stamp).origin);
  if (site === deps.siteId) throw doesNotOpen(accessKeyId);
  deps.logger.warn(
    { accessKeyId, site },
    'a key of another site cannot be used here: that site has no cluster key, or another one',
  );
  return undefined;
}

const doesNotOpen = (accessKeyId: string): SkerryError =>
  new SkerryError(
    'Corrupt',
    `the secret of key ${accessKeyId} does not open: is master.key the one this data directory was made with, and the cluster key it was sealed with among replication.clusterKey and previousClusterKeys?`,
  );
