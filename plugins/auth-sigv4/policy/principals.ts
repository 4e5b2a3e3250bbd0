/** The Principal element of a bucket policy: who a statement is about. */
import type { Json, Principal } from '../../../core/contracts/index.ts';
import { isRecord, stringList } from './json.ts';
import { malformedPolicy } from './malformed.ts';

export type MatchPrincipal = (principal: Principal) => boolean;

const ACCOUNT = /^\d{12}$/;
const ROOT = /^arn:aws:iam::(\d{12}):root$/;
const NAMED = /^arn:aws:(?:iam|sts)::(\d{12})?:(?:user|role|assumed-role|federated-user)\/[\x21-\x7e][\x20-\x7e]*$/;

/** Throws MalformedPolicy. */
export function compilePrincipal(value: Json | undefined): MatchPrincipal {
  if (value === '*') return () => true;
  if (!isRecord(value) || Object.keys(value).length === 0) throw malformedPolicy('Invalid principal in policy');
  const matchers = Object.entries(value).flatMap(([kind, names]) => {
    return stringList(names, `Principal ${kind}`).map((name) => compileName(kind, name));
  });
  return (principal) => matchers.some((matches) => matches(principal));
}

function compileName(kind: string, name: string): MatchPrincipal {
  switch (kind) {
    case 'AWS':
      return compileAwsName(name);
    case 'CanonicalUser':
      return (principal) => !principal.anonymous && principal.userId === name;
    case 'Service':
    case 'Federated':
      // Nobody signs in as one here; the statement is valid and matches no request.
      return () => false;
    default:
      throw malformedPolicy(`Invalid principal in policy: ${kind}`);
  }
}

function compileAwsName(name: string): MatchPrincipal {
  if (name === '*') return () => true;
  const account = ACCOUNT.test(name) ? name : ROOT.exec(name)?.[1];
  if (account !== undefined) return (principal) => !principal.anonymous && principal.account === account;
  if (!NAMED.test(name)) throw malformedPolicy(`Invalid principal in policy: ${name}`);
  return (principal) => !principal.anonymous && namesOf(principal).includes(name);
}

/** A user goes by its display name and by its id: the id stays when the name is changed. */
function namesOf({ arn, account, userId }: Principal): readonly string[] {
  return [arn, `arn:aws:iam::${account}:user/${userId}`];
}
