/** Which planted bug each test of a rule must notice: the proof that the test can fail. */

export interface RuleBreak {
  readonly rule: number;
  /** Start of the name of the one test that must fail; unique in the rule's file. */
  readonly test: string;
  /** Of harness/mutations: the rules' own, or else the simulator's. */
  readonly mutation: string;
}

const of = (rule: number, tests: Readonly<Record<string, readonly string[]>>): readonly RuleBreak[] =>
  Object.entries(tests).flatMap(([test, mutations]) => mutations.map((mutation) => ({ rule, test, mutation })));

export const ruleBreaks: readonly RuleBreak[] = [
  ...of(1, {
    'no state changes without an op': ['opNotLogged'],
    'seq is dense': ['seqSkipsOnDelete'],
    'what the disk did not take': ['syncSkipped', 'failedSyncIgnored'],
    'a transaction that fails': ['acknowledgedBeforeCommit'],
    'the clock goes on over a restart': ['clockNotPersisted'],
  }),
  ...of(2, {
    'every order in which four ops': ['lateNullPutWins', 'lateDeleteWins'],
    'what comes twice': ['duplicateApplied'],
    'what came before its turn': ['causesIgnored'],
    'an op is passed on': ['opRestamped'],
    'the clock of a site that applied': ['clockNotMerged'],
  }),
  ...of(3, { 'a relayed op with an older clock': ['clockIsTheCursor'] }),
  ...of(4, {
    'the ends of a chain': ['onlyOwnOpsServed', 'arrivingOpNotLogged'],
    'in a ring': ['echoesApplied'],
    'nobody is sent': ['ownOpsEchoed'],
    'unknown op type': ['unknownOpDropped', 'unknownOpRefused'],
  }),
  ...of(5, {
    'PUT at one time': ['tieByArrival'],
    'an older PUT that arrives after a newer DELETE': ['latePutAfterDelete'],
    'an older DELETE that arrives': ['lateDeleteWins'],
    'an older PUT that arrives after a newer one': ['lateNullPutWins'],
    'multipart complete vs DELETE': ['latePutAfterDelete', 'lateDeleteWins'],
    'with versions': ['arrivalOrderWins'],
    'removal of a version that a peer': ['removedStillWanted'],
  }),
  ...of(6, {
    'a write that saw the other': ['depsNotRecorded'],
    'two writes that did not see': ['conflictDropped', 'conflictByClock'],
    'a write that has seen both': ['depsNotRecorded'],
    'with versions': ['conflictByClock'],
    'an op says all': ['depsNotRecorded'],
  }),
  ...of(7, {
    'tag vs ACL': ['settingsAreOne'],
    'two tags': ['settingArrivalOrder'],
    'a tag on a version': ['settingOnWrongVersion'],
    'settings of a bucket': ['bucketSettingArrivalOrder', 'bucketSettingsAreOne'],
    'API keys': ['foreignKeysIgnored'],
  }),
  ...of(8, {
    'bucket delete vs unseen PUT: an acknowledged write keeps the bucket, also when the removal is later': [
      'contentDoesNotKeepBucket',
    ],
    'bucket delete vs unseen PUT: an acknowledged write keeps the bucket, also when the removal is earlier': [
      'contentDoesNotKeepBucket',
    ],
    'a setting that the removal': ['settingDoesNotKeepBucket'],
    'a creation that the removal': ['bucketRemovalRemovesUnseen'],
    'what the removal has seen goes': ['depsNotRecorded'],
  }),
  ...of(9, {
    'same bucket created twice': ['bucketSettingArrivalOrder', 'lastCreationOwns'],
    'the owner is': ['lastCreationOwns'],
    'Object Lock is in force': ['objectLockOfOwnerOnly'],
  }),
  ...of(10, {
    'lock vs removal, the lock being earlier': ['removalBeatsLock', 'lockedBytesGivenBack'],
    'lock vs removal, the removal being earlier': ['removalBeatsLock'],
    'a removal that has seen no lock': ['removalNeverHappens'],
    'COMPLIANCE retention': ['complianceShortened'],
    'the bytes of a removed version': ['lockedBytesGivenBack', 'keptBytesLeak'],
  }),
  ...of(11, {
    'far-future clock': ['futureOpApplied'],
    'what others wrote goes on': ['futureHeldForEver'],
    'a wall clock that jumps forward': ['wallJumpStamped'],
    'a wall clock that jumps back': ['clockFollowsWall'],
    'a watermark from the future': ['futureGossipLetIn'],
  }),
  ...of(12, {
    'restored backup': ['restoredGoesOn'],
    'cloned site': ['copyIsTheSame'],
    'a handshake is enough': ['restoredGoesOn'],
    'a second history': ['divergenceUnseen'],
    'two sites with one id': ['namesakeLetIn'],
  }),
  ...of(13, {
    'a version is recorded at once': ['pendingShown', 'completedWithoutFetch'],
    'wrong bytes': ['fetchedBytesNotVerified'],
    'superseded versions': ['supersededBytesLeak', 'removedStillWanted'],
    'chunks that the site has': ['contentSentAgain'],
    'a version whose bytes no site has': ['lostBytesWedge'],
  }),
  ...of(14, {
    'ops that an active lease': ['leaseIgnored'],
    'lease expiry': ['leaseNeverEnds', 'trimmedLogSaysNothingNew'],
    'a lease that is renewed': ['leaseIgnored'],
    'a chunk goes with its last holder': ['garbageIgnoresHolders', 'releaseNotQueued'],
    'a tombstone stays': ['purgedByClock', 'purgedWithoutClock'],
    'what is purged does not come back': ['purgedByClock'],
    'while nothing is proven': ['provenByNobody'],
  }),
  ...of(15, {
    'the cut is one reading': ['cutIsNotPinned'],
    'snapshot interrupted': ['snapshotForgetsItsVector'],
    'into a site with writes': ['snapshotReplaces', 'absenceMeansNothing'],
    'a site that takes a snapshot': ['snapshotReplaces'],
    'a peer that was away': ['trimmedLogSaysNothingNew', 'absenceMeansNothing'],
    'GC during bootstrap': ['removedStillWanted', 'garbageIgnoresHolders'],
  }),
  ...of(16, {
    'equal vectors give equal roots': ['digestNotKept'],
    'a row that was changed': ['digestIgnoresOwner'],
    'a site that lacks an op': ['digestKnowsBytes'],
  }),
  ...of(17, { 'a rebuilt site': ['opLogForgotten', 'rebuildRestamps'] }),
  ...of(18, {
    'what has not arrived': ['tokenIgnored'],
    'a version whose bytes': ['staleWhilePending'],
    'a token carries': ['tokenOfOwnOnly'],
  }),
  ...of(19, {
    'two sites can both': ['conflictDropped'],
    'of many at one site': ['conditionIgnored'],
    'what came from another': ['conditionIgnored'],
  }),
];
