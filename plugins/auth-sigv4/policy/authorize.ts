/**
 * The decision: explicit deny, then what the user's own policy and the bucket's policy allow. Within an account either suffices,
 * across accounts both are needed. Source: "Policy evaluation logic", AWS IAM User Guide.
 */
import {
  isSkerryError,
  type AuthorizeInput,
  type Clock,
  type Decision,
  type IdentityDirectory,
  type Json,
  type PermissionPolicy,
} from '../../../core/contracts/index.ts';
import { requestContext, type RequestContext } from './context.ts';
import { compilePolicy, type PolicyDocument, type PolicyKind } from './document.ts';

type Authorize = (input: AuthorizeInput) => Decision;

/** What one policy says of a request. */
interface Opinion {
  readonly effect: 'allow' | 'deny' | 'none';
  readonly because: string;
}

const NONE: Opinion = { effect: 'none', because: '' };

/** As in AWS, the way out of a policy that shut everybody out. */
const POLICY_ACTIONS = new Set(['s3:GetBucketPolicy', 's3:PutBucketPolicy', 's3:DeleteBucketPolicy']);

export function createAuthorizer(deps: { readonly clock: Clock; readonly identities: IdentityDirectory }): Authorize {
  const compile = createCompiler();
  return (input) => {
    const { principal, owner, bucketPolicy } = input;
    const context = requestContext(input, deps.clock.wallMs());
    const identity = opinionOfIdentity(principal.policy, context, compile);
    if (identity.effect === 'deny') return denied(identity.because, true);
    const escapes = principal.policy === 'admin' && POLICY_ACTIONS.has(input.action);
    const bucket =
      escapes || bucketPolicy === undefined || bucketPolicy === null
        ? NONE
        : opinionOf(bucketPolicy, 'bucket', context, compile);
    if (bucket.effect === 'deny') return denied(bucket.because, true);
    if (principal.policy === 'admin' || owner === undefined) return allowedIf(identity, context);
    if (principal.anonymous) return allowedIf(bucket, context);
    const ownerAccount = owner === principal.userId ? principal.account : deps.identities.findUser(owner)?.account;
    if (ownerAccount === principal.account) return allowedIf(identity.effect === 'allow' ? identity : bucket, context);
    return acrossAccounts(identity, bucket, context);
  };
}

function denied(reason: string, explicitDeny: boolean): Decision {
  return { allowed: false, reason, explicitDeny };
}

function allowedIf({ effect, because }: Opinion, context: RequestContext): Decision {
  if (effect === 'allow') return { allowed: true, reason: because, explicitDeny: false };
  return denied(`no policy allows ${who(context)} ${context.action} on ${context.resource}`, false);
}

function acrossAccounts(identity: Opinion, bucket: Opinion, context: RequestContext): Decision {
  if (bucket.effect !== 'allow') {
    return denied(
      `the bucket belongs to another account and its policy does not allow ${who(context)} ${context.action}`,
      false,
    );
  }
  if (identity.effect === 'allow')
    return { allowed: true, reason: `${bucket.because}, and ${identity.because}`, explicitDeny: false };
  return denied(`the bucket policy allows it, but no policy of ${who(context)} allows ${context.action}`, false);
}

function who({ principal }: RequestContext): string {
  return principal.anonymous ? 'anonymous callers' : principal.arn;
}

function opinionOfIdentity(policy: PermissionPolicy | undefined, context: RequestContext, compile: Compile): Opinion {
  switch (policy) {
    case undefined:
      return NONE;
    case 'admin':
      return { effect: 'allow', because: 'the user has policy "admin"' };
    case 'rw':
      return /^s3:/i.test(context.action) ? { effect: 'allow', because: 'the user has policy "rw"' } : NONE;
    case 'ro':
      return /^s3:(get|list)/i.test(context.action) ? { effect: 'allow', because: 'the user has policy "ro"' } : NONE;
    default:
      return opinionOf(policy, 'identity', context, compile);
  }
}

function opinionOf(document: Json, kind: PolicyKind, context: RequestContext, compile: Compile): Opinion {
  const policy = compile(document, kind);
  const whose = kind === 'bucket' ? 'the bucket policy' : "the user's policy";
  if ('fault' in policy) return { effect: 'deny', because: `${whose} cannot be read: ${policy.fault}` };
  const applying = policy.statements.filter((statement) => statement.applies(context));
  const deny = applying.find(({ effect }) => effect === 'Deny');
  if (deny !== undefined) return { effect: 'deny', because: `statement ${deny.name} of ${whose} denies it` };
  const allow = applying[0];
  return allow === undefined ? NONE : { effect: 'allow', because: `statement ${allow.name} of ${whose} allows it` };
}

type Compiled = PolicyDocument | { readonly fault: string };
type Compile = (document: Json, kind: PolicyKind) => Compiled;

/** Compiled documents live as long as the parsed ones that they come from. A faulty one denies: it may have come from a newer site. */
function createCompiler(): Compile {
  const known: Readonly<Record<PolicyKind, WeakMap<object, Compiled>>> = {
    bucket: new WeakMap(),
    identity: new WeakMap(),
  };
  return (document, kind) => {
    if (typeof document !== 'object' || document === null) return { fault: 'it is not an object' };
    const found = known[kind].get(document);
    if (found !== undefined) return found;
    const compiled = tryCompile(document, kind);
    known[kind].set(document, compiled);
    return compiled;
  };
}

function tryCompile(document: Json, kind: PolicyKind): Compiled {
  try {
    return compilePolicy(document, kind);
  } catch (error) {
    if (!isSkerryError(error)) throw error;
    return { fault: error.message };
  }
}
