/** Decisions as tables. Sources: "Policy evaluation logic" and "Condition operators", AWS IAM User Guide; bucket policy examples, Amazon S3 User Guide. */
import type { Json, PermissionPolicy } from '../../../core/contracts/index.ts';
import type { WHO } from './world.ts';

/** A request to a bucket of `owner`, unless said otherwise for GetObject of `bucket/key`. */
export interface DecisionCase {
  readonly who: keyof typeof WHO | 'anonymous';
  readonly allowed: boolean;
  readonly explicitDeny?: boolean;
  readonly action?: string;
  readonly resource?: string;
  /** Bucket policy. */
  readonly policy?: Json;
  /** In place of the permission that `who` has. */
  readonly identityPolicy?: PermissionPolicy;
  readonly conditions?: Readonly<Record<string, readonly string[]>>;
  /** False: no bucket is involved. */
  readonly owned?: boolean;
}

type Fields = { readonly [key: string]: Json };
const BASE: Fields = { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: 'arn:aws:s3:::bucket/*' };
const document = (...statements: readonly Fields[]): { readonly [key: string]: Json } => ({
  Version: '2012-10-17',
  Statement: statements,
});
const policy = (more: Fields = {}): Json => document({ ...BASE, ...more });
const without = (name: string, more: Fields = {}): Json => {
  const { [name]: _dropped, ...rest } = BASE;
  return document({ ...rest, ...more });
};
const own = (more: Fields): PermissionPolicy => document({ Effect: 'Allow', Action: 's3:*', Resource: '*', ...more });
const ownDeny = (more: Fields): PermissionPolicy => {
  return document(
    { Effect: 'Allow', Action: '*', Resource: '*' },
    { Effect: 'Deny', Action: 's3:*', Resource: '*', ...more },
  );
};
const HOME = 'arn:aws:s3:::bucket/home/${aws:username}/*';

export const DECISION_CASES: Readonly<Record<string, DecisionCase>> = {
  'anonymous without a policy': { who: 'anonymous', allowed: false },
  'the owner of a bucket without a policy': { who: 'owner', allowed: true },
  'an owner who writes': { who: 'owner', action: 's3:PutObject', allowed: true },
  'a reader of the same account reads': { who: 'reader', allowed: true },
  'a reader lists': { who: 'reader', action: 's3:ListBucket', resource: 'arn:aws:s3:::bucket', allowed: true },
  'a reader writes': { who: 'reader', action: 's3:PutObject', allowed: false },
  'a reader deletes': { who: 'reader', action: 's3:DeleteObject', allowed: false },
  'another account without a policy': { who: 'stranger', allowed: false },
  'admin everywhere': { who: 'admin', action: 's3:DeleteBucket', resource: 'arn:aws:s3:::bucket', allowed: true },
  'no bucket involved': { who: 'stranger', action: 's3:CreateBucket', resource: 'arn:aws:s3:::new', owned: false, allowed: true },
  'an action of another service with rw': { who: 'owner', action: 'iam:CreateUser', resource: '*', owned: false, allowed: false },
  'an account-wide action': { who: 'reader', action: 's3:ListAllMyBuckets', resource: '*', owned: false, allowed: true },
  'a public bucket read by anonymous': { who: 'anonymous', policy: policy(), allowed: true },
  'a public bucket written by anonymous': { who: 'anonymous', policy: policy(), action: 's3:PutObject', allowed: false },
  'a public bucket read by another account': { who: 'stranger', policy: policy(), allowed: true },
  'another account that the bucket allows more than its own policy does': {
    who: 'stranger', identityPolicy: 'ro', policy: policy({ Action: 's3:*' }), action: 's3:PutObject', allowed: false,
  },
  'a reader whom the bucket lets write': { who: 'reader', policy: policy({ Action: 's3:PutObject' }), action: 's3:PutObject', allowed: true },
  'the bucket itself is not among its objects': {
    who: 'anonymous', policy: policy({ Action: 's3:*' }), action: 's3:ListBucket', resource: 'arn:aws:s3:::bucket', allowed: false,
  },
  'another bucket with the same beginning': { who: 'anonymous', policy: policy(), resource: 'arn:aws:s3:::bucket2/key', allowed: false },
  'a key is not a path': {
    who: 'anonymous', policy: policy({ Resource: 'arn:aws:s3:::bucket/public/*' }), resource: 'arn:aws:s3:::bucket/private', allowed: false,
  },
  'a resource is case-sensitive': {
    who: 'anonymous', policy: policy({ Resource: 'arn:aws:s3:::bucket/Key' }), allowed: false,
  },
  'an action is not case-sensitive': { who: 'anonymous', policy: policy({ Action: 'S3:getobject' }), allowed: true },
  'a question mark is one character': {
    who: 'anonymous', policy: policy({ Resource: 'arn:aws:s3:::bucket/k?y' }), allowed: true,
  },
  'a question mark is not none': {
    who: 'anonymous', policy: policy({ Resource: 'arn:aws:s3:::bucket/key?' }), allowed: false,
  },
  'stars in the middle': {
    who: 'anonymous', policy: policy({ Resource: 'arn:aws:s3:::bucket/*.log/*x' }), resource: 'arn:aws:s3:::bucket/a.log/b.log/xx', allowed: true,
  },
  NotAction: { who: 'anonymous', policy: without('Action', { NotAction: 's3:PutObject' }), allowed: true },
  'NotAction that names it': { who: 'anonymous', policy: without('Action', { NotAction: 's3:Get*' }), allowed: false },
  NotResource: { who: 'anonymous', policy: without('Resource', { NotResource: 'arn:aws:s3:::bucket/x' }), allowed: true },
  'NotResource that names it': { who: 'anonymous', policy: without('Resource', { NotResource: 'arn:aws:s3:::bucket/k*' }), allowed: false },
  'a principal by ARN': { who: 'stranger', policy: policy({ Principal: { AWS: 'arn:aws:iam::222222222222:user/stranger' } }), allowed: true },
  'a principal by another ARN': { who: 'stranger', policy: policy({ Principal: { AWS: 'arn:aws:iam::222222222222:user/strange' } }), allowed: false },
  'a principal by account': { who: 'stranger', policy: policy({ Principal: { AWS: ['222222222222'] } }), allowed: true },
  'a principal by account root': { who: 'stranger', policy: policy({ Principal: { AWS: 'arn:aws:iam::222222222222:root' } }), allowed: true },
  'a principal by canonical id': { who: 'stranger', policy: policy({ Principal: { CanonicalUser: 'id-of-stranger' } }), allowed: true },
  'anonymous is nobody of an account': { who: 'anonymous', policy: policy({ Principal: { AWS: '000000000000' } }), allowed: false },
  'NotPrincipal denies the others': {
    who: 'reader', policy: without('Principal', { Effect: 'Deny', NotPrincipal: { AWS: '222222222222' } }), allowed: false, explicitDeny: true,
  },
  'NotPrincipal spares the one': {
    who: 'owner', policy: without('Principal', { Effect: 'Deny', NotPrincipal: { CanonicalUser: 'id-of-owner' } }), allowed: true,
  },
  'a deny of the bucket against its owner': { who: 'owner', policy: policy({ Effect: 'Deny' }), allowed: false, explicitDeny: true },
  'an admin can take a policy back': {
    who: 'admin', policy: policy({ Effect: 'Deny', Action: 's3:*', Resource: ['arn:aws:s3:::bucket', 'arn:aws:s3:::bucket/*'] }),
    action: 's3:DeleteBucketPolicy', resource: 'arn:aws:s3:::bucket', allowed: true,
  },
  'a policy of the user that allows': { who: 'reader', identityPolicy: own({}), action: 's3:PutObject', allowed: true },
  'a policy of the user for other objects': { who: 'reader', identityPolicy: own({ Resource: 'arn:aws:s3:::bucket/x/*' }), allowed: false },
  'a policy of the user that denies what the bucket allows': {
    who: 'reader', identityPolicy: ownDeny({}), policy: policy(), allowed: false, explicitDeny: true,
  },
  'a policy of the user that cannot be read': { who: 'reader', identityPolicy: { Statement: 7 }, policy: policy(), allowed: false, explicitDeny: true },
  'a variable': { who: 'stranger', policy: policy({ Resource: HOME }), resource: 'arn:aws:s3:::bucket/home/stranger/a', allowed: true },
  'a variable of somebody else': { who: 'stranger', policy: policy({ Resource: HOME }), resource: 'arn:aws:s3:::bucket/home/owner/a', allowed: false },
  'a variable that anonymous does not have': { who: 'anonymous', policy: policy({ Resource: HOME }), resource: 'arn:aws:s3:::bucket/home//a', allowed: false },
  'a variable without a value under NotResource allows nothing': {
    who: 'anonymous', policy: without('Resource', { NotResource: HOME }), allowed: false,
  },
  'a variable without a value under NotResource denies': {
    who: 'anonymous', policy: document(BASE, { Effect: 'Deny', Principal: '*', Action: 's3:*', NotResource: HOME }), allowed: false, explicitDeny: true,
  },
  'a default of a variable': {
    who: 'anonymous', policy: policy({ Resource: "arn:aws:s3:::bucket/home/${aws:username, 'guest'}/*" }), resource: 'arn:aws:s3:::bucket/home/guest/a', allowed: true,
  },
  'a value is no pattern': {
    who: 'anonymous', policy: policy({ Resource: 'arn:aws:s3:::bucket/${s3:prefix}' }), conditions: { 's3:prefix': ['*'] }, allowed: false,
  },
  'an escaped star': { who: 'anonymous', policy: policy({ Resource: 'arn:aws:s3:::bucket/${*}' }), allowed: false },
  'no variables in the old version': {
    who: 'stranger', policy: { Version: '2008-10-17', Statement: { ...BASE, Resource: HOME } }, resource: 'arn:aws:s3:::bucket/home/stranger/a', allowed: false,
  },
  'two operators, one does not hold': {
    who: 'anonymous', policy: policy({ Condition: { StringEquals: { 'aws:a': 'x' }, Bool: { 'aws:SecureTransport': 'true' } } }),
    conditions: { 'aws:a': ['x'], 'aws:securetransport': ['false'] }, allowed: false,
  },
  'two keys, one does not hold': {
    who: 'anonymous', policy: policy({ Condition: { StringEquals: { 'aws:a': 'x', 'aws:b': 'y' } } }), conditions: { 'aws:a': ['x'], 'aws:b': ['x'] }, allowed: false,
  },
  'the name of the caller cannot be claimed': {
    who: 'anonymous', policy: policy({ Condition: { StringEquals: { 'aws:username': 'owner' } } }), conditions: { 'aws:username': ['owner'] }, allowed: false,
  },
  'the time of the request': {
    who: 'anonymous', policy: policy({ Condition: { DateLessThan: { 'aws:CurrentTime': '2013-05-24T00:00:01Z' }, DateGreaterThan: { 'aws:EpochTime': '1369353599' } } }),
    allowed: true,
  },
}; // prettier-ignore

/** Under `Condition: { [operator]: { 'aws:Test': wanted } }`, a request with these values of the key. */
export interface ConditionCase {
  readonly operator: string;
  readonly wanted: Json;
  readonly given: readonly string[] | undefined;
  readonly holds: boolean;
}

const rows = (
  operator: string,
  wanted: Json,
  ...cases: readonly (readonly [given: readonly string[] | undefined, holds: boolean])[]
): readonly ConditionCase[] => {
  return cases.map(([given, holds]) => ({ operator, wanted, given, holds }));
};

export const CONDITION_CASES: readonly ConditionCase[] = [
  ...rows('StringEquals', ['a', 'b'], [['b'], true], [['B'], false], [undefined, false]),
  ...rows('StringEquals', 'a*', [['a*'], true], [['ab'], false]),
  ...rows('StringNotEquals', ['a', 'b'], [['c'], true], [['a'], false], [undefined, true]),
  ...rows('StringEqualsIgnoreCase', 'Ab', [['aB'], true], [['b'], false]),
  ...rows('StringNotEqualsIgnoreCase', 'Ab', [['aB'], false], [['b'], true]),
  ...rows('StringLike', 'a*c?', [['abcd'], true], [['ac'], false]),
  ...rows('StringNotLike', 'a*', [['abc'], false], [['b'], true]),
  ...rows('StringEqualsIfExists', 'a', [undefined, true], [['b'], false]),
  ...rows('NumericEquals', 10, [['10.0'], true], [['11'], false], [['ten'], false]),
  ...rows('NumericNotEquals', '10', [['10'], false], [['11'], true]),
  ...rows('NumericLessThan', '10', [['9'], true], [['10'], false]),
  ...rows('NumericLessThanEquals', '10', [['10'], true], [['11'], false]),
  ...rows('NumericGreaterThan', '9', [['10'], true], [['9'], false]),
  ...rows('NumericGreaterThanEquals', '9', [['9'], true], [['8'], false]),
  ...rows('DateEquals', '2013-05-24T00:00:00Z', [['1369353600'], true], [['2013-05-24T02:00:00+02:00'], true], [['2013-05-25'], false]),
  ...rows('DateNotEquals', '2013-05-24', [['2013-05-24T00:00:00Z'], false]),
  ...rows('DateLessThan', '2013-05-24', [['2013-05-23'], true], [['2013-05-24'], false]),
  ...rows('DateLessThanEquals', '2013-05-24', [['2013-05-24'], true]),
  ...rows('DateGreaterThan', '2013-05-24', [['2013-05-25'], true], [['2013-05-24'], false]),
  ...rows('DateGreaterThanEquals', '2013-05-24', [['2013-05-24'], true]),
  ...rows('Bool', true, [['true'], true], [['TRUE'], true], [['false'], false], [undefined, false]),
  ...rows('BinaryEquals', 'QUJD', [['QUJD'], true], [['QUJE'], false]),
  ...rows('IpAddress', ['192.0.2.0/24', '2001:db8::/32'], [['192.0.2.255'], true], [['192.0.3.0'], false], [['2001:db8::1'], true], [['::ffff:192.0.2.1'], true]),
  ...rows('NotIpAddress', '192.0.2.0/24', [['192.0.2.1'], false], [['198.51.100.1'], true]),
  ...rows('ArnLike', 'arn:aws:iam::*:user/a*', [['arn:aws:iam::111111111111:user/ab'], true], [['arn:aws:iam::1:role/x:user/a'], false]),
  ...rows('ArnEquals', 'arn:aws:s3:::bucket', [['arn:aws:s3:::bucket'], true], [['arn:aws:s3:::bucket2'], false]),
  ...rows('ArnNotEquals', 'arn:aws:s3:::bucket', [['arn:aws:s3:::bucket'], false], [['arn:aws:s3:::b'], true]),
  ...rows('ArnNotLike', 'arn:aws:s3:::b*', [['arn:aws:s3:::bucket'], false], [['arn:aws:s3:::c'], true]),
  ...rows('Null', 'true', [undefined, true], [['a'], false]),
  ...rows('Null', 'false', [undefined, false], [['a'], true]),
  ...rows('ForAllValues:StringEquals', ['a', 'b'], [['a', 'b'], true], [['a', 'c'], false], [undefined, true]),
  ...rows('ForAnyValue:StringEquals', ['a', 'b'], [['a', 'c'], true], [['c'], false], [undefined, false]),
  ...rows('ForAllValues:StringNotEquals', 'a', [['b', 'c'], true], [['a', 'b'], false]),
  ...rows('ForAnyValue:StringNotEquals', 'a', [['a', 'b'], true], [['a'], false], [undefined, false]),
  ...rows('ForAnyValue:StringLikeIfExists', 'a*', [undefined, true], [['b'], false]),
]; // prettier-ignore

export const WELL_FORMED: readonly Json[] = [
  policy(),
  document(BASE, { ...BASE, Sid: 'two', Effect: 'Deny' }),
  { Id: 'x', Statement: { ...BASE, Resource: ['arn:aws:s3:::bucket', 'arn:aws:s3:::bucket/a?*'] } },
  policy({
    Principal: {
      AWS: ['*', '111111111111', 'arn:aws:iam::111111111111:role/path/r'],
      CanonicalUser: 'c',
      Service: 's',
    },
  }),
  policy({
    Condition: {
      'ForAnyValue:StringLikeIfExists': { 's3:ExistingObjectTag/colour': ['a', '${aws:username}'] },
      Null: { 'aws:Referer': true },
    },
  }),
  without('Action', { NotAction: ['s3:PutObject', 's3:Delete*'] }),
];

export const MALFORMED: Readonly<Record<string, Json>> = {
  'no statement': { Version: '2012-10-17' },
  'an empty list of statements': { Version: '2012-10-17', Statement: [] },
  'an unknown version': { Version: '2020-01-01', Statement: [BASE] },
  'an unknown field': { Version: '2012-10-17', Statement: [BASE], Extra: 1 },
  'an unknown field in a statement': policy({ Actions: 's3:*' }),
  'an unknown effect': policy({ Effect: 'allow' }),
  'no effect': without('Effect'),
  'no principal': without('Principal'),
  'both principals': policy({ NotPrincipal: '*' }),
  'an unknown kind of principal': policy({ Principal: { Group: 'x' } }),
  'a principal that is no ARN': policy({ Principal: { AWS: 'somebody' } }),
  'no action': without('Action'),
  'both actions': policy({ NotAction: 's3:*' }),
  'an action of another service': policy({ Action: 'ec2:RunInstances' }),
  'an action that is none': policy({ Action: 'GetObject' }),
  'an empty list of actions': policy({ Action: [] }),
  'no resource': without('Resource'),
  'both resources': policy({ NotResource: 'arn:aws:s3:::bucket' }),
  'a resource of another bucket': policy({ Resource: 'arn:aws:s3:::other/*' }),
  'a resource that is no ARN': policy({ Resource: 'bucket/*' }),
  'an unknown condition operator': policy({ Condition: { StringIs: { 'aws:a': 'x' } } }),
  'an unknown qualifier': policy({ Condition: { 'ForSomeValues:StringLike': { 'aws:a': 'x' } } }),
  'a condition key without a service': policy({ Condition: { StringEquals: { colour: 'x' } } }),
  'a number that is none': policy({ Condition: { NumericEquals: { 's3:max-keys': 'ten' } } }),
  'a date that is none': policy({ Condition: { DateEquals: { 'aws:CurrentTime': 'tomorrow' } } }),
  'an address that is none': policy({ Condition: { IpAddress: { 'aws:SourceIp': '300.0.0.1/8' } } }),
  'an open variable': policy({ Resource: 'arn:aws:s3:::bucket/${aws:username' }),
  'the same Sid twice': document({ ...BASE, Sid: 'a' }, { ...BASE, Sid: 'a' }),
  'more than 20 KiB': policy({ Resource: `arn:aws:s3:::bucket/${'x'.repeat(21_000)}` }),
};
