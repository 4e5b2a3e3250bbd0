/** Who may: the AWS policy language and the order of evaluation. Needs `supports.policies`. */
import assert from 'node:assert/strict';

import * as fc from 'fast-check';

import {
  isSkerryError,
  type Auth,
  type AuthorizeInput,
  type Identity,
  type Json,
  type Principal,
} from '../../../core/contracts/index.ts';
import type { AuthKit } from './kit.ts';
import { CONDITION_CASES, DECISION_CASES, MALFORMED, WELL_FORMED, type DecisionCase } from './policy-cases.ts';
import { WHO } from './world.ts';

type Who = DecisionCase['who'];

export function principalOf(who: Who): Principal {
  if (who === 'anonymous') {
    return {
      anonymous: true,
      userId: 'anonymous',
      displayName: 'anonymous',
      account: '000000000000',
      arn: 'arn:aws:iam::000000000000:user/anonymous',
    };
  }
  const { accessKeyId, userId, displayName, account, policy }: Identity = WHO[who];
  return {
    anonymous: false,
    accessKeyId,
    userId,
    displayName,
    account,
    policy,
    arn: `arn:aws:iam::${account}:user/${displayName}`,
  };
}

function inputOf({ who, action, resource, policy, identityPolicy, conditions, owned }: DecisionCase): AuthorizeInput {
  const principal = { ...principalOf(who), ...(identityPolicy === undefined ? {} : { policy: identityPolicy }) };
  return {
    principal,
    action: action ?? 's3:GetObject',
    resource: resource ?? 'arn:aws:s3:::bucket/key',
    conditions: conditions ?? {},
    ...(owned === false ? {} : { owner: WHO.owner.userId }),
    ...(policy === undefined ? {} : { bucketPolicy: policy }),
  };
}

export function policyTests(kit: AuthKit): void {
  for (const [title, example] of Object.entries(DECISION_CASES)) {
    kit.withAuth(`${title}: ${example.allowed ? 'allowed' : 'denied'}`, (auth) => decides(auth, example));
  }
  for (const { operator, wanted, given, holds } of CONDITION_CASES) {
    const title = `${operator} ${JSON.stringify(wanted)} with ${JSON.stringify(given ?? null)} ${holds ? 'holds' : 'does not hold'}`;
    kit.withAuth(title, (auth) => conditionDecides(auth, operator, wanted, given, holds));
  }
  orderTests(kit);
  validationTests(kit);
}

async function decides(auth: Auth, example: DecisionCase): Promise<void> {
  const decision = auth.authorize(inputOf(example));
  assert.equal(decision.allowed, example.allowed, decision.reason);
  assert.ok(decision.reason.length > 0, 'a decision gives its reason');
  assert.equal(decision.explicitDeny, example.explicitDeny ?? false, decision.reason);
}

async function conditionDecides(
  auth: Auth,
  operator: string,
  wanted: Json,
  given: readonly string[] | undefined,
  holds: boolean,
): Promise<void> {
  const Condition = { [operator]: { 'aws:Test': wanted } };
  const policy = statement({ Condition });
  const conditions = given === undefined ? {} : { 'aws:test': given };
  await decides(auth, { who: 'anonymous', policy, conditions, allowed: holds });
}

function statement(more: { readonly [key: string]: Json }): Json {
  const base = { Effect: 'Allow', Principal: '*', Action: 's3:*', Resource: 'arn:aws:s3:::bucket/*' };
  return { Version: '2012-10-17', Statement: [{ ...base, ...more }] };
}

function orderTests({ forAll, withAuth }: AuthKit): void {
  const allows = fc.array(fc.constantFrom('*', 's3:*', 's3:GetObject', 's3:Get*'), { maxLength: 4 });
  forAll('an explicit deny wins wherever it stands', fc.tuple(allows, fc.nat()), async (auth, [actions, draw]) => {
    const base = { Principal: '*', Resource: 'arn:aws:s3:::bucket/*' };
    const statements: Json[] = actions.map((Action) => ({ ...base, Effect: 'Allow', Action }));
    statements.splice(draw % (statements.length + 1), 0, { ...base, Effect: 'Deny', Action: 's3:GetObject' });
    const policy = { Version: '2012-10-17', Statement: statements };
    for (const who of ['owner', 'stranger', 'anonymous', 'admin'] as const) {
      await decides(auth, { who, policy, allowed: false, explicitDeny: true });
    }
  });
  withAuth('a changed policy takes effect with its new document', async (auth) => {
    await decides(auth, { who: 'anonymous', policy: statement({}), allowed: true });
    await decides(auth, {
      who: 'anonymous',
      policy: statement({ Effect: 'Deny' }),
      allowed: false,
      explicitDeny: true,
    });
    await decides(auth, { who: 'anonymous', allowed: false });
  });
  forAll('authorize never throws, and what cannot be read allows nobody', fc.jsonValue(), async (auth, drawn) => {
    const decision = auth.authorize(inputOf({ who: 'anonymous', policy: drawn as Json, allowed: false }));
    assert.equal(decision.allowed, false, decision.reason);
  });
}

function validationTests({ withAuth, forAll }: AuthKit): void {
  WELL_FORMED.forEach((document, at) => {
    withAuth(`well-formed policy ${at + 1} is accepted`, async (auth) => {
      auth.validatePolicy(document, 'bucket');
    });
  });
  for (const [title, document] of Object.entries(MALFORMED)) {
    withAuth(`a policy with ${title} is MalformedPolicy`, async (auth) => {
      assert.equal(validationFault(auth, document), 'MalformedPolicy');
    });
  }
  forAll('any other JSON is MalformedPolicy', fc.jsonValue(), async (auth, drawn) => {
    assert.equal(validationFault(auth, drawn as Json), 'MalformedPolicy');
  });
}

function validationFault(auth: Auth, document: Json): unknown {
  try {
    auth.validatePolicy(document, 'bucket');
  } catch (error) {
    assert.ok(isSkerryError(error, 'InvalidArgument'), `threw ${String(error)} instead of InvalidArgument`);
    return error.details['reason'];
  }
  return undefined;
}
